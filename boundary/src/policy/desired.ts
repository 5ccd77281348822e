import { API_VERSION } from '@mercato/operator/api/kind.ts';
import type { PciEgress, PciPods, PciPort } from '@mercato/operator/api/pciboundary.ts';
import { canonicalJson, sha256 } from '@mercato/operator/saga/canonical.ts';
import type { Boundary, DesiredPolicy, LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort } from './types.ts';

/** On each policy that a boundary owns: the name of the PciBoundary. */
export const BOUNDARY_LABEL = 'mercato.dev/boundary';
/** The policy that the chart puts into each card namespace. It is nobody's to delete: without the boundary's policies it alone is left. */
export const DENY_ALL = 'default-deny';
/** The label that the API server gives every namespace, and that nobody can change. */
export const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

const DNS_PORTS: readonly PolicyPort[] = [
  { protocol: 'UDP', port: 53 },
  { protocol: 'TCP', port: 53 },
];

/** The policy that denies a namespace's pods everything, both ways: it selects all pods and allows nothing. */
export function denyAll(namespace: string): DesiredPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { namespace, name: DENY_ALL, labels: { 'app.kubernetes.io/part-of': 'mercato' } },
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'] },
  };
}

/**
 * The policies that a boundary owns, sorted by namespace and name: what it allows, and nothing that it denies. Each governs one direction and has
 * one rule with one pod selector, so that deleting any of them closes exactly one declared way. Named `<boundary>.<part>[.<rule>]`: neither
 * part has a dot, so no two rules share a name.
 *
 * A way between two card pods is declared once, under ingress or under egress, and opened at both ends.
 */
export function desired(boundary: Boundary): readonly DesiredPolicy[] {
  const { spec } = boundary;
  const isCard = (namespace: string): boolean => spec.namespaces.includes(namespace);
  const policies: DesiredPolicy[] = [];
  const add = (part: string, pods: PciPods, rules: Ways) => policies.push(policy(boundary, part, pods, rules));

  for (const rule of spec.ingress) {
    const ports = portsOf(rule.ports);
    add(`ingress.${rule.name}`, rule.to, { ingress: [{ from: [peerOf(rule.from)], ports }] });
    if (isCard(rule.from.namespace))
      add(`ingress-egress.${rule.name}`, rule.from, { egress: [{ to: [peerOf(rule.to)], ports }] });
  }
  for (const rule of spec.egress) {
    const ports = portsOf(rule.ports);
    add(`egress.${rule.name}`, rule.from, { egress: [{ to: destinations(rule.to), ports }] });
    const { pods } = rule.to;
    if (pods !== undefined && isCard(pods.namespace))
      add(`egress-ingress.${rule.name}`, pods, { ingress: [{ from: [peerOf(rule.from)], ports }] });
  }
  for (const namespace of spec.dns === undefined ? [] : spec.namespaces) {
    const everyPod = { namespace, podLabels: {} };
    add('dns', everyPod, { egress: [{ to: destinations(spec.dns ?? {}), ports: DNS_PORTS }] });
  }
  spec.apiServer?.pods.forEach((pods, index) => {
    const { cidrs = [], ports = [] } = spec.apiServer ?? {};
    add(`api-server.${index}`, pods, {
      egress: [
        {
          to: cidrs.map((cidr) => ({ ipBlock: { cidr } })),
          ports: ports.map((port) => ({ protocol: 'TCP', port })),
        },
      ],
    });
  });
  return policies.toSorted((a, b) => (address(a) < address(b) ? -1 : 1));
}

/** What a card namespace must have in all: its deny policy, and the boundary's own. */
export function declared(boundary: Boundary): readonly DesiredPolicy[] {
  return [...boundary.spec.namespaces.map(denyAll), ...desired(boundary)];
}

/** `namespace/name`. */
export function address(policy: NetworkPolicy): string {
  return `${policy.metadata.namespace ?? 'default'}/${policy.metadata.name}`;
}

/** Sixteen hexadecimal digits that name a policy's spec, whatever the order of its fields. */
export function policyHash(policy: NetworkPolicy): string {
  return sha256(canonicalJson(policy.spec ?? {})).slice(0, 16);
}

type Ways = Pick<NonNullable<NetworkPolicy['spec']>, 'ingress' | 'egress'>;

function policy(boundary: Boundary, part: string, pods: PciPods, ways: Ways): DesiredPolicy {
  const { name, uid } = boundary.metadata;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: {
      namespace: pods.namespace,
      name: `${name}.${part}`,
      labels: { 'app.kubernetes.io/part-of': 'mercato', [BOUNDARY_LABEL]: name },
      ...(uid !== undefined && {
        ownerReferences: [{ apiVersion: API_VERSION, kind: 'PciBoundary', name, uid, controller: true }],
      }),
    },
    spec: {
      podSelector: selectorOf(pods.podLabels),
      policyTypes: [ways.ingress === undefined ? 'Egress' : 'Ingress'],
      ...ways,
    },
  };
}

/** Namespace and pods in one peer: as two items of a list each of them alone would be let through. */
function peerOf({ namespace, podLabels }: PciPods): PolicyPeer {
  return {
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: namespace } },
    podSelector: selectorOf(podLabels),
  };
}

function destinations(to: {
  pods?: PciPods;
  cidrs?: readonly (string | NonNullable<PciEgress['to']['cidrs']>[number])[];
}): PolicyPeer[] {
  return [
    ...(to.pods === undefined ? [] : [peerOf(to.pods)]),
    ...(to.cidrs ?? []).map((block) => ({ ipBlock: typeof block === 'string' ? { cidr: block } : { ...block } })),
  ];
}

function selectorOf(labels: Readonly<Record<string, string>>): LabelSelector {
  return Object.keys(labels).length === 0 ? {} : { matchLabels: { ...labels } };
}

function portsOf(ports: readonly PciPort[]): PolicyPort[] {
  return ports.map(({ port, protocol }) => ({ protocol, port }));
}
