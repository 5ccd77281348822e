import { expressionOf, hole, isHole, typeOf } from './hole.ts';

/**
 * Puts strings and integers together. Whole numbers are written in full: Helm itself prints those from a million on as 1e+06.
 * @param parts literals or holes of type string or integer
 */
export function text(...parts: readonly (string | number)[]): string {
  if (!parts.some(isHole)) return parts.join('');
  if (parts.length === 1 && typeOf(parts[0]) === 'string') return parts[0] as string;
  const format = parts.map((part) => {
    if (!isHole(part)) return String(part).replaceAll('%', '%%');
    return typeOf(part) === 'integer' ? '%d' : '%s';
  });
  const values = parts
    .filter(isHole)
    .map((part) => (typeOf(part) === 'integer' ? `(int64 ${argument(part)})` : argument(part)));
  return hole(`printf ${JSON.stringify(format.join(''))} ${values.join(' ')}`, 'string');
}

/** `one` where the condition holds, else `other`; for leaves. */
export function choose<T extends string | number | boolean | null>(condition: boolean, one: T, other: T): T {
  if (!isHole(condition)) return condition ? one : other;
  const sample = one ?? other;
  const type = isHole(sample) ? typeOf(sample) : typeof sample === 'number' ? 'integer' : (typeof sample as 'string');
  const nullable = one === null || other === null;
  return hole(`ternary ${argument(one)} ${argument(other)} ${bool(condition)}`, type, nullable);
}

/** Whether a value was given at all. */
export function isSet(value: unknown): boolean {
  if (!isHole(value)) return value !== null && value !== undefined;
  return hole(`not (kindIs "invalid" ${argument(value)})`, 'boolean');
}

export function equals<T extends string | number | boolean>(value: T, literal: T): boolean {
  if (!isHole(value)) return value === literal;
  // Helm reads whole numbers from files as floats.
  const known = typeOf(value) === 'integer' ? `(int64 ${argument(value)})` : argument(value);
  return hole(`eq ${known} ${expressionOf(literal)}`, 'boolean');
}

export function not(condition: boolean): boolean {
  return isHole(condition) ? hole(`not ${argument(condition)}`, 'boolean') : !condition;
}

export function all(...conditions: readonly boolean[]): boolean {
  if (conditions.includes(false)) return false;
  const open = conditions.filter(isHole);
  if (open.length === 0) return true;
  return open.length === 1 ? (open[0] as boolean) : hole(`and ${open.map(argument).join(' ')}`, 'boolean');
}

export function any(...conditions: readonly boolean[]): boolean {
  if (conditions.includes(true)) return true;
  const open = conditions.filter(isHole);
  if (open.length === 0) return false;
  return open.length === 1 ? (open[0] as boolean) : hole(`or ${open.map(argument).join(' ')}`, 'boolean');
}

/** A list's entries with a separator between them. */
export function joined(list: readonly string[], separator: string): string {
  return isHole(list) ? hole(`join ${JSON.stringify(separator)} ${argument(list)}`, 'string') : list.join(separator);
}

/** Whether a list has no entries. */
export function isEmpty(list: readonly unknown[]): boolean {
  return isHole(list) ? hole(`empty ${argument(list)}`, 'boolean') : list.length === 0;
}

/** A list of these and then of an installation's own. The first must be known, since templates are written around them; there must be one at least. */
export function appended<T>(first: readonly T[], more: readonly unknown[]): T[] {
  return isHole(more) ? [...first, hole<T>(expressionOf(more), 'entries')] : [...first, ...(more as T[])];
}

/** A map of these and an installation's own; where both have a key, these win. */
export function mergedUnder(
  first: Readonly<Record<string, string>>,
  more: Readonly<Record<string, string>>,
): Record<string, string> {
  if (!isHole(more)) return { ...more, ...first };
  const pairs = Object.entries(first).map(([key, value]) => `${expressionOf(key)} ${argument(value)}`);
  return hole(`merge (dict ${pairs.join(' ')}) ${argument(more)}`, 'subtree');
}

/** NetworkPolicy ports, of TCP, from a list of numbers. */
export function tcpPorts(numbers: readonly number[]): { port: number; protocol: string }[] {
  if (!isHole(numbers)) return numbers.map((port) => ({ port, protocol: 'TCP' }));
  // Templates cannot map a list, but the JSON of a list of numbers can be rewritten.
  const json = `regexReplaceAll "[0-9]+" (toJson ${argument(numbers)}) ${JSON.stringify('{"port":$' + '{0},"protocol":"TCP"}')}`;
  return hole(`fromJsonArray (${json})`, 'subtree');
}

/**
 * A list if the condition holds, else an empty one: entries that are there only sometimes, of a list that holes may be in. Handed on as a whole, or to
 * {@link concatenated}.
 */
export function onlyIf<T>(condition: boolean, entries: readonly T[]): readonly T[] {
  if (!isHole(condition)) return condition ? entries : [];
  return hole(`ternary ${literal(entries)} ${NO_ENTRIES} ${bool(condition)}`, 'subtree');
}

/** A map if the condition holds, else nothing: a field that is there only sometimes. */
export function optional<T extends object>(condition: boolean, map: T): T | undefined {
  if (!isHole(condition)) return condition ? map : undefined;
  return hole(`ternary ${literal(map)} nil ${bool(condition)}`, 'subtree', true);
}

/** Lists one after the other. Unlike {@link appended} it wants nothing known, and is written on one line. */
export function concatenated<T>(...lists: readonly (readonly T[])[]): readonly T[] {
  if (!lists.some(isHole)) return lists.flat();
  return hole(`default ${NO_ENTRIES} (concat ${lists.map(literal).join(' ')})`, 'subtree');
}

/** Sprig's own `list` and `concat` give nil where there are no entries, which is null as JSON. */
const NO_ENTRIES = '(fromJsonArray "[]")';

/** What a list or map is in Go's template language, holes and all. */
function literal(value: unknown): string {
  if (isHole(value) || typeof value !== 'object' || value === null) return argument(value);
  if (Array.isArray(value)) return value.length === 0 ? NO_ENTRIES : `(list ${value.map(literal).join(' ')})`;
  const pairs = Object.entries(value)
    .filter(([, entry]) => entry !== undefined)
    .map(([key, entry]) => `${expressionOf(key)} ${literal(entry)}`);
  return pairs.length === 0 ? '(dict)' : `(dict ${pairs.join(' ')})`;
}

const argument = (value: unknown): string => (isHole(value) ? `(${expressionOf(value)})` : expressionOf(value));

/** `ternary` wants a real boolean, and `and`, `or` give back one of their arguments. */
const bool = (value: unknown): string => `(not (not ${argument(value)}))`;
