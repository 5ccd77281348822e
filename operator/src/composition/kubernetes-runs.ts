import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { BY_SAGA, sagaKey, sagaKeys } from '../controllers/ordersaga/controller.ts';
import { OrderSagaRunController } from '../controllers/ordersagarun/controller.ts';
import { Forgetting } from '../controllers/ordersagarun/forgetting.ts';
import { observeRuns } from '../controllers/ordersagarun/observer.ts';
import { BY_STANDING, Places, standingKeys } from '../controllers/ordersagarun/places.ts';
import { idOf, outcomeOf, trim } from '../controllers/ordersagarun/run.ts';
import { RunShards } from '../controllers/ordersagarun/shards.ts';
import { standingMetrics } from '../controllers/ordersagarun/standing.ts';
import { Undertow } from '../controllers/ordersagarun/undertow.ts';
import { KubernetesIntake } from '../intake/kubernetes.ts';
import { KubernetesAnnouncements } from '../journals/kubernetes/announcements.ts';
import { FinishedRuns } from '../journals/kubernetes/finished.ts';
import { KubernetesJournal, orderSagaRuns, placeOf } from '../journals/kubernetes/journal.ts';
import type { Cache } from '../kube/cache.ts';
import type { RunnerObserver } from '../runner/ports.ts';
import { Runner } from '../runner/runner.ts';
import { traceEnd } from '../runner/trace-end.ts';
import { pause } from '../runtime/clock.ts';
import { watches } from '../runtime/controller.ts';
import { done } from '../runtime/result.ts';
import type { RunId } from '../saga/types.ts';
import { shardMetrics } from '../sharding/metrics.ts';
import { shardOf } from '../sharding/shard.ts';
import { Sharding } from '../sharding/sharding.ts';
import { addAnnouncer, isTold } from './announcements.ts';
import type { Foundation } from './foundation.ts';
import { addIntake } from './intake.ts';

/** Runs at a time that are looked at; no reconcile waits for a participant, so few are enough. */
const RUN_WORKERS = 16;
/** Runs that end within this time are remembered by one write. */
const COLLECT_MILLIS = 500;

/** Runs that live in the status of their OrderSagaRuns, divided among the replicas. */
export interface KubernetesRuns {
  readonly runs: Cache<OrderSagaRun>;
  readonly journal: KubernetesJournal;
  /** At once: nothing more is sent or written. */
  abandon(): void;
}

/** Adds what drives them. */
export function addKubernetesRuns(foundation: Foundation): KubernetesRuns {
  const { options, manager, client, sagas, declared, clock, logger, metrics, recorder, election, sight } = foundation;
  const { namespace, shards } = options;
  const runs = manager.cache(orderSagaRuns, {
    transform: trim,
    indexes: { [BY_SAGA]: sagaKeys, [BY_STANDING]: standingKeys((id) => shardOf(id, shards)) },
  });
  const fence = runs.fence();
  const finished = new FinishedRuns(
    client,
    namespace,
    () => clock.wall(),
    () => pause(clock, COLLECT_MILLIS),
    foundation.unique,
    options.rememberOrdersMs,
  );
  const journal = new KubernetesJournal({
    client,
    operatorNamespace: namespace,
    wrote: (answer) => {
      fence.wrote(answer);
      work.wrote(answer);
    },
    wall: () => clock.wall(),
  });
  standingMetrics(metrics.registry, runs, () => clock.wall());
  const announcements = isTold(options) ? new KubernetesAnnouncements(() => clock.wall()) : undefined;
  const told = observeRuns({
    runs,
    recorder,
    metrics: foundation.runMetrics,
    logger,
    clock,
    ended: (id, outcome) => finished.note(id, outcome),
    left: (id) => {
      journal.forget(id);
      orders.enqueue(placeOf(id));
      const next = places.next(id);
      if (next !== undefined) orders.enqueue(next);
    },
    parted: (id) => journal.forget(id),
  });
  const traceOf = (id: RunId) => runner.find(id)?.traceparent;
  const noted: RunnerObserver = {
    ...told,
    ended: (id, state) => {
      traceEnd(foundation.tracing, id, state, traceOf(id));
      told.ended?.(id, state);
    },
    transitioned: (id, before, after, event, effects) => {
      // The first thing that a run hears which was begun elsewhere.
      if (event.type === 'TakenOver' || event.type === 'Damaged') work.tookUp(id);
      told.transitioned?.(id, before, after, event, effects);
    },
  };
  const runner: Runner = new Runner({
    journal,
    participants: foundation.participants,
    clock,
    mayAct: (id) => sharding.mayAct(id),
    observer: announcements === undefined ? noted : announcing(noted, announcements, traceOf),
  });
  sight.active = () => runner.size;
  sight.held = () =>
    [...sagas.values()].reduce(
      (held, { metadata }) =>
        held + runs.countByIndex(BY_SAGA, `${sagaKey(metadata.namespace ?? '', metadata.name)}/Held`),
      0,
    );
  const work: RunShards = new RunShards({
    runs,
    runner,
    finished,
    shardOf: (id) => shardOf(id, shards),
    look: ({ metadata }) => orders.enqueue({ namespace: metadata.namespace ?? '', name: metadata.name }),
    clock,
  });
  const sharding: Sharding = new Sharding({
    ...election,
    client,
    shards,
    makesLeases: () => manager.elector?.isLeading === true,
    work,
    clock,
    logger,
  });
  manager.add(sharding);
  manager.add(sharding.asLeader());
  manager.add(new Forgetting({ finished, clock, logger }));
  shardMetrics(metrics.registry, sharding);
  const places = new Places({
    runs,
    driven: (where, saga) => runner.countOf(where, saga),
    shards,
    isOurs: (shard) => sharding.isOpen(shard),
    wall: () => clock.wall(),
  });
  runs.onChange((change) => {
    const next = places.freedBy(change);
    if (next !== undefined) orders.enqueue(next);
  });
  const orderRuns = new OrderSagaRunController({
    client,
    sagas,
    participants: declared,
    fence,
    runner,
    journal,
    finished,
    shards: sharding,
    places,
    undertow: new Undertow(client, clock),
    recorder,
    clock,
    ...(announcements === undefined ? {} : { announcements }),
  });
  const orders = manager.controller({
    name: 'ordersagarun',
    for: runs,
    fence,
    reconcile: (run, context) => orderRuns.reconcile(run, context),
    reconcileAbsent: async (place) => {
      orderRuns.vanished(place);
      return done();
    },
    needsLeaderElection: false,
    filter: (change) => {
      const run = change.type === 'deleted' ? change.old : change.object;
      return sharding.isOpen(sharding.of(idOf(run)));
    },
    maxConcurrentReconciles: RUN_WORKERS,
    watches: [
      watches(sagas, ({ metadata }) =>
        runs
          .byIndex(BY_SAGA, sagaKey(metadata.namespace ?? '', metadata.name))
          .filter((run) => outcomeOf(run) === undefined)
          .map((run) => ({ namespace: run.metadata.namespace ?? '', name: run.metadata.name })),
      ),
    ],
  });
  const announcer =
    announcements &&
    addAnnouncer(foundation, { source: announcements, ready: async () => undefined, needsLeaderElection: false });
  announcements?.onNews(() => announcer?.wake());
  addIntake(foundation, new KubernetesIntake(client, clock, options.watchNamespaces), announcer);
  return { runs, journal, abandon: () => runner.abandon() };
}

/** Notes what subscribers are to be told: holds that begin, end, or were taken over, and ends. */
function announcing(
  others: RunnerObserver,
  announcements: KubernetesAnnouncements,
  traceOf: (id: RunId) => string | undefined,
): RunnerObserver {
  return {
    ...others,
    transitioned: (id, before, after, event, effects) => {
      others.transitioned?.(id, before, after, event, effects);
      const changed = before.hold?.id !== after.hold?.id;
      // Before the end is told, what came before it has been.
      if (after.ended === undefined && (changed || event.type === 'TakenOver'))
        announcements.note(id, after, traceOf(id));
    },
    ended: (id, state) => {
      announcements.note(id, state, traceOf(id));
      others.ended?.(id, state);
    },
  };
}
