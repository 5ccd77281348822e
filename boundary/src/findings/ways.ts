import type { PciBlock, PciPods } from '@mercato/operator/api/pciboundary.ts';
import { address, declared, policyHash } from '../policy/desired.ts';
import type { NetworkPolicy, PolicyType } from '../policy/types.ts';
import { type Address, contains, parseAddress, parseCidr } from '../reach/cidr.ts';
import { strangers, telltales } from '../reach/matrix.ts';
import { difference, formatPorts, type PortSet } from '../reach/ports.ts';
import { reachOf } from '../reach/reach.ts';
import { type End, endName, FORBIDDEN, isWorkload, OUTSIDE, type Workload } from '../reach/types.ts';
import type { Fault, FindingRule, Scene } from './rule.ts';
import type { ObservedPod } from './types.ts';
import { workloadsOf } from './workloads.ts';

/** The policies in force open no more than the declared ones do, whoever wrote them and however they say it. */
export const wayUndeclared: FindingRule = {
  name: 'way-undeclared',
  requirement: '1.3.1, 1.3.2',
  severity: 'Violation',
  holds:
    'Computed from the policies in force, nothing reaches card pods and they reach nothing but what is declared: not from any workload, not from a pod that somebody might start, at no address that tells blocks apart, on no port.',
  find: (scene) => {
    const { boundary, observed } = scene;
    const wanted = declared(boundary);
    const changed = changedNamespaces(wanted, observed.policies);
    if (changed.size === 0) return [];
    const labelsOf = (namespace: string) => scene.namespaces.get(namespace)?.metadata.labels ?? {};
    const names = new Set([
      ELSEWHERE,
      ...boundary.spec.namespaces,
      ...observed.namespaces.map(({ metadata }) => metadata.name),
    ]);
    const workloads = [...workloadsOf(observed, wanted), ...strangers([...names], labelsOf)];
    const ends: readonly End[] = [...workloads, ...OUTSIDE, ...telltales(wanted, observed.policies)];
    const [before, after] = [reachOf(wanted), reachOf(observed.policies)];
    const opened = (from: End, to: End): Opened[] => {
      const ports = difference(after.ports(from, to), before.ports(from, to));
      return ports.length === 0 ? [] : [{ from, to, ports }];
    };
    // Policies of a namespace say nothing about pods of others.
    const isChanged = (end: End) => isWorkload(end) && changed.has(end.namespace);
    return workloads.filter(isChanged).flatMap((self) => [
      ...told(
        self,
        'reached from',
        (way) => way.from,
        ends.flatMap((from) => opened(from, self)),
      ),
      // The others are told at their destination.
      ...told(
        self,
        'let out to',
        (way) => way.to,
        ends.filter((to) => !isChanged(to)).flatMap((to) => opened(self, to)),
      ),
    ]);
  },
};

/** A namespace that nobody has made yet. */
const ELSEWHERE = '(any other namespace)';

interface Opened {
  readonly from: End;
  readonly to: End;
  readonly ports: PortSet;
}

/** One finding for all ways of a pod in one direction, or none: a policy that opens everything would else be thousands. */
function told(self: Workload, how: string, other: (way: Opened) => End, ways: readonly Opened[]): Fault[] {
  const [first] = ways;
  if (first === undefined) return [];
  const more = ways.length === 1 ? '' : ` and ${ways.length - 1} others`;
  return [
    {
      object: `Pod ${endName(self)}`,
      message: `it is ${how} ${endName(other(first))} on ${formatPorts(first.ports)}${more}, which is not declared: delete the policy that opens it, or declare the way, and why`,
    },
  ];
}

/** Every card pod is governed both ways. */
export const podOpen: FindingRule = {
  name: 'pod-open',
  requirement: '1.3.1, 1.3.2',
  severity: 'Violation',
  holds: 'Every card pod is selected by a policy in both directions: one that none selects is open.',
  find: (scene) => {
    const reach = reachOf(scene.observed.policies);
    const directions: readonly PolicyType[] = ['Ingress', 'Egress'];
    return governed(scene).flatMap((workload) =>
      directions
        .filter((direction) => !reach.isIsolated(workload, direction))
        .map((direction) => ({
          object: `Pod ${endName(workload)}`,
          message: `no policy governs its ${direction.toLowerCase()}, so all of it is open: restore the policy default-deny of its namespace`,
        })),
    );
  },
};

/** Nothing lets a card pod to the credentials of its node. */
export const metadataReachable: FindingRule = {
  name: 'metadata-reachable',
  requirement: '1.3.2, 7.2.5',
  severity: 'Violation',
  holds: 'No card pod reaches instance metadata, which gives out the credentials of its node.',
  find: (scene) => {
    const reach = reachOf(scene.observed.policies);
    return governed(scene).flatMap((workload) =>
      FORBIDDEN.filter((end) => reach.ports(workload, end).length > 0).map((end) => ({
        object: `Pod ${endName(workload)}`,
        message: `it reaches ${end.name} at ${end.address}: delete the policy that opens it, or except the address there`,
      })),
    );
  },
};

/** A block of addresses that holds pods opens ways that no rule names. */
export const cidrCoversPods: FindingRule = {
  name: 'cidr-covers-pods',
  requirement: '1.2.5, 1.3.2',
  severity: 'Warning',
  holds: 'The blocks of addresses under egress and apiServer hold no pods of the cluster: those are declared as pods.',
  find: ({ boundary, otherPods }) => {
    const { egress, apiServer } = boundary.spec;
    const blocks: (readonly [string, PciBlock])[] = [
      ...egress.flatMap(({ name, to }) => (to.cidrs ?? []).map((block) => [`spec.egress ${name}`, block] as const)),
      ...(apiServer?.cidrs ?? []).map((cidr) => ['spec.apiServer', { cidr }] as const),
    ];
    const pods = otherPods
      .filter(({ spec }) => spec?.hostNetwork !== true)
      .map((pod) => ({ pod, addresses: addressesOf(pod) }));
    return blocks.flatMap(([where, block]): Fault[] => {
      const holds = within(block);
      const inside = pods.filter(({ addresses }) => addresses.some(holds)).map(({ pod }) => pod);
      const first = inside[0];
      return first === undefined
        ? []
        : [
            {
              object: `PciBoundary ${boundary.metadata.name}`,
              message: `${where}: ${block.cidr} holds ${inside.length} pods, as ${first.metadata.namespace}/${first.metadata.name}: name the other side's own subnets, or except those of the pods`,
            },
          ];
    });
  },
};

/** Rules that nobody needs any more are found at the review and removed. */
export const wayUnused: FindingRule = {
  name: 'way-unused',
  requirement: '1.2.5, 1.2.7',
  severity: 'Warning',
  holds: 'Every declared way has pods at both ends: what nobody uses is removed.',
  find: ({ boundary, cardPods, otherPods }) => {
    const pods = [...cardPods, ...otherPods];
    const { ingress, egress } = boundary.spec;
    const ways: (readonly [string, readonly PciPods[]])[] = [
      ...ingress.map(({ name, from, to }) => [`spec.ingress ${name}`, [from, to]] as const),
      ...egress.map(({ name, from, to }) => [`spec.egress ${name}`, to.pods ? [from, to.pods] : [from]] as const),
    ];
    return ways.flatMap(([where, ends]): Fault[] => {
      const empty = ends.find((end) => !pods.some((pod) => isOf(pod, end)));
      return empty === undefined
        ? []
        : [
            {
              object: `PciBoundary ${boundary.metadata.name}`,
              message: `${where}: no pod of ${empty.namespace} has the labels ${formatLabels(empty.podLabels)}: start one, correct the labels, or remove the rule`,
            },
          ];
    });
  },
};

/** Without probes nobody knows whether the CNI enforces anything. */
export const probesOff: FindingRule = {
  name: 'probes-off',
  requirement: '11.4.5',
  severity: 'Warning',
  holds:
    'Forbidden ways are tried from other namespaces, since policies that no CNI enforces look like policies that one does.',
  find: ({ boundary }) =>
    boundary.spec.probes.namespaces.length > 0
      ? []
      : [
          {
            object: `PciBoundary ${boundary.metadata.name}`,
            message:
              'nobody tries what is forbidden, so Enforced stays Unknown: name a namespace under spec.probes.namespaces',
          },
        ],
};

/** Namespaces whose policies are not the same in both lists. None is the usual case, and then no way need be computed. */
function changedNamespaces(a: readonly NetworkPolicy[], b: readonly NetworkPolicy[]): ReadonlySet<string> {
  const keyed = (policies: readonly NetworkPolicy[]) =>
    new Map(
      policies.map((policy) => [`${address(policy)} ${policyHash(policy)}`, policy.metadata.namespace ?? 'default']),
    );
  const [left, right] = [keyed(a), keyed(b)];
  const differing = (from: typeof left, to: typeof left) => [...from].filter(([key]) => !to.has(key));
  return new Set([...differing(left, right), ...differing(right, left)].map(([, namespace]) => namespace));
}

/** The card pods that policies can govern. One on its node's network is a finding of its own: no policy could help it. */
function governed({ observed, isCard, boundary }: Scene): readonly Workload[] {
  const card = { ...observed, pods: observed.pods.filter(({ metadata }) => isCard(metadata.namespace)) };
  return workloadsOf(card, declared(boundary)).filter(({ hostNetwork }) => hostNetwork !== true);
}

function within({ cidr, except = [] }: PciBlock): (address: Address) => boolean {
  const block = parseCidr(cidr);
  const holes = except.flatMap((hole) => parseCidr(hole) ?? []);
  return (address) => block !== undefined && contains(block, address) && !holes.some((hole) => contains(hole, address));
}

function addressesOf({ status }: ObservedPod): readonly Address[] {
  return (status?.podIPs ?? []).flatMap(({ ip }) => parseAddress(ip) ?? []);
}

function isOf({ metadata }: ObservedPod, { namespace, podLabels }: PciPods): boolean {
  const labels = metadata.labels ?? {};
  return metadata.namespace === namespace && Object.entries(podLabels).every(([key, value]) => labels[key] === value);
}

function formatLabels(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
