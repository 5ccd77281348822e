import { type Clock, systemClock } from '../runtime/clock.ts';
import { fraction } from '../saga/backoff.ts';
import type { Answer, RunId, RunMillis, WallMillis } from '../saga/types.ts';
import { type RateLimit, TokenBucket } from './bucket.ts';
import {
  CIRCUIT_POLICY,
  Circuit,
  type CircuitPolicy,
  type CircuitState,
  type Permit,
  type Refusal,
} from './circuit.ts';
import type { Lane, SendEffect, SendObserver } from './participants.ts';
import { verdictOf } from './verdict.ts';

/** What a participant's circuit is like, for people. */
export interface CircuitView {
  readonly state: CircuitState;
  /** When an open circuit is tried again. */
  readonly until?: WallMillis;
  /** The failure that opened it, or kept it open. */
  readonly cause?: { readonly reason: string; readonly message: string; readonly at: WallMillis };
}

/** Told when a circuit opens, opens again after a probe, or closes. Must not throw. */
export type CircuitListener = (now: CircuitView, before: CircuitState) => void;

/** How a lane is protected. */
export interface ProtectionOptions {
  /** `namespace/name`: seeds the circuit's jitter. */
  readonly seed: string;
  /** The Participant's name, for metrics and messages. */
  readonly name: string;
  /** @default as many as come */
  readonly rate?: RateLimit | undefined;
  /** @default CIRCUIT_POLICY */
  readonly policy?: CircuitPolicy;
  /** @default nobody */
  readonly onCircuit?: CircuitListener;
  /** Told of what is refused here; the lane tells of the rest. @default nobody */
  readonly observer?: SendObserver | undefined;
  /** @default the machine's clock */
  readonly clock?: Clock;
}

/** A lane behind a circuit breaker and a rate limit. */
export interface ProtectedLane extends Lane {
  readonly circuit: CircuitView;
}

/**
 * Puts a circuit breaker and a rate limit before a lane, whatever it leads over.
 *
 * - While the circuit is open, commands are answered `NotNow: CircuitOpen` and nothing is sent. What fails that was sent before it opened, or as a
 *   probe, is answered `NotNow` too: time with an open circuit costs no attempt (design rule 5). The engine takes a `NotNow` for "perhaps carried out"
 *   wherever a command was on its way, so that nothing is lost for a compensation by it. The deadline goes on (rule 9: only pause and hold stop it).
 * - Above the rate, a command waits for its turn for at most half of its time limit; one that would wait for longer is answered `NotNow: Busy` at
 *   once. What it waited is taken from the time that the lane has for it.
 */
export function protectedLane(lane: Lane, options: ProtectionOptions): ProtectedLane {
  return new Protection(lane, options);
}

class Protection implements ProtectedLane {
  readonly #lane: Lane;
  readonly #name: string;
  readonly #circuit: Circuit;
  readonly #bucket: TokenBucket | undefined;
  readonly #onCircuit: CircuitListener | undefined;
  readonly #observer: SendObserver | undefined;
  readonly #clock: Clock;
  /** Ends the waiting for a turn. */
  readonly #waiting = new Set<() => void>();
  #cause: CircuitView['cause'];

  constructor(lane: Lane, options: ProtectionOptions) {
    this.#lane = lane;
    this.#name = options.name;
    this.#circuit = new Circuit(options.seed, options.policy ?? CIRCUIT_POLICY);
    this.#bucket = options.rate === undefined ? undefined : new TokenBucket(options.rate);
    this.#onCircuit = options.onCircuit;
    this.#observer = options.observer;
    this.#clock = options.clock ?? systemClock;
  }

  get circuit(): CircuitView {
    const now = this.#clock.monotonic();
    const state = this.#circuit.stateAt(now);
    const { until } = this.#circuit;
    return {
      state,
      ...(state === 'Open' && until !== undefined ? { until: Math.round(this.#clock.wall() + until - now) } : {}),
      ...(this.#cause === undefined ? {} : { cause: this.#cause }),
    };
  }

  async send(run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer> {
    const began = this.#clock.monotonic();
    const refusal = this.#circuit.refusal(began, effect.key);
    if (refusal !== undefined) return this.#refuse(effect, this.#open(refusal));
    const wait = this.#bucket === undefined ? 0 : this.#bucket.take(began, effect.timeout / 2);
    if (wait === undefined) return this.#refuse(effect, this.#busy(effect, began));
    if (wait > 0) await this.#turn(wait, signal);
    const now = wait > 0 ? this.#clock.monotonic() : began;
    const permit = this.#circuit.admit(now, effect.key);
    if ('retryIn' in permit) return this.#refuse(effect, this.#open(permit));
    const timed = now === began ? effect : { ...effect, timeout: effect.timeout - (now - began) };
    const answer = await this.#lane.send(run, timed, signal);
    return this.#settle(permit, effect, answer);
  }

  close(): Promise<void> {
    // What waits for its turn is told by the lane.
    const closed = this.#lane.close();
    for (const end of this.#waiting) end();
    return closed;
  }

  shed(answer: (key: string) => Answer): void {
    this.#lane.shed?.(answer);
  }

  #turn(wait: RunMillis, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        cancel();
        signal.removeEventListener('abort', end);
        this.#waiting.delete(end);
        resolve();
      };
      const cancel = this.#clock.after(wait, end);
      signal.addEventListener('abort', end, { once: true });
      this.#waiting.add(end);
    });
  }

  #settle(permit: Permit, { key }: SendEffect, answer: Answer): Answer {
    const now = this.#clock.monotonic();
    const before = this.#circuit.stateAt(now);
    const counts = this.#circuit.settle(permit, verdictOf(answer), now);
    const after = this.#circuit.stateAt(now);
    if (answer.type === 'Unknown' && !counts) {
      const { reason, message } = answer;
      this.#cause = { reason, message, at: this.#clock.wall() };
    }
    if (after !== before) this.#changed(before);
    if (answer.type !== 'Unknown' || counts) return answer;
    const told = `${answer.message}; it costs no attempt: the circuit of ${this.#name} is or was open`;
    return { type: 'NotNow', reason: 'CircuitOpen', message: told, ...later(this.#circuit.refusal(now, key)) };
  }

  #changed(before: CircuitState): void {
    const view = this.circuit;
    if (view.state === 'Open') {
      this.#lane.shed?.((key) => this.#open(this.#circuit.refusal(this.#clock.monotonic(), key) ?? { retryIn: 0 }));
    }
    this.#onCircuit?.(view, before);
  }

  #refuse({ command }: SendEffect, answer: Answer): Answer {
    this.#observer?.(this.#name, command, answer.type, 0);
    return answer;
  }

  #open({ retryIn }: Refusal): Answer {
    const cause = this.#cause === undefined ? '' : ` (${this.#cause.reason}: ${this.#cause.message})`;
    const message = `the circuit of ${this.#name} is open, because it failed too often${cause}; nothing was sent`;
    return { type: 'NotNow', reason: 'CircuitOpen', message, retryAfter: retryIn };
  }

  #busy({ command, timeout, key }: SendEffect, now: number): Answer {
    const wait = Math.ceil(this.#bucket?.waitAt(now) ?? 0);
    const message = `${command}: its turn would come in ${wait} ms, which is over half of its ${timeout} ms; raise limits.requestsPerSecond of the Participant ${this.#name} if it bears more`;
    return { type: 'NotNow', reason: 'Busy', message, retryAfter: Math.ceil(wait * (0.5 + fraction(key))) };
  }
}

function later(refusal: Refusal | undefined): { retryAfter?: RunMillis } {
  return refusal === undefined ? {} : { retryAfter: refusal.retryIn };
}
