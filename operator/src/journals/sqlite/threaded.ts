import { Worker } from 'node:worker_threads';
import { type Call, CommitFailed, type Executor, LifeOver } from './operations.ts';

/** What the thread answers to a group. */
export type Reply = { readonly results: readonly unknown[] } | { readonly failed: string } | { readonly over: string };

interface Question {
  readonly resolve: (results: readonly unknown[]) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Carries groups out in a worker thread, so that a sync of the disk keeps no run waiting that has nothing to write. A thread that dies takes the group
 * under way with it; the next one starts another.
 */
export class Threaded implements Executor {
  readonly #path: string;
  readonly #script: URL;
  #thread: Worker | undefined;
  #question: Question | undefined;

  /** @param script what the thread runs. @default thread.ts */
  constructor(path: string, script = new URL('./thread.ts', import.meta.url)) {
    this.#path = path;
    this.#script = script;
  }

  execute(life: number | undefined, group: readonly Call[]): Promise<readonly unknown[]> {
    this.#thread ??= this.#start();
    const thread = this.#thread;
    return new Promise((resolve, reject) => {
      this.#question = { resolve, reject };
      thread.postMessage([life, group]);
    });
  }

  /** Lets the thread close the file, and ends it. */
  async close(): Promise<void> {
    const thread = this.#thread;
    if (thread === undefined) return;
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage('close');
    await ended;
  }

  #start(): Worker {
    const thread = new Worker(this.#script, { workerData: this.#path, name: 'journal' });
    thread.on('message', (reply: Reply) => this.#answer(reply));
    thread.on('error', (error) => this.#gone(thread, error.message));
    thread.on('exit', (code) => this.#gone(thread, `it ended with status ${code}`));
    return thread;
  }

  #answer(reply: Reply): void {
    const question = this.#question;
    this.#question = undefined;
    if ('results' in reply) question?.resolve(reply.results);
    else question?.reject('over' in reply ? new LifeOver(reply.over) : new CommitFailed(reply.failed));
  }

  #gone(thread: Worker, why: string): void {
    if (this.#thread !== thread) return;
    this.#thread = undefined;
    this.#answer({ failed: `the journal's thread is gone: ${why}` });
  }
}
