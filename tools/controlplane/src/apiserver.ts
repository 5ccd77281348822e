import { etcdUrl } from './etcd.ts';
import { LOOPBACK } from './ports.ts';

/** Files that kube-apiserver reads at its start. */
export interface ApiServerFiles {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
}

/** What kube-apiserver is started with. */
export interface ApiServerSettings {
  readonly port: number;
  readonly etcdPort: number;
  readonly files: ApiServerFiles;
  /** Appended, so that they win over what is set here. */
  readonly extraArgs: readonly string[];
}

/** The API server's address inside the cluster that its certificate must cover: the first of the service range. */
export const SERVICE_ADDRESS = '10.96.0.1';

/** Base URL of the API server. */
export function apiServerUrl(port: number): string {
  return `https://${LOOPBACK}:${port}`;
}

/**
 * Command line of kube-apiserver. Authorization is RBAC and admission is the default set, as in a real cluster. The issuer
 * of service-account tokens is the API server's own URL, so that OpenID discovery from a token leads to the keys.
 */
export function apiServerArgs({ port, etcdPort, files, extraArgs }: ApiServerSettings): string[] {
  const url = apiServerUrl(port);
  return [
    `--bind-address=${LOOPBACK}`,
    `--secure-port=${port}`,
    `--tls-cert-file=${files.certificate}`,
    `--tls-private-key-file=${files.key}`,
    `--client-ca-file=${files.authority}`,
    '--authorization-mode=RBAC',
    `--etcd-servers=${etcdUrl(etcdPort)}`,
    `--service-account-issuer=${url}`,
    `--service-account-jwks-uri=${url}/openid/v1/jwks`,
    `--service-account-key-file=${files.serviceAccountPublicKey}`,
    `--service-account-signing-key-file=${files.serviceAccountKey}`,
    `--service-cluster-ip-range=${SERVICE_ADDRESS.replace(/1$/, '0')}/16`,
    // The endpoints of the service "kubernetes" may not be a loopback address; without this the log fills with that.
    '--endpoint-reconciler-type=none',
    `--advertise-address=${LOOPBACK}`,
    '--allow-privileged=true',
    ...extraArgs,
  ];
}
