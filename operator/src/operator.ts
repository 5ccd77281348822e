import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { BY_SAGA, OrderSagaController, orderSagas, sagaKey, sagaKeys } from './controllers/ordersaga/controller.ts';
import { OrderSagaRunController } from './controllers/ordersagarun/controller.ts';
import { Forgetting } from './controllers/ordersagarun/forgetting.ts';
import { runMetrics } from './controllers/ordersagarun/metrics.ts';
import { observeRuns } from './controllers/ordersagarun/observer.ts';
import { BY_STANDING, Places, standingKeys } from './controllers/ordersagarun/places.ts';
import { idOf, outcomeOf, trim } from './controllers/ordersagarun/run.ts';
import { RunShards } from './controllers/ordersagarun/shards.ts';
import { standingMetrics } from './controllers/ordersagarun/standing.ts';
import { Undertow } from './controllers/ordersagarun/undertow.ts';
import { reportCircuits } from './controllers/participant/circuits.ts';
import { ParticipantController } from './controllers/participant/controller.ts';
import { ParticipantHealth } from './controllers/participant/health.ts';
import { participantMetrics } from './controllers/participant/metrics.ts';
import { feedRegistry, participants } from './controllers/participant/registry.ts';
import { addWarehouseControllers } from './controllers/warehouses.ts';
import { FinishedRuns } from './journals/kubernetes/finished.ts';
import { KubernetesJournal, orderSagaRuns, placeOf } from './journals/kubernetes/journal.ts';
import { KubeClient } from './kube/client.ts';
import { loadConfig } from './kube/config.ts';
import { EventRecorder } from './kube/events.ts';
import { createTransport } from './kube/transport.ts';
import type { Options } from './options.ts';
import { participantTokens } from './participants/audiences.ts';
import { observed } from './participants/observed.ts';
import { ParticipantRegistry } from './participants/registry.ts';
import { requestedTokens } from './participants/tokens.ts';
import { OPERATOR } from './rights.ts';
import { Runner } from './runner/runner.ts';
import { pause, systemClock } from './runtime/clock.ts';
import { watches } from './runtime/controller.ts';
import { createLogger } from './runtime/logger.ts';
import { Manager } from './runtime/manager.ts';
import { FrameworkMetrics } from './runtime/metrics.ts';
import { done } from './runtime/result.ts';
import { shardMetrics } from './sharding/metrics.ts';
import { shardOf } from './sharding/shard.ts';
import { Sharding } from './sharding/sharding.ts';

/** Runs at a time that are looked at; no reconcile waits for a participant, so few are enough. */
const RUN_WORKERS = 16;
/** Runs that end within this time are remembered by one write. */
const COLLECT_MILLIS = 500;

/** The operator, put together: one process, all controllers. Runs are divided among the replicas; everything else is the leader's. */
export class Operator {
  readonly #options: Options;

  constructor(options: Options) {
    this.#options = options;
  }

  /** Runs until `stop` aborts and everything has stopped in order. Rejects with what made it fail (a lost lease among others). */
  async run(stop: AbortSignal): Promise<void> {
    const { namespace, serviceAccount, watchNamespaces, leaseDurationMs, shards } = this.#options;
    const clock = systemClock;
    const logger = createLogger({ level: this.#options.logLevel });
    const metrics = new FrameworkMetrics({ processMetrics: true });
    const config = loadConfig(this.#options.kubeconfig === undefined ? {} : { kubeconfig: this.#options.kubeconfig });
    const transport = createTransport(config, {
      connections: this.#options.connections,
      observer: metrics.requests(),
      logger,
    });
    const client = new KubeClient(transport);
    const unique = randomBytes(4).toString('hex');
    const identity = `${hostname()}_${unique}`;
    const election = {
      namespace,
      identity,
      leaseDurationMs,
      renewDeadlineMs: Math.round((leaseDurationMs * 2) / 3),
      retryPeriodMs: Math.round((leaseDurationMs * 2) / 15),
    };
    const manager = new Manager({
      client,
      ...(watchNamespaces.length === 0 ? {} : { namespaces: watchNamespaces }),
      leaderElection: { ...election, name: OPERATOR },
      health: { host: this.#options.healthHost, port: this.#options.healthPort },
      metrics,
      logger,
      clock,
    });
    const recorder = new EventRecorder({
      client,
      reportingController: 'mercato.dev/operator',
      reportingInstance: identity,
      clock,
      logger,
      observer: metrics.events(),
    });

    const runs = manager.cache(orderSagaRuns, {
      transform: trim,
      indexes: { [BY_SAGA]: sagaKeys, [BY_STANDING]: standingKeys((id) => shardOf(id, shards)) },
    });
    const sagas = manager.cache(orderSagas);
    const declared = manager.cache(participants);
    const fence = runs.fence();
    const health = new ParticipantHealth();
    const finished = new FinishedRuns(
      client,
      namespace,
      () => clock.wall(),
      () => pause(clock, COLLECT_MILLIS),
      unique,
    );
    const journal = new KubernetesJournal({
      client,
      operatorNamespace: namespace,
      wrote: (answer) => fence.wrote(answer),
      wall: () => clock.wall(),
    });
    const measured = runMetrics(
      metrics.registry,
      () => runner.size,
      () =>
        [...sagas.values()].reduce(
          (held, { metadata }) =>
            held + runs.countByIndex(BY_SAGA, `${sagaKey(metadata.namespace ?? '', metadata.name)}/Held`),
          0,
        ),
    );
    standingMetrics(metrics.registry, runs, () => clock.wall());
    const tokens = requestedTokens({
      requestToken: participantTokens((audiences, expirationSeconds, signal) =>
        client.createToken(
          { namespace, name: serviceAccount },
          { audiences: [...audiences], expirationSeconds },
          { signal },
        ),
      ),
      onError: (audience, error) => logger.warn('no token for an audience', { audience, error }),
      clock,
    });
    const registry: ParticipantRegistry = new ParticipantRegistry({
      tokens,
      onCircuit: reportCircuits({
        client,
        declared,
        recorder,
        metrics: participantMetrics(metrics.registry, () => registry.circuits()),
        logger,
        leads: () => manager.elector?.isLeading ?? true,
        enqueue: (place) => statuses.enqueue(place),
      }),
      observer: (participant, command, answer, seconds) =>
        measured.requests.observe({ participant, command, answer }, seconds),
      clock,
    });
    const runner: Runner = new Runner({
      journal,
      participants: observed(registry, (run, effect, answer) =>
        health.answered(run.namespace, effect.participant, answer, clock.wall()),
      ),
      clock,
      mayAct: (id) => sharding.mayAct(id),
      observer: observeRuns({
        runs,
        recorder,
        metrics: measured,
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
      }),
    });
    const sharding: Sharding = new Sharding({
      ...election,
      client,
      shards,
      makesLeases: () => manager.elector?.isLeading === true,
      work: new RunShards({
        runs,
        runner,
        finished,
        shardOf: (id) => shardOf(id, shards),
        look: ({ metadata }) => orders.enqueue({ namespace: metadata.namespace ?? '', name: metadata.name }),
      }),
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
    const sagaFence = sagas.fence();
    const definitions = new OrderSagaController({
      client,
      fence: sagaFence,
      runs,
      participants: declared,
      journal,
      clock,
    });
    manager.controller({
      name: 'ordersaga',
      for: sagas,
      fence: sagaFence,
      reconcile: (saga) => definitions.reconcile(saga),
      watches: [watches(declared, ({ metadata }) => sagasOf(metadata.namespace ?? ''))],
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
    feedRegistry(declared, registry, logger);
    const closeWarehouses = addWarehouseControllers(manager, {
      client,
      participants: declared,
      tokens,
      recorder,
      registry: metrics.registry,
      clock,
    });

    function sagasOf(where: string): { namespace: string; name: string }[] {
      return sagas.list(where).map(({ metadata }) => ({ namespace: where, name: metadata.name }));
    }

    try {
      await manager.run(stop);
    } finally {
      runner.abandon();
      await recorder.stop();
      await registry.close();
      await closeWarehouses();
      await transport.close();
    }
  }
}
