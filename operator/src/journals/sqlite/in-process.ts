import type { DatabaseSync } from 'node:sqlite';
import { FORMAT } from './codec.ts';
import { type CommitPoint, JournalFile } from './file.ts';
import { type Call, CommitFailed, type Executor, LifeOver } from './operations.ts';

export interface InProcessOptions {
  /** Called at the points of each commit; what it throws fails the group there. For tests and simulations. */
  readonly at?: (point: CommitPoint) => void;
  /** The database is the caller's, who opens the same one again and closes it. @default false */
  readonly borrowed?: boolean;
}

/**
 * Carries groups out in this thread: what the worker thread does, and what the simulation uses, which owns the database and its restarts. After a
 * failed group the file is opened anew: of a connection whose disk failed nothing is believed.
 */
export class InProcess implements Executor {
  readonly #open: () => DatabaseSync;
  readonly #options: InProcessOptions;
  #file: JournalFile | undefined;

  /** @param open called before the first group, and after each that failed */
  constructor(open: () => DatabaseSync, options: InProcessOptions = {}) {
    this.#open = open;
    this.#options = options;
  }

  async execute(life: number | undefined, group: readonly Call[]): Promise<readonly unknown[]> {
    return this.carryOut(life, group);
  }

  /** As `execute`, in this turn. */
  carryOut(life: number | undefined, group: readonly Call[]): readonly unknown[] {
    try {
      this.#file ??= new JournalFile(this.#open(), FORMAT, this.#options.at);
      return this.#file.execute(life, group);
    } catch (error) {
      if (error instanceof LifeOver) throw error;
      this.#letGo();
      throw new CommitFailed(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }

  async close(): Promise<void> {
    this.#letGo();
  }

  #letGo(): void {
    const file = this.#file;
    this.#file = undefined;
    if (this.#options.borrowed === true) return;
    try {
      file?.close();
    } catch {
      // Its last checkpoint may fail as the group did; the log keeps what was committed.
    }
  }
}
