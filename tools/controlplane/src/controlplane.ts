import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { apiServerArgs, apiServerUrl } from './apiserver.ts';
import { ensureBinaries } from './binaries/ensure.ts';
import { type Component, ComponentError, endComponent, startComponent, waitUntilReady } from './component.ts';
import { controllerManagerArgs } from './controllermanager.ts';
import { compactEtcd, etcdArgs, etcdIsHealthy } from './etcd.ts';
import { type Credentials, type Layout, layoutOf, loadOrCreateCredentials, writeSecret } from './files.ts';
import { kubeconfigYaml } from './kubeconfig.ts';
import { runKubectl } from './kubectl.ts';
import { type ControlPlaneOptions, validateOptions } from './options.ts';
import { type ClientIdentity, issueClientCertificate, type KeyAndCertificate } from './pki.ts';
import { freePort, isFree, PortTakenError } from './ports.ts';
import { type ApiClient, type ApiRequest, type ApiResponse, apiClient } from './request.ts';
import {
  COMPONENTS,
  type ComponentName,
  livingComponents,
  type Ports,
  readState,
  type State,
  writeState,
} from './state.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

/** Patience for a machine that does a dozen other things; an idle one needs 3 s. */
const READY_TIMEOUT_MS = 120_000;
/** Time for requests in flight, and for etcd's last write. The controller manager has nothing to finish, and takes 2 s to do so. */
const STOP_GRACE_MS: Readonly<Record<ComponentName, number>> = {
  etcd: 5_000,
  'kube-apiserver': 5_000,
  'kube-controller-manager': 0,
};
/** Starts until ports are found that nobody took between the look and the start. */
const PORT_ATTEMPTS = 3;

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

/**
 * Starts etcd and kube-apiserver on 127.0.0.1 and answers when they serve requests; 3 s on an idle machine, if the
 * binaries are there.
 *
 * @throws InvalidOptionsError, BuildError, ChecksumMismatchError, PortTakenError, and ComponentError with the end of the
 * log of the component that failed. Nothing is left running then, but the folder stays, for its logs.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  validateOptions(options);
  const names = COMPONENTS.filter((name) => name !== 'kube-controller-manager' || options.controllerManager === true);
  const onProgress = options.onProgress === undefined ? {} : { onProgress: options.onProgress };
  await ensureBinaries(names, { ...options.binaries, ...onProgress });

  const layout = layoutOf(await makeFolder(options.dir));
  const last = await readState(layout);
  if (last !== undefined) refuseIfRunning(layout, last);
  const credentials = await loadOrCreateCredentials(layout.folder);
  for (let attempt = 1; ; attempt++) {
    const ports = await choosePorts(options.ports ?? {}, last?.ports);
    const plane = new LocalControlPlane(layout, credentials, ports, options);
    try {
      await plane.start();
      return plane;
    } catch (error) {
      await plane.endProcesses(true);
      if (attempt === PORT_ATTEMPTS || !lostRaceForPort(error)) throw error;
    }
  }
}

/**
 * The control plane that a detached start left running on a folder, or undefined when none does, or not all of it.
 * Its stop() ends it. @param options those that concern this process: onProgress, binaries
 */
export async function attachControlPlane(
  dir: string,
  options: Pick<ControlPlaneOptions, 'onProgress' | 'binaries'> = {},
): Promise<ControlPlane | undefined> {
  const layout = layoutOf(resolve(dir));
  const state = await readState(layout);
  if (state === undefined) return undefined;
  const living = livingComponents(layout, state);
  const expected = COMPONENTS.filter((name) => state.pids[name] !== undefined);
  if (!living.has('kube-apiserver') || !living.has('etcd') || living.size < expected.length) return undefined;
  const { apiServerArgs: extraArgs, etcdUnsafeNoFsync } = state;
  const plane = new LocalControlPlane(layout, await loadOrCreateCredentials(layout.folder), state.ports, {
    ...options,
    apiServerArgs: extraArgs,
    etcdUnsafeNoFsync,
    dir: layout.folder,
    detached: true,
  });
  plane.adopt(living);
  return plane;
}

/**
 * Ends whatever still runs on a folder. Its data stays. Answers whether anything ran.
 */
export async function stopControlPlane(dir: string): Promise<boolean> {
  const layout = layoutOf(resolve(dir));
  const state = await readState(layout);
  if (state === undefined) return false;
  const living = livingComponents(layout, state);
  for (const name of COMPONENTS.toReversed()) {
    const component = living.get(name);
    if (component !== undefined) await endComponent(component, STOP_GRACE_MS[name]);
  }
  await writeState(layout, { ...state, pids: {} });
  return living.size > 0;
}

class LocalControlPlane implements ControlPlane {
  readonly url: string;
  readonly caPem: string;
  readonly dir: string;
  readonly kubeconfigPath: string;
  readonly adminCertificate: KeyAndCertificate;
  readonly request: ApiClient;
  readonly #layout: Layout;
  readonly #credentials: Credentials;
  readonly #ports: Ports;
  readonly #options: ControlPlaneOptions;
  readonly #components = new Map<ComponentName, Component>();
  #watchdog: Watchdog | undefined;
  #stopped: Promise<void> | undefined;

  constructor(layout: Layout, credentials: Credentials, ports: Ports, options: ControlPlaneOptions) {
    this.#layout = layout;
    this.#credentials = credentials;
    this.#ports = ports;
    this.#options = options;
    this.url = apiServerUrl(ports.apiServer);
    this.caPem = credentials.authority.certPem;
    this.dir = layout.folder;
    this.kubeconfigPath = layout.kubeconfig;
    this.adminCertificate = credentials.admin;
    this.request = apiClient(this.url, this.caPem, credentials.admin);
  }

  get pids(): Readonly<Partial<Record<ComponentName, number>>> {
    return Object.fromEntries([...this.#components].map(([name, component]) => [name, component.pid]));
  }

  async start(): Promise<void> {
    const temporary = this.#options.dir === undefined;
    if (this.#options.detached !== true) this.#watchdog = startWatchdog(temporary ? this.dir : undefined);
    await writeSecret(this.kubeconfigPath, await this.kubeconfigYaml());
    await this.#startEtcd();
    await this.startApiServer();
    if (this.#options.publicIssuerKeys !== false) await this.#publishIssuerKeys();
    if (this.#options.controllerManager === true) await this.startControllerManager();
  }

  adopt(components: ReadonlyMap<ComponentName, Component>): void {
    for (const [name, component] of components) this.#components.set(name, component);
  }

  async kubeconfigYaml(identity?: ClientIdentity): Promise<string> {
    const certificate = identity === undefined ? this.adminCertificate : await this.issueClientCertificate(identity);
    return kubeconfigYaml(this.url, this.caPem, identity?.user ?? 'admin', certificate);
  }

  issueClientCertificate(identity: ClientIdentity): Promise<KeyAndCertificate> {
    return issueClientCertificate(this.#credentials.authority, identity);
  }

  async kubectl(args: readonly string[], stdin?: string): Promise<string> {
    return runKubectl(await this.#binary('kubectl'), this.kubeconfigPath, this.#layout.kubectlCache, args, stdin);
  }

  async killApiServer(): Promise<void> {
    await this.#end('kube-apiserver', 0);
  }

  async startApiServer(): Promise<void> {
    const args = apiServerArgs({
      port: this.#ports.apiServer,
      etcdPort: this.#ports.etcd,
      files: this.#credentials.files,
      extraArgs: this.#options.apiServerArgs ?? [],
    });
    await this.#run('kube-apiserver', args, () => this.#apiServerIsReady());
  }

  async restartApiServer(): Promise<void> {
    await this.#end('kube-apiserver', STOP_GRACE_MS['kube-apiserver']);
    await this.startApiServer();
  }

  compactEtcd(): Promise<number> {
    return compactEtcd(this.#ports.etcd);
  }

  async expireResourceVersions(): Promise<number> {
    await this.killApiServer();
    const revision = await this.compactEtcd();
    await this.startApiServer();
    return revision;
  }

  async startControllerManager(): Promise<void> {
    const { controllerManager, files } = this.#credentials;
    const kubeconfig = this.#layout.controllerManagerKubeconfig;
    await writeSecret(
      kubeconfig,
      kubeconfigYaml(this.url, this.caPem, 'system:kube-controller-manager', controllerManager),
    );
    const args = controllerManagerArgs({
      kubeconfig,
      authority: files.authority,
      serviceAccountKey: files.serviceAccountKey,
    });
    await this.#run('kube-controller-manager', args, () =>
      this.#exists('/api/v1/namespaces/default/serviceaccounts/default'),
    );
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    const temporary = this.#options.dir === undefined;
    // Nothing of a temporary folder is kept, so nothing has to be finished.
    await this.endProcesses(temporary);
    if (temporary) await rm(this.dir, { recursive: true, force: true });
  }

  /** Ends the processes from the last to the first, so that none logs that another is gone. */
  async endProcesses(atOnce: boolean): Promise<void> {
    for (const name of COMPONENTS.toReversed()) await this.#end(name, atOnce ? 0 : STOP_GRACE_MS[name]);
    this.#watchdog?.dismiss();
    this.#watchdog = undefined;
  }

  async #startEtcd(): Promise<void> {
    const port = this.#ports.etcd;
    const args = etcdArgs({
      port,
      dataFolder: this.#layout.etcdData,
      unsafeNoFsync: this.#options.etcdUnsafeNoFsync === true,
    });
    await this.#run('etcd', args, () => etcdIsHealthy(port));
  }

  async #run(name: ComponentName, args: readonly string[], ready: () => Promise<boolean>): Promise<void> {
    const running = this.#components.get(name);
    if (running !== undefined && running.ended() === undefined) return;
    const component = await startComponent(name, await this.#binary(name), args, this.#layout.log(name));
    this.#components.set(name, component);
    await this.#note();
    await waitUntilReady(component, ready, READY_TIMEOUT_MS);
  }

  async #end(name: ComponentName, graceMs: number): Promise<void> {
    const component = this.#components.get(name);
    if (component === undefined) return;
    await endComponent(component, graceMs);
    this.#components.delete(name);
    await this.#note();
  }

  /** Told at every change: who must end with this process, and who can be found again by a later one. */
  async #note(): Promise<void> {
    this.#watchdog?.guard(Object.values(this.pids));
    const { apiServerArgs: extraArgs = [], etcdUnsafeNoFsync = false } = this.#options;
    await writeState(this.#layout, {
      ports: this.#ports,
      pids: this.pids,
      apiServerArgs: extraArgs,
      etcdUnsafeNoFsync,
    });
  }

  async #binary(name: ComponentName | 'kubectl'): Promise<string> {
    const { onProgress } = this.#options;
    const paths = await ensureBinaries([name], {
      ...this.#options.binaries,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    return paths.get(name)!;
  }

  async #apiServerIsReady(): Promise<boolean> {
    const answer = await this.request('/readyz').catch(() => undefined);
    return answer?.status === 200;
  }

  async #exists(path: string): Promise<boolean> {
    const answer = await this.request(path).catch(() => undefined);
    return answer?.status === 200;
  }

  /** Kept state has it already: 409 is as good as 201. */
  async #publishIssuerKeys(): Promise<void> {
    const name = 'system:service-account-issuer-discovery';
    const answer = await this.request('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      method: 'POST',
      body: {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: 'mercato:public-issuer-keys' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:unauthenticated' }],
      },
    });
    if (answer.status !== 201 && answer.status !== 409) {
      throw new Error(
        `the API server answers ${answer.status} to the binding that publishes the issuer's keys: ${JSON.stringify(answer.body)}`,
      );
    }
  }
}

/** Real paths: the folder is looked for in command lines, and macOS's temporary folder is a symbolic link. */
async function makeFolder(dir: string | undefined): Promise<string> {
  if (dir === undefined) return realpath(await mkdtemp(join(tmpdir(), 'mercato-controlplane-')));
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return resolve(dir);
}

function refuseIfRunning(layout: Layout, last: State): void {
  const living = livingComponents(layout, last);
  if (living.size === 0) return;
  const who = [...living.values()].map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw new Error(
    `a control plane already runs on ${layout.folder}: ${who}. Stop it first (make down), or use another folder`,
  );
}

async function choosePorts(wanted: Partial<Ports>, last: Ports | undefined): Promise<Ports> {
  const apiServer = await choosePort('kube-apiserver', wanted.apiServer, last?.apiServer);
  const etcd = await choosePort('etcd', wanted.etcd, last?.etcd);
  return apiServer === etcd ? choosePorts(wanted, undefined) : { apiServer, etcd };
}

async function choosePort(purpose: string, wanted: number | undefined, last: number | undefined): Promise<number> {
  if (wanted !== undefined) {
    if (await isFree(wanted)) return wanted;
    throw new PortTakenError(wanted, purpose);
  }
  return last !== undefined && (await isFree(last)) ? last : freePort();
}

/** Between the look for a free port and the start, another process took it. */
function lostRaceForPort(error: unknown): boolean {
  return error instanceof ComponentError && error.logTail.includes('address already in use');
}
