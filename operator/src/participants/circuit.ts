import { fraction } from '../saga/backoff.ts';
import type { RunMillis } from '../saga/types.ts';
import type { Verdict } from './verdict.ts';

/** When a circuit opens, for how long, and how it is tried again. */
export interface CircuitPolicy {
  /** The latest so many verdicts count, and none older than `windowMillis`. @default 50 */
  readonly window: number;
  /** @default 60 000 */
  readonly windowMillis: RunMillis;
  /** Fewer verdicts say nothing. Twice what one run has of attempts by default, so that one bad order alone opens nothing. @default 20 */
  readonly minimum: number;
  /** It opens when so many percent of the window failed. @default 50 */
  readonly failurePercent: number;
  /** It opens also when so many commands in a row found nobody to take a connection: that is no command's doing. @default 5 */
  readonly unreachable: number;
  /** How long it is open the first time; each time after that twice as long. @default 1 000 */
  readonly firstOpenMillis: RunMillis;
  /** It is never open for longer, give or take the jitter. @default 30 000 */
  readonly longestOpenMillis: RunMillis;
  /** How long it is open is moved by up to this many percent, both ways, so that replicas do not knock together. @default 20 */
  readonly jitterPercent: number;
  /** Closed for so long, it opens for `firstOpenMillis` again. @default 60 000 */
  readonly forgetMillis: RunMillis;
  /** Commands that may be under way at once while it is half-open. @default 3 */
  readonly probes: number;
}

export const CIRCUIT_POLICY: CircuitPolicy = {
  window: 50,
  windowMillis: 60_000,
  minimum: 20,
  failurePercent: 50,
  unreachable: 5,
  firstOpenMillis: 1000,
  longestOpenMillis: 30_000,
  jitterPercent: 20,
  forgetMillis: 60_000,
  probes: 3,
};

export type CircuitState = 'Closed' | 'Open' | 'HalfOpen';

/** Leave to send one command; given back with {@link Circuit.settle}. */
export interface Permit {
  readonly generation: number;
}

/** How soon a command that was refused is worth another try. */
export interface Refusal {
  readonly retryIn: RunMillis;
}

/** How soon to look again while all probes of a half-open circuit are under way. */
const PROBING_MILLIS = 1000;

/**
 * A circuit breaker: leaves a participant that fails alone for a while (Nygard, *Release It!*, "Circuit Breaker"). A state machine without I/O, clock
 * or randomness of its own: times are passed in, as milliseconds of a monotonic clock, and jitter is a hash of the seed.
 *
 *     Closed -- too many failures --> Open -- its time is over --> HalfOpen -- an answer --> Closed
 *                                      ^----------- a failure ---------|
 *
 * The window counts commands, not time alone: with a thousand commands a second, a share of the last minute would take half a minute of failures to
 * cross, and every one of them an attempt.
 *
 * A failure costs its run an attempt only where {@link Circuit.settle} says so: what was sent before the circuit opened and fails while it is open, or
 * later, costs none, and neither does a probe. So an outage, however long, costs fewer attempts over all runs together than the window is wide.
 */
export class Circuit {
  readonly #seed: string;
  readonly #policy: CircuitPolicy;
  #state: CircuitState = 'Closed';
  /** Changes whenever it opens or closes: answers to what was sent in an earlier one say nothing of now. */
  #generation = 0;
  #permit: Permit = { generation: 0 };
  #until = 0;
  #openFor = 0;
  /** Openings in a row, without a long time closed in between. */
  #openings = 0;
  #closedAt = Number.NEGATIVE_INFINITY;
  #probing = 0;
  #inARow = 0;
  #lastUnreachable = 0;
  /** A ring of the latest verdicts. */
  readonly #failed: Uint8Array;
  readonly #at: Float64Array;
  #next = 0;

  constructor(seed: string, policy: CircuitPolicy = CIRCUIT_POLICY) {
    this.#seed = seed;
    this.#policy = policy;
    this.#failed = new Uint8Array(policy.window);
    this.#at = new Float64Array(policy.window).fill(Number.NEGATIVE_INFINITY);
  }

  /** An open circuit whose time is over is half-open, whether or not anyone has come by. */
  stateAt(now: number): CircuitState {
    return this.#state === 'Open' && now >= this.#until ? 'HalfOpen' : this.#state;
  }

  /** When an open circuit is tried again. */
  get until(): number | undefined {
    return this.#state === 'Open' ? this.#until : undefined;
  }

  /** Whether a command would be let through, without letting it. `key` spreads those that are refused. */
  refusal(now: number, key: string): Refusal | undefined {
    switch (this.stateAt(now)) {
      case 'Closed':
        return undefined;
      case 'Open':
        return { retryIn: Math.ceil(this.#until - now + (fraction(key) * this.#openFor) / 4) };
      case 'HalfOpen':
        if (this.#state === 'Open' || this.#probing < this.#policy.probes) return undefined;
        return { retryIn: Math.ceil(PROBING_MILLIS * (0.5 + fraction(key))) };
    }
  }

  /** Lets a command through, or says when it may come again. */
  admit(now: number, key: string): Permit | Refusal {
    const refusal = this.refusal(now, key);
    if (refusal !== undefined) return refusal;
    if (this.stateAt(now) === 'HalfOpen') {
      this.#state = 'HalfOpen';
      this.#probing++;
    }
    return this.#permit;
  }

  /**
   * Takes in what became of a command that was let through.
   * @returns false for a failure that costs its run no attempt.
   */
  settle(permit: Permit, verdict: Verdict, now: number): boolean {
    const failed = verdict === 'Fails' || verdict === 'Unreachable';
    if (permit.generation !== this.#generation) return !failed;
    if (this.#state === 'HalfOpen') this.#settleProbe(verdict, failed, now);
    else if (verdict !== 'Silent') this.#note(verdict, failed, now);
    return !failed || this.#state === 'Closed';
  }

  #settleProbe(verdict: Verdict, failed: boolean, now: number): void {
    this.#probing--;
    if (failed) this.#open(now);
    else if (verdict === 'Answers') this.#close(now);
  }

  #note(verdict: Verdict, failed: boolean, now: number): void {
    this.#failed[this.#next] = failed ? 1 : 0;
    this.#at[this.#next] = now;
    this.#next = (this.#next + 1) % this.#policy.window;
    if (!failed) {
      this.#inARow = 0;
      return;
    }
    if (verdict === 'Unreachable') {
      const fresh = now - this.#lastUnreachable <= this.#policy.windowMillis;
      this.#inARow = fresh ? this.#inARow + 1 : 1;
      this.#lastUnreachable = now;
    }
    if (this.#inARow >= this.#policy.unreachable || this.#tooMany(now)) this.#open(now);
  }

  #tooMany(now: number): boolean {
    let samples = 0;
    let failures = 0;
    for (let i = 0; i < this.#policy.window; i++) {
      if (now - this.#at[i]! > this.#policy.windowMillis) continue;
      samples++;
      failures += this.#failed[i]!;
    }
    return samples >= this.#policy.minimum && failures * 100 >= samples * this.#policy.failurePercent;
  }

  #open(now: number): void {
    const { firstOpenMillis, longestOpenMillis, jitterPercent, forgetMillis } = this.#policy;
    if (this.#state === 'Closed' && now - this.#closedAt > forgetMillis) this.#openings = 0;
    const grown = Math.min(longestOpenMillis, firstOpenMillis * 2 ** this.#openings);
    this.#beginGeneration();
    const moved = 1 + (jitterPercent / 100) * (2 * fraction(`${this.#seed}/${this.#generation}`) - 1);
    this.#openFor = Math.round(grown * moved);
    this.#openings++;
    this.#until = now + this.#openFor;
    this.#state = 'Open';
  }

  #close(now: number): void {
    this.#beginGeneration();
    this.#state = 'Closed';
    this.#closedAt = now;
    this.#inARow = 0;
    this.#at.fill(Number.NEGATIVE_INFINITY);
  }

  #beginGeneration(): void {
    this.#generation++;
    this.#permit = { generation: this.#generation };
    this.#probing = 0;
  }
}
