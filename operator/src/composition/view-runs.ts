import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { BY_SAGA, sagaKeys } from '../controllers/ordersaga/controller.ts';
import { ElsewhereController } from '../controllers/ordersagarun/elsewhere.ts';
import { trim } from '../controllers/ordersagarun/run.ts';
import { standingMetrics } from '../controllers/ordersagarun/standing.ts';
import { orderSagaRuns } from '../journals/kubernetes/journal.ts';
import type { Cache } from '../kube/cache.ts';
import type { Foundation } from './foundation.ts';

/** Adds what becomes of OrderSagaRuns where runs live in a journal outside Kubernetes. @returns all of them, Views and others */
export function addViewRuns(
  { manager, client, recorder, metrics, clock }: Foundation,
  journal: 'sqlite' | 'dynamodb',
): Cache<OrderSagaRun> {
  const runs = manager.cache(orderSagaRuns, { transform: trim, indexes: { [BY_SAGA]: sagaKeys } });
  standingMetrics(metrics.registry, runs, () => clock.wall());
  const fence = runs.fence();
  const elsewhere = new ElsewhereController({ client, fence, recorder, clock, journal });
  manager.controller({ name: 'ordersagarun', for: runs, fence, reconcile: (run) => elsewhere.reconcile(run) });
  return runs;
}
