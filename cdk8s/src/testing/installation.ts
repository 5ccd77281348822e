import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { until } from '@mercato/operator/api/testing.ts';
import { chartFiles } from '../backends/charts.ts';
import { packagesOf } from '../charts/index.ts';
import { mercato } from '../model/mercato.ts';
import { Helm, writeFiles } from './helm.ts';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

/** What a Job's container is told. */
interface Job {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly { readonly args: readonly string[] }[];
      };
    };
  };
  readonly status?: { readonly conditions?: readonly object[] };
}

/** How a program ended. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/**
 * The charts, on disk, and a real API server of their own to install them on by Helm. There are no nodes: Jobs are run by the test, as processes of this
 * machine under the Job's own account, so that rights, arguments and outcomes are the real ones.
 */
export class Installation {
  readonly plane: ControlPlane;
  readonly #helm: Helm;
  readonly #folder: string;

  private constructor(plane: ControlPlane, helm: Helm, folder: string) {
    this.plane = plane;
    this.#helm = helm;
    this.#folder = folder;
  }

  static async prepare(): Promise<Installation> {
    const helm = await Helm.find();
    const plane = await startControlPlane({ etcdUnsafeNoFsync: true });
    const folder = await mkdtemp(join(tmpdir(), 'mercato-installation-'));
    for (const each of packagesOf(mercato)) {
      const own = join(folder, each.definition.name);
      await writeFiles(own, chartFiles(each));
      for (const path of ['NOTES.txt', '_helpers.tpl', 'tests']) {
        const byHand = join(ROOT, 'charts', each.definition.name, 'templates', path);
        if (existsSync(byHand)) await cp(byHand, join(own, 'templates', path), { recursive: true });
      }
      for (const { name } of each.dependencies)
        await cp(join(folder, name), join(own, 'charts', name), { recursive: true });
    }
    return new Installation(plane, helm, folder);
  }

  async close(): Promise<void> {
    await this.plane.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** `helm upgrade --install` of a chart as a release of its name. @param values merged over the chart's */
  async install(chart: string, namespace: string, values: object = {}): Promise<void> {
    const file = join(this.#folder, `${chart}.json`);
    await writeFile(file, JSON.stringify(values));
    const place = ['--namespace', namespace, '--create-namespace'];
    await this.#run('upgrade', '--install', chart, join(this.#folder, chart), ...place, '-f', file);
  }

  /** What Helm says after an installation of a chart with its own values. */
  async notes(chart: string): Promise<string> {
    const stdout = await this.#run(
      'install',
      '--dry-run=client',
      '--take-ownership',
      'notes',
      join(this.#folder, chart),
    );
    return stdout.slice(stdout.indexOf('NOTES:') + 'NOTES:'.length);
  }

  /** `helm uninstall`. @throws what Helm says when a hook fails, or is not over in time */
  async uninstall(release: string, namespace: string, timeout = '150s'): Promise<void> {
    await this.#run('uninstall', release, '--namespace', namespace, '--timeout', timeout);
  }

  async #run(...args: readonly string[]): Promise<string> {
    const { stdout } = await this.#helm.command(...args, '--kubeconfig', this.plane.kubeconfigPath);
    return stdout;
  }

  /** kubectl with JSON read; undefined where there is no such object. */
  async get<T>(...args: readonly string[]): Promise<T | undefined> {
    const text = await this.plane.kubectl(['get', '--ignore-not-found', '-o', 'json', ...args]);
    return text === '' ? undefined : (JSON.parse(text) as T);
  }

  /** Waits for a Job, runs its program under its account, and tells Helm through its status how that ended. */
  async runJob(name: string, namespace: string): Promise<Ended> {
    let job: Job | undefined;
    await until(`Job ${namespace}/${name} is there`, async () => {
      job = await this.get<Job>('job', name, '-n', namespace);
      return job !== undefined && job.status?.conditions === undefined;
    });
    const { serviceAccountName, containers } = (job as Job).spec.template.spec;
    const kubeconfig = join(this.#folder, `${name}.kubeconfig`);
    const user = `system:serviceaccount:${namespace}:${serviceAccountName}`;
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
    await writeFile(kubeconfig, await this.plane.kubeconfigYaml({ user, groups }), { mode: 0o600 });
    const ended = await this.#program(containers[0]?.args ?? [], { KUBECONFIG: kubeconfig, POD_NAMESPACE: namespace });
    await this.#conclude(job as Job, ended.code === 0);
    return ended;
  }

  async #program(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> {
    const options = { cwd: ROOT, env: { PATH: process.env['PATH'], ...env }, timeout: 60_000 };
    return run(process.execPath, [...args], options).then(
      ({ stdout, stderr }) => ({ code: 0, output: stdout + stderr }),
      ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
        code,
        output: stdout + stderr,
      }),
    );
  }

  async #conclude({ metadata: { name, namespace } }: Job, succeeded: boolean): Promise<void> {
    const now = new Date().toISOString();
    const condition = (type: string) => ({ type, status: 'True', reason: 'Test', lastTransitionTime: now });
    const status = succeeded
      ? { succeeded: 1, completionTime: now, conditions: ['SuccessCriteriaMet', 'Complete'].map(condition) }
      : { failed: 1, conditions: ['FailureTarget', 'Failed'].map(condition) };
    const patch = JSON.stringify({ status: { startTime: now, ...status } });
    await this.plane.kubectl([
      'patch',
      'job',
      name,
      '-n',
      namespace,
      '--subresource=status',
      '--type=merge',
      '-p',
      patch,
    ]);
  }
}
