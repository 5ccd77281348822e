import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { compareVersions } from '../../kube/version.ts';
import { runKey } from '../../saga/command.ts';
import type { RunId } from '../../saga/types.ts';
import { hasFinalizer, idOf, outcomeOf } from './run.ts';

/**
 * Runs of a shard that its last holder left when it died, and that nobody has taken up since: what it did of them is on nobody's record yet. A shard with such a run is
 * not handed over as known, or the next holder would believe their status as it stands (design rule 3, docs/adr/inherited-runs.md).
 */
export class Doubts {
  readonly #since: string;
  readonly #runs = new Map<string, RunId>();

  /** @param since the resourceVersion of the shard's Lease when we got it */
  constructor(since: string) {
    this.#since = since;
  }

  /** A run of the shard, as the cache has it when the shard is opened. */
  found(run: OrderSagaRun): void {
    const id = idOf(run);
    if (isBegun(run)) this.#runs.set(runKey(id), id);
  }

  /** A run of the shard changed in the cache: what is no newer than our hold on the shard is the last holder's, heard of late. */
  heard(run: OrderSagaRun): void {
    const { resourceVersion } = run.metadata;
    if (resourceVersion !== undefined && compareVersions(resourceVersion, this.#since) <= 0) this.found(run);
  }

  /** The runner took a run up: what it began with here is durable, or will be before it is released. */
  tookUp(id: RunId): void {
    this.#runs.delete(runKey(id));
  }

  /** Whether nothing is in doubt any more. @param now gives a run's object as it is; undefined for one that is gone */
  areSettled(now: (id: RunId) => OrderSagaRun | undefined): boolean {
    for (const id of this.#runs.values()) {
      const run = now(id);
      if (run !== undefined && isBegun(run)) return false;
    }
    return true;
  }
}

/** Whether somebody may have done something for this run that has to be known: it was begun, and has not ended. */
function isBegun(run: OrderSagaRun): boolean {
  return run.spec.mode !== 'View' && hasFinalizer(run) && outcomeOf(run) === undefined;
}
