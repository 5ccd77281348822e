import { isIPv4, isIPv6 } from 'node:net';

/** An IP address as a number. An IPv4 address in IPv6's clothes (`::ffff:10.0.0.1`) is the IPv4 address, as for Go and so for Kubernetes. */
export interface Address {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** The addresses that share the first `prefix` bits of `value`, whose other bits are zero. */
export interface Cidr extends Address {
  readonly prefix: number;
  /** How many bits there are behind the prefix. */
  readonly host: bigint;
}

const MAPPED = 0xffffn << 32n;
const BITS = { 4: 32, 6: 128 } as const;

/** Undefined for what is no IP address, or one with a zone. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { family: 4, value: ofIPv4(text) };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const value = ofIPv6(text);
  return value >> 32n === MAPPED >> 32n ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

/** Undefined for what is no CIDR. Bits behind the prefix are dropped, as Kubernetes does with CIDRs that were stored before it refused them. */
export function parseCidr(text: string): Cidr | undefined {
  const [ip = '', length = '', ...more] = text.split('/');
  const address = parseAddress(ip);
  if (address === undefined || more.length > 0 || !/^(0|[1-9][0-9]{0,2})$/.test(length)) return undefined;
  const wasMapped = address.family === 4 && ip.includes(':');
  const prefix = Number(length) - (wasMapped ? 96 : 0);
  const bits = BITS[address.family];
  if (prefix < 0 || prefix > bits) return undefined;
  const host = BigInt(bits - prefix);
  return { family: address.family, value: (address.value >> host) << host, prefix, host };
}

/** Whether the address lies in the CIDR. Families never match each other. */
export function contains(cidr: Cidr, address: Address): boolean {
  return cidr.family === address.family && cidr.value >> cidr.host === address.value >> cidr.host;
}

/** The addresses at the edges of a CIDR: first, last, and those beside them outside. Two sets of blocks that agree on these agree on all. */
export function edges(cidr: Cidr): readonly Address[] {
  const { family, value, host } = cidr;
  const last = value + (1n << host) - 1n;
  const top = (1n << BigInt(BITS[family])) - 1n;
  const all = [value, last, ...(value > 0n ? [value - 1n] : []), ...(last < top ? [last + 1n] : [])];
  return [...new Set(all)].map((edge) => ({ family, value: edge }));
}

/** The address as text; IPv6 in full groups without leading zeros, and without `::`. {@link parseAddress} reads it back. */
export function formatAddress({ family, value }: Address): string {
  const groups = family === 4 ? 4 : 8;
  const width = family === 4 ? 8n : 16n;
  const parts = Array.from(
    { length: groups },
    (_, i) => (value >> (width * BigInt(groups - 1 - i))) & ((1n << width) - 1n),
  );
  return family === 4 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':');
}

function ofIPv4(text: string): bigint {
  return text.split('.').reduce((value, part) => (value << 8n) + BigInt(part), 0n);
}

function ofIPv6(text: string): bigint {
  const tail = /[0-9.]+$/.exec(text)?.[0] ?? '';
  const hex = tail.includes('.') ? text.slice(0, -tail.length) + hexOf(ofIPv4(tail)) : text;
  const [left = '', right] = hex.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const head = groups(left);
  const end = groups(right ?? '');
  const zeros = right === undefined ? 0 : 8 - head.length - end.length;
  const all = [...head, ...Array.from({ length: zeros }, () => '0'), ...end];
  return all.reduce((value, group) => (value << 16n) + BigInt(`0x${group}`), 0n);
}

function hexOf(ipv4: bigint): string {
  return `${(ipv4 >> 16n).toString(16)}:${(ipv4 & 0xffffn).toString(16)}`;
}
