import { sha256 } from '@mercato/operator/saga/canonical.ts';
import type { NetworkPolicy } from '../policy/types.ts';
import { type Cidr, edges, formatAddress, parseCidr } from './cidr.ts';
import { formatPorts, NO_PORTS, type PortSet } from './ports.ts';
import { reachOf } from './reach.ts';
import type { Labels } from './selector.ts';
import { type End, endName, isWorkload, OUTSIDE, type Outside, type Workload } from './types.ts';

/** A way that is open, and on which ports. */
export interface Way {
  readonly from: string;
  readonly to: string;
  readonly ports: PortSet;
}

/** What can reach what: every workload and every address outside, both ways. What `ways` does not name is closed. */
export interface Matrix {
  /** Workloads by namespace and name, then what is outside in the order in which it was given. */
  readonly ends: readonly string[];
  /** How many of the ends are workloads. */
  readonly workloads: number;
  /** The ways that are open, in the order of the ends. A way from a workload to itself is one between two of its pods. */
  readonly ways: readonly Way[];
}

/**
 * What can reach what under these policies. Ways between two addresses outside are left out: no policy governs them.
 * Throws a RangeError if two ends have one name, because the matrix could not tell them apart.
 */
export function matrixOf(
  workloads: readonly Workload[],
  policies: readonly NetworkPolicy[],
  outside: readonly Outside[] = OUTSIDE,
): Matrix {
  const ends: readonly End[] = [...workloads.toSorted((a, b) => (endName(a) < endName(b) ? -1 : 1)), ...outside];
  const names = ends.map(endName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new RangeError(`two ends of the matrix are named ${twice}: give each its own name`);
  const reach = reachOf(policies);
  const ways = ends.flatMap((from) =>
    ends
      .filter((to) => isWorkload(from) || isWorkload(to))
      .map((to) => ({ from: endName(from), to: endName(to), ports: reach.ports(from, to) }))
      .filter(({ ports }) => ports.length > 0),
  );
  return { ends: names, workloads: workloads.length, ways };
}

/** Sixteen hexadecimal digits that differ where the matrix does. */
export function digestOf(matrix: Matrix): string {
  return sha256(JSON.stringify([matrix.ends, matrix.ways])).slice(0, 16);
}

/**
 * Addresses that tell these policies' blocks apart: the edges of every block and exception. Two sets of policies that agree on the addresses of
 * both agree on every address there is.
 */
export function telltales(...sets: readonly (readonly NetworkPolicy[])[]): readonly Outside[] {
  const blocks = sets
    .flat()
    .flatMap(({ spec }) => [
      ...(spec?.ingress ?? []).map(({ from }) => from),
      ...(spec?.egress ?? []).map(({ to }) => to),
    ])
    .flatMap((peers) => peers ?? [])
    .flatMap(({ ipBlock }) => (ipBlock === undefined ? [] : [ipBlock.cidr, ...(ipBlock.except ?? [])]));
  const cidrs = [...new Set(blocks)].map(parseCidr).filter((cidr): cidr is Cidr => cidr !== undefined);
  const addresses = new Set(cidrs.flatMap(edges).map(formatAddress));
  return [...addresses].map((address) => ({ name: address, address }));
}

/**
 * A pod without labels in each namespace: what somebody might start tomorrow. Policies that name pods let it through nowhere, and only a policy that selects
 * every pod denies it anything.
 *
 * @param labelsOf the labels of a namespace. @default none
 */
export function strangers(
  namespaces: readonly string[],
  labelsOf: (namespace: string) => Labels = () => ({}),
): readonly Workload[] {
  return namespaces.map((namespace) => ({
    namespace,
    name: '(any other pod)',
    labels: {},
    namespaceLabels: labelsOf(namespace),
  }));
}

/** A way on which two matrices differ; empty ports are a closed way. */
export interface Difference {
  readonly from: string;
  readonly to: string;
  readonly before: PortSet;
  readonly after: PortSet;
}

/** The ways on which two matrices differ, in the order of the ends of `before`. Throws a RangeError if they do not speak of the same ends. */
export function differences(before: Matrix, after: Matrix): readonly Difference[] {
  if (before.ends.join() !== after.ends.join())
    throw new RangeError('the matrices speak of different ends: compute both of the same workloads and addresses');
  const [old, now] = [portsByWay(before), portsByWay(after)];
  return before.ends.flatMap((from) =>
    before.ends
      .map((to) => ({ from, to, before: old(from, to), after: now(from, to) }))
      .filter((way) => formatPorts(way.before) !== formatPorts(way.after)),
  );
}

function portsByWay({ ways }: Matrix): (from: string, to: string) => PortSet {
  const known = new Map(ways.map(({ from, to, ports }) => [`${from} ${to}`, ports]));
  return (from, to) => known.get(`${from} ${to}`) ?? NO_PORTS;
}

/**
 * The matrix for people and for golden files: `markdown` is a table with a row for each source and a column for each destination, `text` a line
 * for each open way. `-` is closed; a cell has the ports that are open.
 */
export function renderMatrix(matrix: Matrix, format: 'markdown' | 'text' = 'markdown'): string {
  return format === 'text' ? asText(matrix) : asTable(matrix);
}

function asText({ ways }: Matrix): string {
  return ways.map(({ from, to, ports }) => `${from} -> ${to}: ${formatPorts(ports)}\n`).join('');
}

function asTable({ ends, workloads, ways }: Matrix): string {
  const ports = portsByWay({ ends, workloads, ways });
  const rows = ends.map((from, row) => [
    from,
    ...ends.map((to, column) => (row >= workloads && column >= workloads ? '' : formatPorts(ports(from, to)))),
  ]);
  return [['from \\ to', ...ends], ['---', ...ends.map(() => '---')], ...rows]
    .map((row) => `| ${row.join(' | ')} |\n`)
    .join('');
}
