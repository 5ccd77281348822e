import type { Clock } from '../runtime/clock.ts';

/** Things that are waited for at once, at most; the oldest gives way. */
const MOST = 10_000;

/**
 * Remembers since when something has been waited for, so that who delivers is not told "not now" for ever: one order that waits for what never comes
 * would keep all that is behind it.
 */
export class Patience {
  readonly #clock: Clock;
  readonly #millis: number;
  readonly #since = new Map<string, number>();

  /** @param millis how long something is waited for, from when it was first asked about */
  constructor(clock: Clock, millis: number) {
    this.#clock = clock;
    this.#millis = millis;
  }

  /** Whether it was waited for long enough. The first time it is asked about, the waiting begins. */
  isOver(what: string): boolean {
    const now = this.#clock.monotonic();
    const since = this.#since.get(what);
    if (since !== undefined) return now - since >= this.#millis;
    if (this.#since.size >= MOST) this.#since.delete(this.#since.keys().next().value as string);
    this.#since.set(what, now);
    return false;
  }

  /** It came. */
  forget(what: string): void {
    if (this.#since.size > 0) this.#since.delete(what);
  }
}
