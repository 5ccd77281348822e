import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { isTrue, type Node, nodes, storageClasses } from './kube.ts';
import { Objects } from './objects.ts';

/** What a cluster can do, as far as tests and the installation depend on it. */
export interface Capabilities {
  /** Nodes that are Ready and take pods. */
  readonly nodes: number;
  /** Zones of these nodes, by their labels. */
  readonly zones: readonly string[];
  /** Whether every one of them has a zone: else what is spread over zones finds no place. */
  readonly zonesComplete: boolean;
  /** Nodes for card data, by their label. */
  readonly cardNodes: number;
  /** Undefined: claims without a class stay pending. */
  readonly defaultStorageClass: string | undefined;
  /** Whether metrics of pods are served, without which no HPA decides. */
  readonly metrics: boolean;
  /** Whether the kinds of the Prometheus operator are served. */
  readonly prometheusOperator: boolean;
  readonly keda: boolean;
  /** Issuer of service-account tokens, as the cluster says it. */
  readonly tokenIssuer: string;
}

/** The label, and the key of the taint, of nodes for card data. */
export const CARD_NODE = 'mercato.dev/card-data';
const ZONE = 'topology.kubernetes.io/zone';
const DEFAULT_CLASS = 'storageclass.kubernetes.io/is-default-class';

/** Asks a cluster what it can do. Whether it enforces NetworkPolicies is asked apart (`enforcesPolicies`), since that takes pods. @throws ApiError */
export async function capabilitiesOf(client: KubeClient, objects = new Objects(client)): Promise<Capabilities> {
  const [all, classes, metrics, prometheusOperator, keda, discovery] = await Promise.all([
    client.list(nodes),
    client.list(storageClasses),
    objects.serves('metrics.k8s.io/v1beta1', 'PodMetrics'),
    objects.serves('monitoring.coreos.com/v1', 'ServiceMonitor'),
    objects.serves('keda.sh/v1alpha1', 'ScaledObject'),
    client.transport.request<{ issuer: string }>({ method: 'GET', path: '/.well-known/openid-configuration' }),
  ]);
  const usable = all.items.filter(takesPods);
  const zones = usable.map(({ metadata }) => metadata.labels?.[ZONE]);
  return {
    nodes: usable.length,
    zones: [...new Set(zones.filter((zone) => zone !== undefined))].sort(),
    zonesComplete: zones.every((zone) => zone !== undefined),
    cardNodes: usable.filter(({ metadata }) => metadata.labels?.[CARD_NODE] === 'true').length,
    defaultStorageClass: classes.items.find(({ metadata }) => metadata.annotations?.[DEFAULT_CLASS] === 'true')
      ?.metadata.name,
    metrics,
    prometheusOperator,
    keda,
    tokenIssuer: discovery.issuer,
  };
}

/** Ready, and open to pods of ours. Pure. */
export function takesPods({ spec, status }: Node): boolean {
  const closed = (spec.taints ?? []).some(({ key, effect }) => effect !== 'PreferNoSchedule' && key !== CARD_NODE);
  return isTrue(status?.conditions, 'Ready') && spec.unschedulable !== true && !closed;
}

/** Capabilities as lines for people. Pure. */
export function describe(seen: Capabilities): string[] {
  const yes = (is: boolean) => (is ? 'yes' : 'no');
  return [
    `nodes that take pods: ${seen.nodes}, of them for card data: ${seen.cardNodes}`,
    `zones: ${seen.zones.join(', ') || 'none'}${seen.zonesComplete ? '' : ' (not every node has one)'}`,
    `default StorageClass: ${seen.defaultStorageClass ?? 'none'}`,
    `metrics of pods: ${yes(seen.metrics)}`,
    `Prometheus operator: ${yes(seen.prometheusOperator)}, KEDA: ${yes(seen.keda)}`,
    `token issuer: ${seen.tokenIssuer}`,
  ];
}
