import { boundaryMetrics } from '@mercato/boundary/controllers/metrics.ts';
import { ServiceMetrics } from '@mercato/kit/metrics.ts';
import { announcerMetrics } from '@mercato/operator/announce/metrics.ts';
import { runMetrics } from '@mercato/operator/controllers/ordersagarun/metrics.ts';
import { standingMetrics } from '@mercato/operator/controllers/ordersagarun/standing.ts';
import { participantMetrics } from '@mercato/operator/controllers/participant/metrics.ts';
import { restockMetrics } from '@mercato/operator/controllers/restockorder/metrics.ts';
import { viewMetrics } from '@mercato/operator/controllers/view/metrics.ts';
import { warehouseMetrics } from '@mercato/operator/controllers/warehouseinventory/metrics.ts';
import { intakeMetrics } from '@mercato/operator/intake/metrics.ts';
import { Store } from '@mercato/operator/kube/store.ts';
import { ParticipantRegistry } from '@mercato/operator/participants/registry.ts';
import { FrameworkMetrics } from '@mercato/operator/runtime/metrics.ts';
import { shardMetrics } from '@mercato/operator/sharding/metrics.ts';
import { workerMetrics } from '@mercato/operator/worker/metrics.ts';
import type { Service } from '../../model/types.ts';

/** A series' name as Prometheus sees it, and what may be asked of it. */
export interface Exported {
  readonly labels: readonly string[];
  /** A histogram's bounds, in its unit. */
  readonly bounds?: readonly number[];
}

/** What prom-client keeps of a metric beside what it types. */
interface Registered {
  readonly name: string;
  readonly labelNames: readonly string[];
  readonly upperBounds?: readonly number[];
}

/** Labels that Prometheus itself puts on what it scrapes. */
export const TARGET_LABELS = ['job', 'namespace', 'pod', 'service', 'container', 'endpoint', 'instance'];

/** prom-client's own, of every program: a scrape of each proves them (programs.test.ts). */
const OF_THE_PROCESS = [
  'process_cpu_seconds_total',
  'process_resident_memory_bytes',
  'nodejs_eventloop_lag_p99_seconds',
];

/** Series of other programs: Prometheus, the kubelet, and the CloudWatch exporter, with labels that those document. */
export const WELL_KNOWN: ReadonlyMap<string, Exported> = new Map<string, Exported>([
  ['up', { labels: [] }],
  ['kubelet_volume_stats_available_bytes', { labels: ['namespace', 'persistentvolumeclaim'] }],
  ['kubelet_volume_stats_capacity_bytes', { labels: ['namespace', 'persistentvolumeclaim'] }],
  ['aws_sqs_approximate_number_of_messages_visible_maximum', { labels: ['dimension_QueueName'] }],
]);

/** What a service's program registers, from the code that registers it. */
export function exportedBy(service: Service): Map<string, Exported> {
  const metrics = registryOf(service).getMetricsAsArray() as unknown as Registered[];
  const exported = new Map<string, Exported>(OF_THE_PROCESS.map((name) => [name, { labels: [] }]));
  for (const { name, labelNames: labels, upperBounds: bounds } of metrics) {
    if (bounds === undefined) exported.set(name, { labels });
    else {
      exported.set(`${name}_bucket`, { labels: [...labels, 'le'], bounds });
      for (const part of ['sum', 'count']) exported.set(`${name}_${part}`, { labels });
    }
  }
  return exported;
}

function registryOf({ name, component }: Service) {
  if (component !== 'controller') {
    const metrics = new ServiceMetrics(name);
    metrics.watchOutbox([], { backlog: async () => 0 });
    metrics.watchEventQueue();
    return metrics.registry;
  }
  const { registry } = new FrameworkMetrics();
  if (name === 'mercato-boundary') boundaryMetrics(registry);
  else {
    runMetrics(
      registry,
      () => 0,
      () => 0,
    );
    standingMetrics(registry, new Store(), () => 0);
    participantMetrics(registry, () => new ParticipantRegistry({ tokens: async () => '' }).circuits());
    shardMetrics(registry, { open: 0, unheld: 0 });
    warehouseMetrics(registry, new Store());
    restockMetrics(registry, new Store());
    // What the sqlite journal has, and what workers have.
    viewMetrics(registry);
    workerMetrics(registry, {
      inWork: () => 0,
      resting: () => 0,
      waiting: () => ({}),
      workers: () => 0,
    });
    intakeMetrics(registry);
    announcerMetrics(registry).watch(() => []);
  }
  return registry;
}
