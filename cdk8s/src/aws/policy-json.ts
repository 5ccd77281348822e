import { expressionOf, HoleError, hole, isHole, typeOf } from '../holes/hole.ts';
import { text } from '../holes/index.ts';

/** A JSON value whose strings may be holes. */
export type Json = string | number | boolean | null | readonly Json[] | JsonMap | Members;

export interface JsonMap {
  readonly [key: string]: Json;
}

/** A map whose keys may be holes, which those of a plain object cannot be. */
export class Members {
  readonly entries: readonly (readonly [key: string, value: Json])[];

  constructor(entries: readonly (readonly [key: string, value: Json])[]) {
    this.entries = entries;
  }
}

/** A map whose keys may be holes. */
export const members = (...entries: readonly (readonly [key: string, value: Json])[]): Members => new Members(entries);

/**
 * A document as compact JSON, as the AWS APIs want their policies. Keys keep the order in which they are given. Both back ends give the same text: where
 * there are holes, the chart escapes what comes into them exactly as this does the rest.
 *
 * @throws HoleError for a hole that stands for a whole list or map: Helm would sort its keys, this would not
 */
export function policyJson(document: Json): string {
  return text(...join(parts(document)));
}

/** Literal JSON, and holes that give JSON. */
function parts(value: Json): string[] {
  if (isHole(value)) return [quoted(value)];
  if (Array.isArray(value)) return ['[', ...separated(value.map(parts)), ']'];
  if (value instanceof Members) return mapParts(value.entries);
  if (typeof value === 'object' && value !== null) return mapParts(Object.entries(value));
  return [literal(value as string | number | boolean | null)];
}

const mapParts = (entries: readonly (readonly [string, Json])[]): string[] => [
  '{',
  ...separated(
    entries.map(([key, value]) => [...(isHole(key) ? [quoted(key)] : [literal(key)]), ':', ...parts(value)]),
  ),
  '}',
];

const separated = (items: readonly string[][]): string[] =>
  items.flatMap((item, i) => (i === 0 ? item : [',', ...item]));

function quoted(value: unknown): string {
  if (typeOf(value) !== 'string')
    throw new HoleError(`${expressionOf(value)} is no string, and a policy takes only those from a chart's values`);
  return hole<string>(`toJson (${expressionOf(value)})`, 'string');
}

/** Go's encoder, which Helm uses, escapes these in strings; outside of strings JSON has none of them. */
const GO_ESCAPES = /[<>&\u2028\u2029]/g;

const literal = (value: string | number | boolean | null): string =>
  JSON.stringify(value).replace(
    GO_ESCAPES,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** Literals side by side as one. */
function join(pieces: readonly string[]): string[] {
  const joined: string[] = [];
  for (const piece of pieces) {
    const last = joined.at(-1);
    if (last !== undefined && !isHole(last) && !isHole(piece)) joined[joined.length - 1] = last + piece;
    else joined.push(piece);
  }
  return joined;
}
