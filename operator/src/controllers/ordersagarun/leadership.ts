import type { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import { type LeaderElector, LeaseLostError } from '../../kube/leases.ts';
import type { Runner } from '../../runner/runner.ts';
import { type Clock, pause } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Runnable } from '../../runtime/manager.ts';
import { Inheritance } from './inheritance.ts';

/** How often the memory of finished runs is pruned. */
const PRUNE_EVERY_MILLIS = 3_600_000;

export interface LeadershipOptions {
  readonly finished: FinishedRuns;
  readonly runner: Runner;
  readonly clock: Clock;
  /** Undefined where this process needs no lease. */
  readonly elector: LeaderElector | undefined;
  readonly logger: Logger;
}

/**
 * What a leadership begins and ends with. At its begin: what was finished, and what may be somebody's unfinished work. At its end: a leader that stops
 * in order makes durable what it knows; one that lost its lease does nothing more, from that very moment on (design rule 10). One that could not make it
 * durable, in time or at all, leaves its lease to expire: its successor has to know that steps may have been sent which no journal names (rule 3).
 */
export class Leadership implements Runnable {
  readonly name = 'order-runs';
  /** What the controller waits for. Rejects when the leadership ends before it is known, so that nobody waits for ever. */
  readonly inheritance: Promise<Inheritance>;
  readonly #o: LeadershipOptions;
  readonly #known = Promise.withResolvers<Inheritance>();

  constructor(options: LeadershipOptions) {
    this.#o = options;
    this.inheritance = this.#known.promise;
    this.inheritance.catch(() => undefined);
  }

  async start(signal: AbortSignal): Promise<void> {
    const { finished, runner, clock, elector } = this.#o;
    const lost = (): void => {
      if (signal.reason instanceof LeaseLostError) runner.abandon();
    };
    if (signal.aborted) lost();
    signal.addEventListener('abort', lost, { once: true });
    signal.addEventListener('abort', () => this.#known.reject(signal.reason), { once: true });
    try {
      await finished.load();
      if (elector !== undefined) elector.inOrder = false;
      this.#known.resolve(new Inheritance(elector?.acquiredVersion, elector?.predecessorDied ?? true));
      while (!signal.aborted) {
        await this.#prune();
        await pause(clock, PRUNE_EVERY_MILLIS, signal);
      }
    } catch (error) {
      this.#known.reject(error);
      if (!signal.aborted) throw error;
    }
    if (signal.reason instanceof LeaseLostError) return;
    await runner.release();
    await finished.flush();
    if (elector !== undefined) elector.inOrder = true;
  }

  /** What cannot be pruned now is pruned in an hour: no reason to leave the lead. */
  async #prune(): Promise<void> {
    try {
      await this.#o.finished.prune();
    } catch (error) {
      this.#o.logger.warn('finished runs of long ago could not be forgotten; tried again in an hour', { error });
    }
  }
}
