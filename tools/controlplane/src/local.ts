import { rm } from 'node:fs/promises';
import { apiServerArgs, apiServerUrl } from './apiserver.ts';
import { ensureBinaries } from './binaries/ensure.ts';
import { type Component, endComponent, startComponent, waitUntilReady } from './component.ts';
import { controllerManagerArgs } from './controllermanager.ts';
import type { ControlPlane } from './controlplane.ts';
import { compactEtcd, etcdArgs, etcdIsHealthy } from './etcd.ts';
import { type Credentials, type Layout, writeSecret } from './files.ts';
import { kubeconfigYaml } from './kubeconfig.ts';
import { runKubectl } from './kubectl.ts';
import type { ControlPlaneOptions } from './options.ts';
import { type ClientIdentity, issueClientCertificate, type KeyAndCertificate } from './pki.ts';
import { type ApiClient, apiClient } from './request.ts';
import { COMPONENTS, type ComponentName, type Ports, writeState } from './state.ts';
import { startWatchdog, type Watchdog } from './watchdog.ts';

/** Patience for a machine that does a dozen other things; an idle one needs 3 s. */
const READY_TIMEOUT_MS = 120_000;
/** Time for requests in flight, and for etcd's last write. The controller manager has nothing to finish, and takes 2 s to do so. */
export const STOP_GRACE_MS: Readonly<Record<ComponentName, number>> = {
  etcd: 5_000,
  'kube-apiserver': 5_000,
  'kube-controller-manager': 0,
};

/** The control plane as processes of this machine. Made by start.ts, which sees to its folder and ports. */
export class LocalControlPlane implements ControlPlane {
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
