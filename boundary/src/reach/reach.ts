import type { NetworkPolicy, PolicyType, Protocol } from '../policy/types.ts';
import { type CompiledPolicy, type CompiledRule, compile } from './compile.ts';
import { ALL_PORTS, includes, intersection, NO_PORTS, type PortSet, union } from './ports.ts';
import { type End, endName, isWorkload, type Workload } from './types.ts';

/** What one end of a way says to it. */
export interface Side {
  readonly allowed: boolean;
  /** The policies that select this end in this direction, as `namespace/name`. Without any it is open. */
  readonly selectedBy: readonly string[];
  /** The rule that allows it, as `namespace/name ingress[0]`; absent if none does or none has to. */
  readonly allowedBy?: string;
}

/** Whether a way is open, and why. */
export interface Verdict {
  readonly allowed: boolean;
  /** What the source's policies say. */
  readonly egress: Side;
  /** What the destination's policies say. */
  readonly ingress: Side;
  /** The same in a sentence. */
  readonly why: string;
}

/** Answers for one set of policies. */
export interface Reach {
  /** Whether `from` can open a connection to `to` on this port. */
  readonly ask: (from: End, to: End, port: number, protocol: Protocol) => Verdict;
  /** All ports on which `from` can reach `to`. Exact: `ask` is allowed for these and no others. */
  readonly ports: (from: End, to: End) => PortSet;
  /** Whether any policy governs this direction of a workload. What none governs is open. */
  readonly isIsolated: (workload: Workload, direction: PolicyType) => boolean;
}

/**
 * Reachability by NetworkPolicies as their API defines it: a way is open if the egress of its source and the ingress of its destination allow it;
 * an end that no policy selects in a direction is open in it; policies add up, and none denies.
 * https://kubernetes.io/docs/concepts/services-networking/network-policies/
 *
 * It speaks of connections between different pods, also of one workload. Outside of it, because policies do not govern it: a pod reaches itself, a
 * node reaches the pods that run on it (the kubelet's probes), and pods with hostNetwork are their node. Where the API leaves it
 * open what happens, the answer is that the way is open: this is asked to find ways, not to hope for their absence.
 */
export function reachOf(policies: readonly NetworkPolicy[]): Reach {
  const compiled = policies.map(compile);
  const byNamespace = Map.groupBy(compiled, (policy) => policy.namespace);
  const known = { Ingress: new WeakMap<Workload, Governing>(), Egress: new WeakMap<Workload, Governing>() };

  const governing = (end: End, direction: PolicyType): Governing => {
    if (!isWorkload(end) || end.hostNetwork === true) return NOTHING;
    const before = known[direction].get(end);
    if (before !== undefined) return before;
    const policies = (byNamespace.get(end.namespace) ?? []).filter(
      (policy) => policy.directions.has(direction) && policy.selectsPods(end.labels),
    );
    const rules = policies.flatMap((policy) => (direction === 'Ingress' ? policy.ingress : policy.egress));
    const found = { policies, rules };
    known[direction].set(end, found);
    return found;
  };

  const side = (direction: PolicyType, from: End, to: End, port: number, protocol: Protocol): Side => {
    const self = direction === 'Ingress' ? to : from;
    const { policies, rules } = governing(self, direction);
    const selectedBy = policies.map((policy) => policy.address);
    if (policies.length === 0 || fromNode(from)) return { allowed: true, selectedBy };
    const peer = direction === 'Ingress' ? from : to;
    const rule = rules.find((candidate) => candidate.matches(peer) && includes(candidate.ports(to), port, protocol));
    return rule === undefined ? { allowed: false, selectedBy } : { allowed: true, selectedBy, allowedBy: rule.name };
  };

  const sidePorts = (direction: PolicyType, from: End, to: End): PortSet => {
    const { policies, rules } = governing(direction === 'Ingress' ? to : from, direction);
    if (policies.length === 0 || fromNode(from)) return ALL_PORTS;
    const peer = direction === 'Ingress' ? from : to;
    const [rule, ...more] = rules.filter((candidate) => candidate.matches(peer));
    if (rule === undefined) return NO_PORTS;
    return more.length === 0 ? rule.ports(to) : union([rule, ...more].flatMap((one) => one.ports(to)));
  };

  return {
    ask: (from, to, port, protocol) => {
      const egress = side('Egress', from, to, port, protocol);
      const ingress = side('Ingress', from, to, port, protocol);
      const allowed = egress.allowed && ingress.allowed;
      return { allowed, egress, ingress, why: sentence(from, to, egress, ingress) };
    },
    ports: (from, to) => {
      const out = sidePorts('Egress', from, to);
      return out.length === 0 ? NO_PORTS : intersection(out, sidePorts('Ingress', from, to));
    },
    isIsolated: (workload, direction) => governing(workload, direction).policies.length > 0,
  };
}

/** The policies that select an end in a direction, and all of their rules for it. */
interface Governing {
  readonly policies: readonly CompiledPolicy[];
  readonly rules: readonly CompiledRule[];
}
const NOTHING: Governing = { policies: [], rules: [] };

/** A pod on its node's network may run on the very node of the destination, and a pod cannot refuse its node. */
function fromNode(from: End): boolean {
  return isWorkload(from) && from.hostNetwork === true;
}

function sentence(from: End, to: End, egress: Side, ingress: Side): string {
  const part = (end: End, what: string, { allowed, selectedBy, allowedBy }: Side): string => {
    if (!isWorkload(end)) return `${endName(end)} is not governed by policies`;
    if (allowedBy !== undefined) return `${what} of ${endName(end)} is allowed by ${allowedBy}`;
    if (selectedBy.length === 0) return `no policy governs the ${what} of ${endName(end)}`;
    if (allowed) return `${what} of ${endName(end)} comes from a node`;
    return `${what} of ${endName(end)} is denied: no rule of ${selectedBy.join(', ')} allows it`;
  };
  return `${part(from, 'egress', egress)}; ${part(to, 'ingress', ingress)}`;
}
