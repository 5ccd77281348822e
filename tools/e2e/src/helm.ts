import { ensureTool } from '@mercato/controlplane/tools.ts';
import { run } from '@mercato/images/run.ts';
import { configFromFile } from '@mercato/operator/kube/config.ts';
import type { Cluster } from './cluster.ts';

/** Helm, for one cluster. */
export class Helm {
  readonly #program: string;
  readonly #cluster: Pick<Cluster, 'kubeconfig'>;

  private constructor(program: string, cluster: Pick<Cluster, 'kubeconfig'>) {
    this.#program = program;
    this.#cluster = cluster;
  }

  /** Finds Helm, or builds it (a minute, once on a machine). @throws BuildError */
  static async for(cluster: Pick<Cluster, 'kubeconfig'>, say: (line: string) => void): Promise<Helm> {
    return new Helm(await ensureTool('helm', { onProgress: say }), cluster);
  }

  /** Brings a chart's dependencies into its folder; they are charts of this repository, and what was there may be of yesterday. @throws CommandError */
  async gather(chart: string): Promise<void> {
    await this.#run(['dependency', 'update', chart, '--skip-refresh']);
  }

  /**
   * Installs or upgrades a release.
   *
   * @param options.wait until all is ready, or it fails. @default true
   * @throws CommandError with Helm's words
   */
  async upgrade(
    release: string,
    chart: string,
    options: {
      readonly namespace: string;
      readonly files?: readonly string[];
      /** Over the files. */
      readonly values?: Readonly<Record<string, unknown>>;
      readonly wait?: boolean;
      readonly timeout?: string;
    },
  ): Promise<void> {
    const { namespace, files = [], values = {}, wait = true, timeout = '5m' } = options;
    const args = ['upgrade', release, chart, '--install', '--namespace', namespace, '--timeout', timeout];
    await this.#run(
      [...args, ...(wait ? ['--wait'] : []), ...files.flatMap((file) => ['--values', file]), '--values', '-'],
      JSON.stringify(values),
    );
  }

  /** Changes a few values of a release that is there, and leaves the others. Does nothing when it is not there. @throws CommandError */
  async change(
    release: string,
    chart: string,
    namespace: string,
    values: Readonly<Record<string, unknown>>,
  ): Promise<void> {
    const there = await this.#run(['list', '--namespace', namespace, '--all', '--short', '--filter', `^${release}$`]);
    if (there.trim() === '') return;
    const args = ['upgrade', release, chart, '--namespace', namespace, '--reuse-values', '--values', '-'];
    await this.#run(args, JSON.stringify(values));
  }

  /** Removes a release and waits. Does nothing when it is not there. @throws CommandError */
  async uninstall(release: string, namespace: string): Promise<void> {
    await this.#run([
      'uninstall',
      release,
      '--namespace',
      namespace,
      '--ignore-not-found',
      '--wait',
      '--timeout',
      '5m',
    ]);
  }

  /** Runs a release's tests. @throws CommandError */
  async test(release: string, namespace: string): Promise<void> {
    await this.#run(['test', release, '--namespace', namespace, '--timeout', '5m']);
  }

  #run(args: readonly string[], input?: string): Promise<string> {
    const { hostname } = new URL(configFromFile(this.#cluster.kubeconfig).server);
    // A proxy of this machine knows nothing of a cluster on it.
    const noProxy = [process.env['NO_PROXY'], hostname].filter(Boolean).join(',');
    return run(this.#program, [...args, '--kubeconfig', this.#cluster.kubeconfig], {
      env: { NO_PROXY: noProxy, no_proxy: noProxy },
      ...(input === undefined ? {} : { input }),
    });
  }
}
