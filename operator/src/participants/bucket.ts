import type { RunMillis } from '../saga/types.ts';

/** How many commands a participant bears. */
export interface RateLimit {
  /** In the long run. Above 0. */
  readonly perSecond: number;
  /** How many may come at once after a quiet time. At least 1. */
  readonly burst: number;
}

/**
 * A token bucket without a clock of its own, kept as the one moment at which it will be full again (the generic cell rate algorithm, ITU-T I.371). Who
 * takes a token knows at once how long to wait for it, so that waiting needs no queue, and who would wait too long need not begin to.
 */
export class TokenBucket {
  readonly #limit: RateLimit;
  readonly #interval: number;
  #fullAt = Number.NEGATIVE_INFINITY;

  constructor(limit: RateLimit) {
    this.#limit = limit;
    this.#interval = 1000 / limit.perSecond;
  }

  /** How long a command that came now would have to wait. */
  waitAt(now: number): RunMillis {
    return Math.max(0, this.#fullAt - now - (this.#limit.burst - 1) * this.#interval);
  }

  /** Takes a token, unless it would come later than in `longest` milliseconds: then nothing is taken. @returns the time to wait for it. */
  take(now: number, longest: RunMillis): RunMillis | undefined {
    const wait = this.waitAt(now);
    if (wait > longest) return undefined;
    this.#fullAt = Math.max(now, this.#fullAt) + this.#interval;
    return wait;
  }

  /** Puts a token back that nobody used. */
  putBack(): void {
    this.#fullAt -= this.#interval;
  }
}
