import type { Protocol } from '../policy/types.ts';
import type { Labels } from './selector.ts';

/** Pods that are alike: what NetworkPolicies can tell apart. */
export interface Workload {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Labels;
  /** Of its namespace. `kubernetes.io/metadata.name` is added where it is missing, as the API server does. */
  readonly namespaceLabels: Labels;
  /** The ports of its containers, against which named ports are resolved. */
  readonly ports?: readonly WorkloadPort[];
  /** The addresses of its pods, as far as known: blocks of addresses match them as any others. */
  readonly addresses?: readonly string[];
  /** Its pods share their node's network: no policy governs them, and what runs on that node cannot refuse them. */
  readonly hostNetwork?: boolean;
}

/** A port of a container. */
export interface WorkloadPort {
  readonly name?: string;
  readonly port: number;
  /** @default TCP */
  readonly protocol?: Protocol;
}

/** An address outside the cluster, or of a node. */
export interface Outside {
  /** For people: `internet`, `instance metadata`. */
  readonly name: string;
  readonly address: string;
}

/** One end of a way. */
export type End = Workload | Outside;

/** Whether this end is pods of the cluster. */
export function isWorkload(end: End): end is Workload {
  return 'namespace' in end;
}

/** `namespace/name`, or the name of what is outside. */
export function endName(end: End): string {
  return isWorkload(end) ? `${end.namespace}/${end.name}` : end.name;
}

/** An address of the internet; it is of TEST-NET-3 (RFC 5737), so nobody is called by mistake. */
export const INTERNET: Outside = { name: 'internet', address: '203.0.113.7' };
/** The same for IPv6 (RFC 3849). */
export const INTERNET_V6: Outside = { name: 'internet (IPv6)', address: '2001:db8::7' };
/** Instance metadata of EC2 and of most other clouds: it gives out the node's credentials. */
export const METADATA: Outside = { name: 'metadata', address: '169.254.169.254' };
/** Instance metadata of EC2 over IPv6. */
export const METADATA_V6: Outside = { name: 'metadata (IPv6)', address: 'fd00:ec2::254' };
/** The task metadata of ECS, which gives out credentials too. */
export const TASK_METADATA: Outside = { name: 'task metadata', address: '169.254.170.2' };
/** The EKS Pod Identity agent: the one link-local address that card pods may use. */
export const POD_IDENTITY: Outside = { name: 'pod identity', address: '169.254.170.23' };
/** What every matrix shows of the world outside. */
export const OUTSIDE: readonly Outside[] = [INTERNET, INTERNET_V6, METADATA, METADATA_V6, TASK_METADATA, POD_IDENTITY];
/** The addresses that no card pod may ever reach. */
export const FORBIDDEN: readonly Outside[] = [METADATA, METADATA_V6, TASK_METADATA];
