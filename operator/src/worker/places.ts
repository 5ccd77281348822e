/** Something that waits for a place. */
export interface Waiting {
  /** When it came, in Unix milliseconds: who came first goes first. */
  readonly createdAt: number;
}

/** Of `maxActive` places for all workers, those of one: each takes its share, and nobody is left without any. */
export function shareOf(maxActive: number, workers: number): number {
  return Math.max(1, Math.floor(maxActive / Math.max(1, workers)));
}

/**
 * Runs that wait for a place of their saga's `maxActive`, in the order of their coming. They are in the journal; here only waits who comes next.
 */
export class Places<T extends Waiting> {
  readonly #queues = new Map<string, T[]>();
  #size = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Sagas that somebody waits for. */
  get sagas(): string[] {
    return [...this.#queues.keys()];
  }

  /** Whether somebody waits for this saga: who comes now comes after. */
  isWaitedFor(saga: string): boolean {
    return this.#queues.has(saga);
  }

  /** Waits, behind all that came before it. */
  wait(saga: string, one: T): void {
    const queue = this.#queues.get(saga) ?? [];
    this.#queues.set(saga, queue);
    // What comes from a worker that died is older than what waits here; otherwise it is the newest, and this ends at once.
    let at = queue.length;
    while (at > 0 && (queue[at - 1] as T).createdAt > one.createdAt) at--;
    queue.splice(at, 0, one);
    this.#size += 1;
  }

  /** Takes the next one, if there is one. */
  next(saga: string): T | undefined {
    const queue = this.#queues.get(saga);
    const one = queue?.shift();
    if (one !== undefined) this.#size -= 1;
    if (queue?.length === 0) this.#queues.delete(saga);
    return one;
  }
}
