/** Exponential growth of a delay. */
export interface BackoffOptions {
  /** The first delay, in milliseconds. */
  baseMs: number;
  /** No delay exceeds this, in milliseconds. */
  maxMs: number;
  /** Each delay is this many times the one before. @default 2 */
  factor?: number;
  /** The part of a delay that chance decides, 0 to 1: the result lies in `[delay * (1 - jitter), delay]`. @default 0 */
  jitter?: number;
}

/**
 * The delay before attempt `failures + 1`, in milliseconds: `base * factor^failures`, capped, less a random part.
 *
 * @param failures how many attempts in a row have failed before this one, from 0
 * @param random a number in [0, 1); pass it in to make the outcome repeatable
 */
export function backoffDelay(options: BackoffOptions, failures: number, random: () => number = Math.random): number {
  const { baseMs, maxMs, factor = 2, jitter = 0 } = options;
  // The exponent is bounded so that the power stays finite; 2^1000 * base is past any cap.
  const delay = Math.min(maxMs, baseMs * factor ** Math.min(failures, 1000));
  return jitter === 0 ? delay : delay * (1 - jitter * random());
}

/** Counts failures in a row and says how long to wait for the next attempt. */
export class Backoff {
  readonly #options: BackoffOptions;
  readonly #random: () => number;
  #failures = 0;

  constructor(options: BackoffOptions, random: () => number = Math.random) {
    this.#options = options;
    this.#random = random;
  }

  /** Failures since the last `reset`. */
  get failures(): number {
    return this.#failures;
  }

  /** The delay after one more failure, in milliseconds. */
  next(): number {
    return backoffDelay(this.#options, this.#failures++, this.#random);
  }

  /** To be called on success: the next delay is the first one again. */
  reset(): void {
    this.#failures = 0;
  }
}
