import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** Patience with a program on a machine that does a dozen other things; an idle one has it listen after a second. */
const PATIENCE_SECONDS = 60;

/** A program of ours as a process of its own, for tests that kill it. */
export class Program {
  /** Where it listens, as it said itself. */
  readonly url: string;
  readonly #child: ChildProcess;
  readonly #output: string[];

  private constructor(child: ChildProcess, url: string, output: string[]) {
    this.#child = child;
    this.url = url;
    this.#output = output;
  }

  /**
   * Starts a TypeScript file with this environment (PATH is added) and waits until it prints where it listens. Rejects with what
   * it printed when it ends before, or says nothing for a minute.
   */
  static async start(file: URL, env: Readonly<Record<string, string>>): Promise<Program> {
    const child = spawn(process.execPath, [file.pathname], { env: { PATH: process.env['PATH'], ...env } });
    const output: string[] = [];
    const url = await new Promise<string>((resolve, reject) => {
      const fail = (why: string) => reject(new Error(`${file.pathname} ${why}: ${output.join('')}`));
      const late = () => fail(`did not listen within ${PATIENCE_SECONDS} s`);
      const deadline = setTimeout(late, PATIENCE_SECONDS * 1000);
      const read = (chunk: Buffer) => {
        output.push(chunk.toString());
        const found = /"(?:url|listening)":"(http:\/\/127\.0\.0\.1:\d+)"/.exec(output.join(''))?.[1];
        if (found === undefined) return;
        clearTimeout(deadline);
        resolve(found);
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      // Not its exit, at which its last words may still be on their way.
      child.once('close', (code) => {
        clearTimeout(deadline);
        fail(`ended with ${code}`);
      });
    });
    return new Program(child, url, output);
  }

  /** All that it has printed. */
  get output(): string {
    return this.#output.join('');
  }

  /** Waits until it has printed this. Rejects with what it did print after a minute. */
  async prints(text: string): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_SECONDS * 1000; !this.output.includes(text); ) {
      if (Date.now() > deadline) throw new Error(`no "${text}" in ${PATIENCE_SECONDS} s: ${this.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Ends it, and gives its exit code: null after SIGKILL. Ending it twice is harmless. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      const ended = once(this.#child, 'exit');
      this.#child.kill(signal);
      await ended;
    }
    return this.#child.exitCode;
  }
}
