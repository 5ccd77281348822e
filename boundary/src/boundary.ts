import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import type { Cache } from '@mercato/operator/kube/cache.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import type { NamespacedName } from '@mercato/operator/kube/key.ts';
import { namespaces as namespaceResource, serviceAccounts } from '@mercato/operator/kube/resource.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import { watches } from '@mercato/operator/runtime/controller.ts';
import { createLogger, type Logger } from '@mercato/operator/runtime/logger.ts';
import { Manager } from '@mercato/operator/runtime/manager.ts';
import { FrameworkMetrics } from '@mercato/operator/runtime/metrics.ts';
import { done } from '@mercato/operator/runtime/result.ts';
import { DriftClock } from './controllers/drift.ts';
import { Ledger } from './controllers/ledger.ts';
import { boundaryMetrics } from './controllers/metrics.ts';
import { BY_PLACE, placeKeys, type Sights } from './controllers/observe.ts';
import { BY_BOUNDARY, BY_NAMESPACE, PolicyController } from './controllers/policies.ts';
import { BY_JOB, ProbeController, probeJobKeys } from './controllers/probes.ts';
import { ReportingController } from './controllers/reporting.ts';
import { findings } from './findings/findings.ts';
import {
  bare,
  seenAdmission,
  seenNode,
  seenPod,
  seenPolicy,
  seenRoleBinding,
  seenService,
} from './kube/projections.ts';
import {
  admissionBindings,
  admissionPolicies,
  networkPolicies,
  nodes,
  pciBoundaries,
  pods,
  resourceQuotas,
  roleBindings,
  services,
} from './kube/resources.ts';
import { watchesSeen } from './kube/watches.ts';
import { PROBE_OF } from './labels.ts';
import type { Endpoint, Options } from './options.ts';
import { BOUNDARY_LABEL } from './policy/desired.ts';

const LEASE = 'mercato-boundary';
const FIELD_MANAGER = 'mercato-boundary';
/** A boundary whose writes are refused is tried again at least this often, in milliseconds. */
const MAX_BACKOFF_MILLIS = 30_000;
/** Few requests at a time: one boundary's policies are written one after the other. */
const CONNECTIONS = 8;
const BOUNDARIES_AT_A_TIME = 4;
/** Objects a page: a page of whole pods is what takes most memory at the start. */
const PAGE_SIZE = 200;

/** What a program is given by the process that it runs in. */
export interface Surroundings {
  /** Says where pods find the API server. @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** @default JSON lines on stderr, from the level of the options on */
  readonly logger?: Logger;
}

/** The boundary's controller, put together: one process, one lease, all its control loops. */
export class BoundaryProgram {
  readonly #options: Options;
  readonly #env: Readonly<Record<string, string | undefined>>;
  readonly #logger: Logger;

  constructor(options: Options, { env = process.env, logger }: Surroundings = {}) {
    this.#options = options;
    this.#env = env;
    this.#logger = logger ?? createLogger({ level: options.logLevel });
  }

  /** Runs until `stop` aborts and everything has stopped in order. Rejects with what made it fail (a lost lease among others). */
  async run(stop: AbortSignal): Promise<void> {
    const { namespace, leaseDurationMs } = this.#options;
    const clock = systemClock;
    const logger = this.#logger;
    const metrics = new FrameworkMetrics({ processMetrics: true });
    const config = loadConfig(this.#options.kubeconfig === undefined ? {} : { kubeconfig: this.#options.kubeconfig });
    const transport = createTransport(config, { connections: CONNECTIONS, observer: metrics.requests(), logger });
    const client = new KubeClient(transport, { fieldManager: FIELD_MANAGER });
    const identity = `${hostname()}_${randomBytes(4).toString('hex')}`;
    const manager = new Manager({
      client,
      leaderElection: {
        namespace,
        name: LEASE,
        identity,
        leaseDurationMs,
        renewDeadlineMs: Math.round((leaseDurationMs * 2) / 3),
        retryPeriodMs: Math.round((leaseDurationMs * 2) / 15),
      },
      health: { host: this.#options.healthHost, port: this.#options.healthPort },
      cacheDefaults: { pageSize: PAGE_SIZE },
      metrics,
      logger,
      clock,
    });
    const recorder = manager.recorder('mercato.dev/boundary', identity);
    const measured = boundaryMetrics(metrics.registry);

    const boundaries = manager.cache(pciBoundaries, { indexes: { [BY_NAMESPACE]: ({ spec }) => spec.namespaces } });
    const inPlace = { [BY_PLACE]: placeKeys };
    const policies = manager.cache(networkPolicies, {
      transform: seenPolicy,
      indexes: {
        ...inPlace,
        [BY_BOUNDARY]: ({ metadata }) => [metadata.labels?.[BOUNDARY_LABEL] ?? []].flat(),
      },
    });
    const sights: Sights = {
      policies,
      namespaces: manager.cache(namespaceResource),
      pods: manager.cache(pods, { transform: seenPod, indexes: { [BY_JOB]: probeJobKeys } }),
      nodes: manager.cache(nodes, { transform: seenNode }),
      services: manager.cache(services, { transform: seenService, indexes: inPlace }),
      serviceAccounts: manager.cache(serviceAccounts, { transform: bare, indexes: inPlace }),
      roleBindings: manager.cache(roleBindings, { transform: seenRoleBinding, indexes: inPlace }),
      quotas: manager.cache(resourceQuotas, { transform: bare, indexes: inPlace }),
      admissionPolicies: manager.cache(admissionPolicies, { transform: seenAdmission }),
      admissionBindings: manager.cache(admissionBindings, { transform: seenAdmission }),
    };
    const fence = boundaries.fence();
    const ledger = new Ledger();

    const probeController = new ProbeController({
      client,
      pods: sights.pods,
      namespaces: sights.namespaces,
      nodes: sights.nodes,
      ledger,
      metrics: measured,
      clock,
      image: this.#options.probeImage,
      outside: this.#options.outside,
      apiServer: apiServerOf(this.#env),
      ended: ({ metadata }) => reporting.enqueue(placeOf(metadata.name)),
    });
    const policyController = new PolicyController({
      client,
      boundaries,
      policies,
      namespaces: sights.namespaces,
      fence,
      policyFence: policies.fence(),
      ledger,
      drift: new DriftClock(policies, clock),
      recorder,
      metrics: measured,
      clock,
      cleanUp: (boundary) => probeController.cleanUp(boundary),
    });
    const reportingController = new ReportingController({
      client,
      fence,
      sights,
      ledger,
      probes: probeController,
      findings,
      recorder,
      metrics: measured,
      clock,
    });

    const named = (where: string) =>
      boundaries.byIndex(BY_NAMESPACE, where).map(({ metadata }) => placeOf(metadata.name));
    const inCardNamespaces = <T extends KubeObject>(cache: Cache<T>) =>
      watchesSeen(cache, ({ metadata }) => named(metadata.namespace ?? ''));
    const all = () => [...boundaries.values()].map(({ metadata }) => placeOf(metadata.name));
    const own = ({ labels }: PciBoundary['metadata']) => [labels?.[BOUNDARY_LABEL] ?? []].flat().map(placeOf);
    manager.controller({
      name: 'pciboundary-policies',
      for: boundaries,
      fence,
      reconcile: (boundary) => policyController.reconcile(boundary),
      reconcileAbsent: () => {
        ledger.keepOnly(new Set([...boundaries.values()].map(({ metadata }) => metadata.uid ?? '')));
        return done();
      },
      maxConcurrentReconciles: BOUNDARIES_AT_A_TIME,
      backoff: { baseMs: 50, maxMs: MAX_BACKOFF_MILLIS },
      watches: [
        watches(policies, ({ metadata }) => [...named(metadata.namespace ?? ''), ...own(metadata)]),
        watches(sights.namespaces, ({ metadata }) => named(metadata.name)),
        // Whose namespace it is depends on who else names it.
        watches(boundaries, ({ spec }) => spec.namespaces.flatMap(named)),
      ],
    });
    const reporting = manager.controller({
      name: 'pciboundary-status',
      for: boundaries,
      fence,
      reconcile: (boundary) => reportingController.reconcile(boundary),
      reconcileAbsent: ({ name }) => {
        reportingController.forget(name);
        return done();
      },
      watches: [
        inCardNamespaces(policies),
        watchesSeen(sights.namespaces, all),
        watchesSeen(sights.pods, all),
        watchesSeen(sights.nodes, all),
        watchesSeen(sights.admissionPolicies, all),
        watchesSeen(sights.admissionBindings, all),
        inCardNamespaces(sights.services),
        inCardNamespaces(sights.serviceAccounts),
        inCardNamespaces(sights.roleBindings),
        inCardNamespaces(sights.quotas),
      ],
    });
    ledger.onChange((name) => reporting.enqueue(placeOf(name)));
    manager.controller({
      name: 'pciboundary-probes',
      for: boundaries,
      reconcile: (boundary) => probeController.reconcile(boundary),
      reconcileAbsent: ({ name }) => {
        probeController.forget(name);
        return done();
      },
      backoff: { baseMs: 1_000, maxMs: MAX_BACKOFF_MILLIS },
      watches: [watches(sights.pods, ({ metadata }) => [metadata.labels?.[PROBE_OF] ?? []].flat().map(placeOf))],
    });

    try {
      await manager.run(stop);
    } finally {
      await transport.close();
    }
  }
}

function placeOf(name: string): NamespacedName {
  return { namespace: '', name };
}

/** Where pods find the API server, as the kubelet tells each of them. */
function apiServerOf(env: Readonly<Record<string, string | undefined>>): Endpoint | undefined {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env;
  return host === undefined || host === '' ? undefined : { host, port: Number(port) };
}
