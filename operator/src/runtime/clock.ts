/**
 * Time as the framework sees it. Two clocks, because they answer different questions: `monotonic` measures how long something took and never
 * jumps, `wall` is what gets written into objects for people and may jump at any moment. Nothing here decides by the wall clock.
 */
export interface Clock {
  /** Milliseconds from an arbitrary origin; never goes back. On Linux it stands still while the machine is suspended. */
  monotonic(): number;
  /** Milliseconds since the Unix epoch. */
  wall(): number;
  /** Calls `fn` once, `ms` milliseconds from now or as soon as possible when that has passed. The returned function cancels it. */
  after(ms: number, fn: () => void): () => void;
}

/** The longest delay that `setTimeout` takes; a longer one would fire at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

/** The machine's clocks. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(Math.max(ms, 0), MAX_TIMEOUT_MS));
    return () => clearTimeout(timer);
  },
};

interface VirtualTimer {
  at: number;
  order: number;
  fn: () => void;
}

/** A clock that moves only when told to. Timers fire in order of their time, then of their creation. */
export class VirtualClock implements Clock {
  #now: number;
  readonly #epoch: number;
  #order = 0;
  readonly #timers = new Set<VirtualTimer>();

  constructor(options: { monotonic?: number; epoch?: number } = {}) {
    this.#now = options.monotonic ?? 0;
    this.#epoch = (options.epoch ?? Date.UTC(2026, 0, 1)) - this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  wall(): number {
    return this.#epoch + this.#now;
  }

  after(ms: number, fn: () => void): () => void {
    const timer = { at: this.#now + Math.max(ms, 0), order: this.#order++, fn };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** How many timers wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time forward by `ms`, firing what falls due on the way, also what those timers set in turn. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: VirtualTimer | undefined;
      for (const timer of this.#timers) {
        if (timer.at > end) continue;
        if (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))
          next = timer;
      }
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.fn();
    }
    this.#now = end;
  }
}

/**
 * Resolves after `ms`, or at once when `signal` aborts (it never rejects: callers look at the signal, which they must do anyway).
 */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
