import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import type { Cache } from '../../kube/cache.ts';
import type { KubeClient } from '../../kube/client.ts';
import type { ObjectKey } from '../../kube/key.ts';
import { compareVersions } from '../../kube/version.ts';
import { outcomeOf } from './run.ts';

/**
 * Which runs another worker may have driven before this one became the leader, and whether that worker died. For those, whatever their status says,
 * design rule 3 applies; a run that came later can only have been ours.
 */
export class Inheritance {
  readonly #keys: ReadonlySet<ObjectKey>;
  /** The last leader did not hand its lease over. */
  readonly died: boolean;

  constructor(keys: Iterable<ObjectKey>, died: boolean) {
    this.#keys = new Set(keys);
    this.died = died;
  }

  /** Whether another worker may have driven the run at this place. */
  includes(key: ObjectKey): boolean {
    return this.#keys.has(key);
  }
}

/**
 * Takes stock at the begin of a leadership. Waits until the cache shows everything that was written before: only then is a run that it does not
 * hold a new one. Rejects with the client's errors, or when `signal` aborts.
 */
export async function takeStock(
  client: KubeClient,
  runs: Cache<OrderSagaRun>,
  died: boolean,
  signal: AbortSignal,
): Promise<Inheritance> {
  // A list without a version is as new as this moment; one object is enough to learn the version.
  for await (const page of client.pages(orderSagaRuns, { pageSize: 1, signal })) {
    await catchUp(runs, page.resourceVersion, signal);
    break;
  }
  const unfinished = [...runs.keys()].filter((key) => {
    const run = runs.getByKey(key);
    return run !== undefined && outcomeOf(run) === undefined;
  });
  return new Inheritance(unfinished, died);
}

async function catchUp(runs: Cache<OrderSagaRun>, version: string, signal: AbortSignal): Promise<void> {
  const behind = (): boolean => compareVersions(runs.observedVersion('') ?? '0', version) < 0;
  while (behind()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
