import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { compareVersions } from '../../kube/version.ts';
import { hasFinalizer } from './run.ts';

/**
 * Which runs of a shard without a status another worker may have driven before this one held the shard, and whether that worker died: for those design rule 3 applies,
 * although nothing of them was written yet.
 *
 * A worker puts the finalizer on a run before it does anything for it. And what was made since we hold the shard has a higher resourceVersion than its Lease
 * had when we got it; an object whose version rose since for another reason (someone changed its spec) shows that by its generation.
 */
export class Inheritance {
  readonly #since: string | undefined;
  /** The last holder did not hand the shard over. */
  readonly died: boolean;

  /** @param since the resourceVersion of the shard's Lease when we got it; undefined counts every run as inherited */
  constructor(since: string | undefined, died: boolean) {
    this.#since = since;
    this.died = died;
  }

  /** Whether another worker may have begun with this run. */
  includes(run: OrderSagaRun): boolean {
    if (!hasFinalizer(run)) return false;
    const { resourceVersion, generation } = run.metadata;
    if (this.#since === undefined || resourceVersion === undefined || generation !== 1) return true;
    return compareVersions(resourceVersion, this.#since) <= 0;
  }
}
