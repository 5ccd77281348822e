import type { Protocol } from '../policy/types.ts';

/** Ports from `first` to `last`, both included. */
export interface PortRange {
  readonly protocol: Protocol;
  readonly first: number;
  readonly last: number;
}

/** Ports as ranges: sorted by protocol and number, none touching the next. So two sets are equal if their JSON is. */
export type PortSet = readonly PortRange[];

/** Every protocol that a NetworkPolicy can speak of. */
export const PROTOCOLS: readonly Protocol[] = ['SCTP', 'TCP', 'UDP'];
/** The highest port. */
export const MAX_PORT = 65_535;
/** No port. */
export const NO_PORTS: PortSet = [];
/** Every port of every protocol. */
export const ALL_PORTS: PortSet = PROTOCOLS.map((protocol) => ({ protocol, first: 1, last: MAX_PORT }));

/** The ports that are in any of the sets. Ranges may come in any order and overlap; empty ones are dropped. */
export function union(ranges: readonly PortRange[]): PortSet {
  const sorted = ranges
    .filter(({ first, last }) => first <= last)
    .toSorted((a, b) => (a.protocol === b.protocol ? a.first - b.first : a.protocol < b.protocol ? -1 : 1));
  const merged: PortRange[] = [];
  for (const range of sorted) {
    const before = merged.at(-1);
    if (before === undefined || before.protocol !== range.protocol || before.last + 1 < range.first) merged.push(range);
    else merged[merged.length - 1] = { ...before, last: Math.max(before.last, range.last) };
  }
  return merged;
}

/** The ports that are in both sets. */
export function intersection(a: PortSet, b: PortSet): PortSet {
  // Most ends are governed on one side only.
  if (a === ALL_PORTS) return b;
  if (b === ALL_PORTS) return a;
  return union(
    a.flatMap((left) =>
      b.flatMap((right) =>
        left.protocol === right.protocol
          ? [{ ...left, first: Math.max(left.first, right.first), last: Math.min(left.last, right.last) }]
          : [],
      ),
    ),
  );
}

/** The ports of `a` that are not in `b`. */
export function difference(a: PortSet, b: PortSet): PortSet {
  return b.reduce<PortSet>((rest, cut) => union(rest.flatMap((range) => without(range, cut))), a);
}

function without(range: PortRange, cut: PortRange): PortRange[] {
  if (range.protocol !== cut.protocol || cut.last < range.first || range.last < cut.first) return [range];
  return [
    { ...range, last: cut.first - 1 },
    { ...range, first: cut.last + 1 },
  ];
}

/** Whether a port is in the set. */
export function includes(set: PortSet, port: number, protocol: Protocol): boolean {
  return set.some((range) => range.protocol === protocol && range.first <= port && port <= range.last);
}

/** `all`, `-` for none, or as `8080/TCP, 9000-9100/UDP, SCTP`: a protocol alone is all of its ports. */
export function formatPorts(set: PortSet): string {
  if (set.length === 0) return '-';
  const whole = set.filter(({ first, last }) => first <= 1 && last === MAX_PORT);
  if (whole.length === PROTOCOLS.length) return 'all';
  return set
    .map((range) => {
      if (whole.includes(range)) return range.protocol;
      return `${range.first}${range.last === range.first ? '' : `-${range.last}`}/${range.protocol}`;
    })
    .join(', ');
}
