import { type ChildProcess, spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where the cluster tool keeps Argo CD: one program, which asks its own name what it is to be. */
export function argocdProgram(): string {
  return join(process.env['CLUSTER_CACHE'] || join(homedir(), '.cache', 'node-cluster'), 'bin', 'argocd');
}

/**
 * Argo CD's ApplicationSet controller as a process of this test, since the cluster tool does not start it. It is ended by `end`.
 */
export class ApplicationSetController {
  readonly #process: ChildProcess;
  #log = '';

  constructor(program: string, kubeconfig: string) {
    const nowhere = ['--metrics-addr', '--probe-addr', '--webhook-addr'].flatMap((flag) => [flag, '127.0.0.1:0']);
    this.#process = spawn(program, ['--namespace', 'argocd', ...nowhere], {
      argv0: 'argocd-applicationset-controller',
      // A proxy that leads to the internet does not lead to a cluster on this machine.
      env: { ...process.env, KUBECONFIG: kubeconfig, NO_PROXY: '*', no_proxy: '*' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const hear = (chunk: Buffer) => {
      this.#log = `${this.#log}${chunk.toString()}`.slice(-4_000);
    };
    this.#process.stdout?.on('data', hear);
    this.#process.stderr?.on('data', hear);
  }

  /** The end of what it wrote, for an error. */
  get log(): string {
    return this.#log;
  }

  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('close', resolve));
    this.#process.kill('SIGTERM');
    await gone;
  }
}
