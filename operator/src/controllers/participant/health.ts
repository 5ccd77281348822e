import type { CircuitView } from '../../participants/protection.ts';
import type { Answer } from '../../saga/types.ts';

/** After so many answers in a row that were none, a participant counts as unavailable. */
const UNAVAILABLE_AFTER = 3;

export interface Health {
  readonly available: boolean;
  /** The last answer that was none. */
  readonly lastError?: { readonly reason: string; readonly message: string; readonly at: number };
}

/** A NotNow in its own words: it is there, and has no time. Any other only says that it was not asked. */
const OWN_WORDS: ReadonlySet<string> = new Set(['InFlight', 'Overloaded']);

/** Learns from the answers to commands which participants answer. Any answer of theirs counts, also a refusal: they are there. */
export class ParticipantHealth {
  readonly #failures = new Map<string, number>();
  readonly #errors = new Map<string, NonNullable<Health['lastError']>>();

  /** Takes note of one answer. */
  answered(namespace: string, name: string, answer: Answer, at: number): void {
    const key = `${namespace}/${name}`;
    if (answer.type === 'NotNow' && !OWN_WORDS.has(answer.reason)) return;
    if (answer.type !== 'Unknown') {
      this.#failures.delete(key);
      return;
    }
    this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
    this.#errors.set(key, { reason: answer.reason, message: answer.message, at });
  }

  /** What is known of a participant; one that was never called counts as available. Its circuit knows of failures that cost no attempt. */
  of(namespace: string, name: string, circuit?: CircuitView): Health {
    const key = `${namespace}/${name}`;
    const heard = this.#errors.get(key);
    const cause = circuit?.cause;
    const lastError = cause !== undefined && (heard === undefined || cause.at >= heard.at) ? cause : heard;
    return {
      available: (this.#failures.get(key) ?? 0) < UNAVAILABLE_AFTER,
      ...(lastError === undefined ? {} : { lastError }),
    };
  }

  /** Forgets a participant that is gone. */
  forget(namespace: string, name: string): void {
    this.#failures.delete(`${namespace}/${name}`);
    this.#errors.delete(`${namespace}/${name}`);
  }
}
