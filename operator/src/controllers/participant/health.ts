import type { Answer } from '../../saga/types.ts';

/** After so many answers in a row that were none, a participant counts as unavailable. */
const UNAVAILABLE_AFTER = 3;

export interface Health {
  readonly available: boolean;
  /** The last answer that was none. */
  readonly lastError?: { readonly reason: string; readonly message: string; readonly at: number };
}

/** Learns from the answers to commands which participants answer. Any answer of theirs counts, also a refusal: they are there. */
export class ParticipantHealth {
  readonly #failures = new Map<string, number>();
  readonly #errors = new Map<string, NonNullable<Health['lastError']>>();

  /** Takes note of one answer. */
  answered(namespace: string, name: string, answer: Answer, at: number): void {
    const key = `${namespace}/${name}`;
    if (answer.type !== 'Unknown') {
      this.#failures.delete(key);
      return;
    }
    this.#failures.set(key, (this.#failures.get(key) ?? 0) + 1);
    this.#errors.set(key, { reason: answer.reason, message: answer.message, at });
  }

  /** What is known of a participant; one that was never called counts as available. */
  of(namespace: string, name: string): Health {
    const key = `${namespace}/${name}`;
    const lastError = this.#errors.get(key);
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
