import { canonicalJson } from '@mercato/operator/saga/canonical.ts';
import { APP_NAME } from '../labels.ts';
import type { LabelSelector, NetworkPolicy, Protocol } from '../policy/types.ts';
import type { Labels } from '../reach/selector.ts';
import type { Workload, WorkloadPort } from '../reach/types.ts';
import type { Observed, ObservedPod } from './types.ts';

/**
 * The pods that are there, alike ones as one: of the same namespace, with the same values of all labels that any policy asks for, the same ports and the
 * same kind of network. So 2,000 pods are as many workloads as policies can tell apart. What has ended is left out.
 *
 * Names outlast pods, so that a matrix stays the same over a rollout: the name label, else what owns the pod; labels are added where that names two.
 *
 * @param more policies besides the observed ones that will be asked about these workloads
 */
export function workloadsOf(observed: Observed, more: readonly NetworkPolicy[] = []): readonly Workload[] {
  const keys = keysOf([...observed.policies, ...more]);
  const namespaceLabels = new Map(observed.namespaces.map(({ metadata }) => [metadata.name, metadata.labels ?? {}]));
  const running = observed.pods.filter(({ status }) => status?.phase !== 'Succeeded' && status?.phase !== 'Failed');
  const alike = Map.groupBy(running, (pod) => canonicalJson([nameOf(pod), telling(pod, keys)]));
  const groups = [...alike.keys()].toSorted().flatMap((key): Workload[] => {
    const pods = alike.get(key) ?? [];
    const [first] = pods;
    if (first === undefined) return [];
    const told = telling(first, keys);
    const addresses = pods.flatMap(({ status }) => (status?.podIPs ?? []).map(({ ip }) => ip));
    return [{ ...told, name: nameOf(first), namespaceLabels: namespaceLabels.get(told.namespace) ?? {}, addresses }];
  });
  return apart(
    apart(groups, ({ labels }) => formatLabels(labels)),
    (_workload, index) => `#${index + 1}`,
  );
}

/** What lasts when pods come and go. */
function nameOf({ metadata }: ObservedPod): string {
  const labels = metadata.labels ?? {};
  const owner = metadata.ownerReferences?.[0]?.name.replace(new RegExp(`-${labels['pod-template-hash'] ?? ''}$`), '');
  return labels[APP_NAME] ?? owner ?? metadata.name;
}

/** Adds to the names of workloads that have one in common. */
function apart(workloads: readonly Workload[], what: (workload: Workload, index: number) => string): Workload[] {
  const byName = Map.groupBy(workloads, ({ namespace, name }) => `${namespace}/${name}`);
  return [...byName.values()].flatMap((namesakes) =>
    namesakes.length === 1
      ? namesakes
      : namesakes.map((workload, index) => ({ ...workload, name: `${workload.name} ${what(workload, index)}`.trim() })),
  );
}

function formatLabels(labels: Labels): string {
  return Object.entries(labels)
    .filter(([key]) => key !== APP_NAME)
    .map(([key, value]) => `${key}=${value}`)
    .toSorted()
    .join(',');
}

/** What policies can tell pods of a namespace apart by, but for their addresses. */
function telling({ metadata, spec }: ObservedPod, keys: ReadonlySet<string>) {
  const labels = Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([key]) => keys.has(key)));
  return {
    labels,
    ports: portsOf(spec),
    hostNetwork: spec?.hostNetwork === true,
    namespace: metadata.namespace ?? 'default',
  };
}

function portsOf(spec: ObservedPod['spec']): readonly WorkloadPort[] {
  return (spec?.containers ?? [])
    .flatMap(({ ports = [] }) => ports)
    .map(({ name, containerPort, protocol }) => ({
      ...(name !== undefined && { name }),
      port: containerPort,
      protocol: (protocol ?? 'TCP') as Protocol,
    }));
}

/** Every label key of pods that a policy asks for. */
function keysOf(policies: readonly NetworkPolicy[]): ReadonlySet<string> {
  const selectors = policies.flatMap(({ spec }) => [
    spec?.podSelector,
    ...(spec?.ingress ?? []).flatMap(({ from }) => (from ?? []).map(({ podSelector }) => podSelector)),
    ...(spec?.egress ?? []).flatMap(({ to }) => (to ?? []).map(({ podSelector }) => podSelector)),
  ]);
  return new Set(
    selectors
      .filter((selector): selector is LabelSelector => selector !== undefined)
      .flatMap(({ matchLabels, matchExpressions }) => [
        ...Object.keys(matchLabels ?? {}),
        ...(matchExpressions ?? []).map(({ key }) => key),
      ]),
  );
}
