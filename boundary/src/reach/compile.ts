import { address, NAMESPACE_NAME } from '../policy/desired.ts';
import type { IpBlock, LabelSelector, NetworkPolicy, PolicyPeer, PolicyPort, PolicyType } from '../policy/types.ts';
import { type Address, type Cidr, contains, parseAddress, parseCidr } from './cidr.ts';
import { ALL_PORTS, MAX_PORT, type PortRange, type PortSet, union } from './ports.ts';
import { type Labels, selects } from './selector.ts';
import { type End, isWorkload, type Workload } from './types.ts';

/** A policy whose texts are parsed once. */
export interface CompiledPolicy {
  /** `namespace/name`. */
  readonly address: string;
  readonly namespace: string;
  readonly directions: ReadonlySet<PolicyType>;
  readonly selectsPods: (labels: Labels) => boolean;
  readonly ingress: readonly CompiledRule[];
  readonly egress: readonly CompiledRule[];
}

/** One rule: whom it lets through, and on which ports of the destination. */
export interface CompiledRule {
  /** `namespace/name ingress[0]`. */
  readonly name: string;
  readonly matches: (peer: End) => boolean;
  readonly ports: (destination: End) => PortSet;
}

/** Reads a policy. Fields that the API server would have refused are read so that they open rather than close. */
export function compile(policy: NetworkPolicy): CompiledPolicy {
  const { podSelector = {}, ingress = [], egress = [] } = policy.spec ?? {};
  const namespace = policy.metadata.namespace ?? 'default';
  const rule = (what: string, peers: readonly PolicyPeer[], ports: readonly PolicyPort[]): CompiledRule => ({
    name: `${address(policy)} ${what}`,
    matches: anyOf(peers.map((peer) => peerMatcher(peer, namespace))),
    ports: portsOf(ports),
  });
  return {
    address: address(policy),
    namespace,
    directions: directionsOf(policy),
    selectsPods: (labels) => selects(podSelector, labels),
    ingress: ingress.map(({ from = [], ports = [] }, index) => rule(`ingress[${index}]`, from, ports)),
    egress: egress.map(({ to = [], ports = [] }, index) => rule(`egress[${index}]`, to, ports)),
  };
}

/** "If no policyTypes are specified on a NetworkPolicy then by default Ingress will always be set and Egress will be set if the NetworkPolicy has any egress rules." */
function directionsOf({ spec }: NetworkPolicy): ReadonlySet<PolicyType> {
  if (spec?.policyTypes !== undefined && spec.policyTypes.length > 0) return new Set(spec.policyTypes);
  return new Set<PolicyType>((spec?.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress']);
}

type Matcher = (peer: End) => boolean;

/** A rule without peers is for everyone. */
function anyOf(matchers: readonly Matcher[]): Matcher {
  return matchers.length === 0 ? () => true : (peer) => matchers.some((matches) => matches(peer));
}

function peerMatcher({ ipBlock, namespaceSelector, podSelector }: PolicyPeer, policyNamespace: string): Matcher {
  if (ipBlock !== undefined) return blockMatcher(ipBlock);
  if (namespaceSelector === undefined && podSelector === undefined) return () => true;
  return (peer) =>
    isWorkload(peer) &&
    (namespaceSelector === undefined
      ? peer.namespace === policyNamespace
      : selectsNamespace(namespaceSelector, peer)) &&
    selects(podSelector ?? {}, peer.labels);
}

function selectsNamespace(selector: LabelSelector, workload: Workload): boolean {
  return selects(selector, remembered(namespaceLabelsOf, workload, withName));
}

const namespaceLabelsOf = new WeakMap<End, Labels>();
const withName = ({ namespace, namespaceLabels }: Workload): Labels => ({
  ...namespaceLabels,
  [NAMESPACE_NAME]: namespace,
});

/** Matrices ask about the same ends again and again: what follows from an end is worked out once. */
function remembered<E extends End, T>(known: WeakMap<End, T>, end: E, make: (end: E) => T): T {
  const before = known.get(end);
  if (before !== undefined) return before;
  const made = make(end);
  known.set(end, made);
  return made;
}

/** A CIDR that cannot be read holds every address; an exception that cannot be read excepts nothing. */
function blockMatcher({ cidr, except = [] }: IpBlock): Matcher {
  const block = parseCidr(cidr);
  const without = except.map(parseCidr).filter((hole): hole is Cidr => hole !== undefined);
  const holds = (ip: Address): boolean =>
    (block === undefined || contains(block, ip)) && !without.some((hole) => contains(hole, ip));
  return (peer) => remembered(addresses, peer, addressesOf).some(holds);
}

const addresses = new WeakMap<End, readonly Address[]>();

function addressesOf(end: End): readonly Address[] {
  const texts = isWorkload(end) ? (end.addresses ?? []) : [end.address];
  return texts.map(parseAddress).filter((address): address is Address => address !== undefined);
}

function portsOf(ports: readonly PolicyPort[]): (destination: End) => PortSet {
  if (ports.length === 0) return () => ALL_PORTS;
  const isNamed = (port: PolicyPort) => typeof port.port === 'string';
  const fixed = union(ports.filter((port) => !isNamed(port)).map(rangeOf));
  const named = ports.filter(isNamed);
  return named.length === 0
    ? () => fixed
    : (destination) => union([...fixed, ...named.flatMap((port) => resolve(port, destination))]);
}

function rangeOf({ port, endPort, protocol = 'TCP' }: PolicyPort): PortRange {
  if (typeof port !== 'number') return { protocol, first: 1, last: MAX_PORT };
  return { protocol, first: port, last: endPort ?? port };
}

/** A named port is the port of that name and protocol of the destination's containers; what is no pod has none. */
function resolve({ port: name, protocol = 'TCP' }: PolicyPort, destination: End): PortRange[] {
  const ports = isWorkload(destination) ? (destination.ports ?? []) : [];
  return ports
    .filter((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)
    .map(({ port }) => ({ protocol, first: port, last: port }));
}
