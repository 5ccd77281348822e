import type { ClientIdentity, KeyAndCertificate } from './pki.ts';
import type { ApiRequest, ApiResponse } from './request.ts';
import type { ComponentName } from './state.ts';

/** A real Kubernetes API on this machine: etcd, kube-apiserver and, if asked for, kube-controller-manager. */
export interface ControlPlane {
  /** Base URL of the API server, also the issuer of its service-account tokens. Stays the same over restarts. */
  readonly url: string;
  /** The authority that signed the API server's certificate. */
  readonly caPem: string;
  /** Folder of its state and logs. */
  readonly dir: string;
  /** Kubeconfig of the administrator. */
  readonly kubeconfigPath: string;
  /** Client certificate of the administrator, for clients that take no kubeconfig. */
  readonly adminCertificate: KeyAndCertificate;
  /** The processes that run now. */
  readonly pids: Readonly<Partial<Record<ComponentName, number>>>;
  /** Text of a kubeconfig. @param identity a user of its own with nothing but what RBAC gives it; @default the administrator */
  kubeconfigYaml(identity?: ClientIdentity): Promise<string>;
  /** Issues a client certificate for a user and groups. */
  issueClientCertificate(identity: ClientIdentity): Promise<KeyAndCertificate>;
  /** Sends one request, as the administrator unless it says otherwise. Any status is an answer. */
  request(path: string, request?: ApiRequest): Promise<ApiResponse>;
  /** Runs kubectl as the administrator and answers its stdout. @throws KubectlError */
  kubectl(args: readonly string[], stdin?: string): Promise<string>;
  /** Ends the API server with SIGKILL and waits until it is gone. Does nothing when it does not run. */
  killApiServer(): Promise<void>;
  /** Starts the API server again, under the same URL, and waits until it is ready. Does nothing when it runs. */
  startApiServer(): Promise<void>;
  /** Ends the API server with SIGTERM, so that it answers what is in flight, and starts it again. */
  restartApiServer(): Promise<void>;
  /**
   * Lets etcd forget every version before now, and answers the revision from which history is left. What the API server
   * has in its watch cache it still serves from there, as in production; expireResourceVersions empties that too.
   */
  compactEtcd(): Promise<number>;
  /**
   * Makes every resourceVersion before now answer 410 Gone (Expired), for lists and for watches: kills the API server,
   * compacts etcd, starts the API server. Answers the revision from which history is left.
   */
  expireResourceVersions(): Promise<number>;
  /** Starts kube-controller-manager and waits until it works. Does nothing when it runs. */
  startControllerManager(): Promise<void>;
  /** Ends every process, and removes the folder if it is a temporary one. Safe to repeat. */
  stop(): Promise<void>;
}
