import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** One running operator. */
export interface Replica {
  readonly metricsUrl: string;
  /** Settles when it has ended; rejects with what it failed with. */
  readonly ended: Promise<void>;
  /** Stops it in order. Rejects with what it failed with. */
  stop(): Promise<void>;
}

/** How long an operator may take to stop in order, also on a busy machine. */
const STOP_MILLIS = 45_000;

/** The operator as a process of its own: `node operator/src/main.ts`. */
export class OperatorProcess implements Replica {
  readonly metricsUrl: string;
  readonly ended: Promise<void>;
  readonly #child: ChildProcess;
  #output = '';

  constructor(flags: readonly string[], metricsUrl: string) {
    this.metricsUrl = metricsUrl;
    const main = fileURLToPath(new URL('../main.ts', import.meta.url));
    this.#child = spawn(process.execPath, [main, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output += chunk.toString();
      });
    }
    // Not its exit, after which the last of its output may have yet to be read.
    this.ended = once(this.#child, 'close').then(([code, signal]: (number | string | null)[]) => {
      if (code !== 0 && signal !== 'SIGKILL')
        throw new Error(`the operator ended with ${code ?? signal}: ${this.#output}`);
    });
    this.ended.catch(() => undefined);
  }

  /** What it wrote to its log. */
  get output(): string {
    return this.#output;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    const late = setTimeout(() => this.#child.kill('SIGABRT'), STOP_MILLIS);
    await this.ended.finally(() => clearTimeout(late));
  }

  /** Stops it in its tracks (SIGSTOP): its clock goes on, and it does not know. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  /** Lets it go on (SIGCONT). */
  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it without a word (SIGKILL), and returns when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}
