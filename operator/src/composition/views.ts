import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { viewMetrics } from '../controllers/view/metrics.ts';
import { Views } from '../controllers/view/views.ts';
import type { WorkerJournal } from '../journals/worker-journal.ts';
import type { Cache } from '../kube/cache.ts';
import type { Foundation } from './foundation.ts';

/** How long a View stays after its run needs nobody any more: whoever decided reads what came of it. */
const TTL_MILLIS = 10 * 60_000;
/** How long one stays that a person asked for. */
const ASKED_TTL_MILLIS = 60 * 60_000;

/** Adds what shows runs of a journal outside Kubernetes to people. @param ready resolves once the journal can be asked; absent: at once */
export function addViews(
  { options, manager, client, recorder, metrics, clock, logger }: Foundation,
  runs: Cache<OrderSagaRun>,
  journal: WorkerJournal,
  ready?: (signal: AbortSignal) => Promise<void>,
): Views {
  const views = new Views({
    client,
    operatorNamespace: options.namespace,
    runs,
    journal,
    ...(ready === undefined ? {} : { ready }),
    recorder,
    metrics: viewMetrics(metrics.registry),
    clock,
    logger,
    limits: { cap: options.maxViews, ttl: TTL_MILLIS, askedTtl: ASKED_TTL_MILLIS },
  });
  manager.add(views);
  return views;
}
