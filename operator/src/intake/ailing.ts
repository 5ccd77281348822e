import { ApiError, TransportError } from '../kube/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { IntakeBusy } from './intake.ts';

/** Who answers later, only to refuse, ails: its requests would fill the connections that all namespaces share. */
const SLOW_MILLIS = 1_000;
/** How soon an order of an ailing namespace may come again. */
const RETRY_MILLIS = 2_000;
/** Namespaces that ail at once, at most; the oldest is taken for well. */
const MOST = 1_000;

/**
 * Namespaces that refuse badly: a webhook of theirs does not answer, or answers late. While one ails, one of its orders at a time asks, so that it holds up no
 * other namespace; the first that is taken, or refused at once, heals it.
 */
export class AilingNamespaces {
  readonly #clock: Clock;
  /** Whether somebody is asking, by namespace. */
  readonly #ailing = new Map<string, boolean>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Does the work, unless the namespace ails and another is asking. Rejects as the work does. @throws IntakeBusy */
  async within<T>(namespace: string, work: () => Promise<T>): Promise<T> {
    if (this.#ailing.get(namespace) === true)
      throw new IntakeBusy(
        `namespace ${namespace} does not answer well: another of its orders is asking`,
        RETRY_MILLIS,
      );
    if (this.#ailing.has(namespace)) this.#ailing.set(namespace, true);
    const began = this.#clock.monotonic();
    try {
      const done = await work();
      this.#ailing.delete(namespace);
      return done;
    } catch (error) {
      if (isFailure(error) || this.#clock.monotonic() - began > SLOW_MILLIS) this.#ails(namespace);
      else this.#ailing.delete(namespace);
      throw error;
    }
  }

  #ails(namespace: string): void {
    if (this.#ailing.size >= MOST) this.#ailing.delete(this.#ailing.keys().next().value as string);
    this.#ailing.set(namespace, false);
  }
}

/** The API server, or a webhook that it asked, failed on this one. That nobody can be reached is no namespace's fault. */
const isFailure = (error: unknown): boolean =>
  (error instanceof ApiError && error.code >= 500) || (error instanceof TransportError && error.failure !== 'connect');
