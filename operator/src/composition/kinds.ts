import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { OrderSagaController } from '../controllers/ordersaga/controller.ts';
import { ParticipantController } from '../controllers/participant/controller.ts';
import type { Views } from '../controllers/view/views.ts';
import { addWarehouseControllers } from '../controllers/warehouses.ts';
import type { Journal } from '../journals/journal.ts';
import type { Cache } from '../kube/cache.ts';
import { watches } from '../runtime/controller.ts';
import type { Foundation } from './foundation.ts';

/**
 * Adds the controllers of all kinds but OrderSagaRun: what only the leader does, wherever runs live.
 * @param elsewhere knows how runs fare that live in a journal outside Kubernetes
 */
export function addKinds(
  { manager, client, sagas, declared, health, registry, tokens, recorder, metrics, clock, sight, closers }: Foundation,
  runs: Cache<OrderSagaRun>,
  journal: Pick<Journal, 'saveRevision'>,
  elsewhere?: Pick<Views, 'populationOf'>,
): void {
  const sagaFence = sagas.fence();
  const definitions = new OrderSagaController({
    client,
    fence: sagaFence,
    runs,
    participants: declared,
    journal,
    clock,
    ...(elsewhere === undefined ? {} : { elsewhere }),
  });
  manager.controller({
    name: 'ordersaga',
    for: sagas,
    fence: sagaFence,
    reconcile: (saga) => definitions.reconcile(saga),
    watches: [
      watches(declared, ({ metadata: { namespace = '' } }) =>
        sagas.list(namespace).map(({ metadata }) => ({ namespace, name: metadata.name })),
      ),
    ],
  });
  const participantFence = declared.fence();
  const participantStatus = new ParticipantController({
    client,
    fence: participantFence,
    health,
    circuitOf: (where, name) => registry.circuitOf(where, name),
    clock,
  });
  const statuses = manager.controller({
    name: 'participant',
    for: declared,
    fence: participantFence,
    reconcile: (participant) => participantStatus.reconcile(participant),
    reconcileAbsent: ({ namespace: where, name }) => {
      health.forget(where, name);
      return { kind: 'done' };
    },
  });
  sight.circuitChanged = (place) => statuses.enqueue(place);
  closers.push(
    addWarehouseControllers(manager, {
      client,
      participants: declared,
      tokens,
      recorder,
      registry: metrics.registry,
      clock,
    }),
  );
}
