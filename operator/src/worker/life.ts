import { IncarnationLost, type WorkerJournal } from '../journals/worker-journal.ts';
import type { Clock } from '../runtime/clock.ts';

/** How often a worker says that it lives. */
export const BEAT_EVERY_MILLIS = 3_000;

/**
 * A worker's right to act: it has it while its signs of life reach the journal. Once it has lost the right it never has it again in this life (design
 * rule 10): another worker may have its runs by then, and the process begins anew.
 */
export class Life {
  readonly #journal: WorkerJournal;
  readonly #clock: Clock;
  readonly #fenceMillis: number | undefined;
  readonly #ended = Promise.withResolvers<never>();
  #lastBeat: number;
  #lost: IncarnationLost | undefined;
  #workers = 0;

  /**
   * Begins when the journal was opened.
   * @param fenceMillis how long the worker may be silent before another may take its runs; undefined where none can
   */
  constructor(journal: WorkerJournal, clock: Clock, fenceMillis: number | undefined) {
    this.#journal = journal;
    this.#clock = clock;
    this.#fenceMillis = fenceMillis;
    this.#lastBeat = clock.monotonic();
    this.#ended.promise.catch(() => undefined);
  }

  /** Rejects with what ended it; never resolves. */
  get ended(): Promise<never> {
    return this.#ended.promise;
  }

  /** How many workers live, as of the last beat. At least 1. */
  get workers(): number {
    return Math.max(1, this.#workers);
  }

  /** Whether this worker may still write and send. Asked before each command: cheap. */
  mayAct(): boolean {
    if (this.#lost !== undefined) return false;
    if (this.#fenceMillis === undefined || this.#clock.monotonic() - this.#lastBeat < this.#fenceMillis) return true;
    this.lose(
      new IncarnationLost(
        `no sign of life reached the journal for ${this.#fenceMillis} ms, so that another worker may have the runs: this one ends`,
      ),
    );
    return false;
  }

  /** Says that it lives. The time counts from before the call: the journal may have had it at once. Rejects with the journal's errors. */
  async beat(): Promise<void> {
    const began = this.#clock.monotonic();
    this.#workers = await this.#journal.beat();
    this.#lastBeat = began;
  }

  /** It is over. */
  lose(why: IncarnationLost): void {
    if (this.#lost !== undefined) return;
    this.#lost = why;
    this.#ended.reject(why);
  }
}
