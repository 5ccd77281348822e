import type { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import { type Clock, pause } from '../../runtime/clock.ts';
import type { Logger } from '../../runtime/logger.ts';
import type { Runnable } from '../../runtime/manager.ts';

/** How often the memory of finished runs is pruned. */
const PRUNE_EVERY_MILLIS = 3_600_000;

/** Forgets what has been remembered of finished runs for long enough: the leader's work, whoever wrote it. */
export class Forgetting implements Runnable {
  readonly name = 'finished-runs';
  readonly #o: { readonly finished: FinishedRuns; readonly clock: Clock; readonly logger: Logger };

  constructor(options: { readonly finished: FinishedRuns; readonly clock: Clock; readonly logger: Logger }) {
    this.#o = options;
  }

  async start(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#o.finished.load();
        await this.#o.finished.prune();
      } catch (error) {
        // No reason to leave the lead.
        this.#o.logger.warn('finished runs of long ago could not be forgotten; tried again in an hour', { error });
      }
      await pause(this.#o.clock, PRUNE_EVERY_MILLIS, signal);
    }
  }
}
