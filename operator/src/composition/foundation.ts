import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Tracing } from '@mercato/tracing';
import type { OrderSaga } from '../api/ordersaga.ts';
import type { Participant } from '../api/participant.ts';
import { orderSagas } from '../controllers/ordersaga/controller.ts';
import { type RunMetrics, runMetrics } from '../controllers/ordersagarun/metrics.ts';
import { reportCircuits } from '../controllers/participant/circuits.ts';
import { ParticipantHealth } from '../controllers/participant/health.ts';
import { participantMetrics } from '../controllers/participant/metrics.ts';
import { feedRegistry, participants } from '../controllers/participant/registry.ts';
import type { Cache } from '../kube/cache.ts';
import { KubeClient } from '../kube/client.ts';
import { loadConfig } from '../kube/config.ts';
import { EventRecorder } from '../kube/events.ts';
import type { NamespacedName } from '../kube/key.ts';
import { createTransport } from '../kube/transport.ts';
import type { Options } from '../options.ts';
import { participantTokens } from '../participants/audiences.ts';
import { observed } from '../participants/observed.ts';
import type { Participants } from '../participants/participants.ts';
import { ParticipantRegistry } from '../participants/registry.ts';
import { requestedTokens, type TokenSource } from '../participants/tokens.ts';
import { traced } from '../participants/traced.ts';
import { OPERATOR } from '../rights.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { createLogger, type Logger } from '../runtime/logger.ts';
import { Manager } from '../runtime/manager.ts';
import { FrameworkMetrics } from '../runtime/metrics.ts';

/** What every role of the operator stands on: the cluster, the definitions, the way to participants. */
export interface Foundation {
  readonly options: Options;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: FrameworkMetrics;
  readonly tracing: Tracing;
  readonly client: KubeClient;
  readonly manager: Manager;
  readonly recorder: EventRecorder;
  /** Names this process, and no other. */
  readonly unique: string;
  /** For Leases. */
  readonly election: {
    readonly namespace: string;
    readonly identity: string;
    readonly leaseDurationMs: number;
    readonly renewDeadlineMs: number;
    readonly retryPeriodMs: number;
  };
  readonly sagas: Cache<OrderSaga>;
  readonly declared: Cache<Participant>;
  readonly health: ParticipantHealth;
  readonly tokens: TokenSource;
  readonly registry: ParticipantRegistry;
  /** The registry, with health listening to its answers, and spans around its commands. */
  readonly participants: Participants;
  readonly runMetrics: RunMetrics;
  /** What is put in later, by what knows it. */
  readonly sight: Sight;
  /** Called after everything has stopped, in the order of their adding. */
  readonly closers: (() => Promise<void>)[];
}

/** What the metrics and reports of the foundation ask for. */
export interface Sight {
  /** Runs that this process drives. */
  active: () => number;
  /** Runs that wait for a decision. */
  held: () => number;
  /** A Participant's status is to be written anew. */
  circuitChanged: (place: NamespacedName) => void;
}

/** Whether a process does what only one may do: when it holds the Lease, always since it is the only one, or never. */
export type Leadership = 'Elected' | 'Always' | 'Never';

/** Lays it. */
export function layFoundation(options: Options, leadership: Leadership, tracing: Tracing): Foundation {
  const { namespace, serviceAccount, watchNamespaces, leaseDurationMs } = options;
  const clock = systemClock;
  const logger = createLogger({ level: options.logLevel });
  const metrics = new FrameworkMetrics({ processMetrics: true });
  const config = loadConfig(options.kubeconfig === undefined ? {} : { kubeconfig: options.kubeconfig });
  const transport = createTransport(config, {
    connections: options.connections,
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
    ...(leadership === 'Elected' ? { leaderElection: { ...election, name: OPERATOR } } : {}),
    health: { host: options.healthHost, port: options.healthPort },
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
  const sagas = manager.cache(orderSagas);
  const declared = manager.cache(participants);
  const health = new ParticipantHealth();
  const sight: Sight = { active: () => 0, held: () => 0, circuitChanged: () => undefined };
  const measured = runMetrics(
    metrics.registry,
    () => sight.active(),
    () => sight.held(),
  );
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
      leads: () => leadership !== 'Never' && (manager.elector?.isLeading ?? true),
      enqueue: (place) => sight.circuitChanged(place),
    }),
    observer: (participant, command, answer, seconds) =>
      measured.requests.observe({ participant, command, answer }, seconds),
    onError: (error, doing) => logger.warn('the queue of answers', { doing, error }),
    clock,
  });
  feedRegistry(declared, registry, logger);
  const heard = observed(registry, (run, effect, answer) =>
    health.answered(run.namespace, effect.participant, answer, clock.wall()),
  );
  const closers = [() => recorder.stop(), () => registry.close(), () => tracing.close()];
  return {
    options,
    clock,
    logger,
    metrics,
    tracing,
    client,
    manager,
    recorder,
    unique,
    election,
    sagas,
    declared,
    health,
    tokens,
    registry,
    participants: traced(heard, tracing),
    runMetrics: measured,
    sight,
    closers,
  };
}
