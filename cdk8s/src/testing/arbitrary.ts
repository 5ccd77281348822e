import type { TSchema } from '@sinclair/typebox';
import fc from 'fast-check';
import { defaultsOf, type Overrides, ValuesError, valuesOf } from '../backends/values.ts';
import type { ChartDefinition } from '../charts/chart.ts';
import { LEAF } from '../holes/hole.ts';

/** Strings that have broken templates before: quotes, braces, what YAML takes for a number, a boolean or a comment. */
const AWKWARD = [
  '',
  '{{ .Values.x }}',
  '"',
  "'",
  'a: b',
  '# c',
  '1e3',
  'on',
  'null',
  '~',
  '0x10',
  '- x',
  '%s',
  '$1',
  'ü',
  '<&>',
  '\\',
  'a\nb',
];

/** Random values that a chart takes: its schema may want some of them together. */
export const overridesArbitrary = (definition: ChartDefinition): fc.Arbitrary<Overrides> =>
  (valuesArbitrary(definition.values) as fc.Arbitrary<Overrides>).filter((overrides) =>
    isTaken(() => valuesOf(definition, overrides)),
  );

/** Whether values are taken by what makes something of them. @throws what it throws for another reason */
export function isTaken(make: () => unknown): boolean {
  try {
    make();
    return true;
  } catch (error) {
    if (error instanceof ValuesError) return false;
    throw error;
  }
}

/** Random valid values for a schema, each for itself: what a person might write beside the defaults. */
export function valuesArbitrary(schema: TSchema): fc.Arbitrary<unknown> {
  if (isGroup(schema)) {
    const properties = Object.entries(schema['properties'] as Record<string, TSchema>);
    return fc.record(Object.fromEntries(properties.map(([name, property]) => [name, valuesArbitrary(property)])), {
      requiredKeys: [],
    });
  }
  return leafArbitrary(schema);
}

/** One without entries is one too, if it takes no others: then there is nothing to say. */
const isGroup = (schema: TSchema): boolean =>
  schema['type'] === 'object' &&
  schema[LEAF] !== true &&
  (schema['additionalProperties'] === false || Object.keys(schema['properties'] ?? {}).length > 0);

function leafArbitrary(schema: TSchema): fc.Arbitrary<unknown> {
  const options = schema['anyOf'] as TSchema[] | undefined;
  if (options !== undefined) return fc.oneof(...options.map(leafArbitrary));
  if (schema['enum'] !== undefined) return fc.constantFrom(...(schema['enum'] as readonly unknown[]));
  switch (schema['type']) {
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'integer':
      return fc.integer({ min: schema['minimum'] ?? 0, max: schema['maximum'] ?? 2_000_000 });
    case 'string':
      return stringArbitrary(schema);
    case 'array':
      return arrayArbitrary(schema);
    default:
      return mapArbitrary(schema);
  }
}

function arrayArbitrary(schema: TSchema): fc.Arbitrary<unknown[]> {
  const { minItems: minLength = 0 } = schema as { minItems?: number };
  const items = leafArbitrary(schema['items'] as TSchema);
  const lengths = { minLength, maxLength: minLength + 3 };
  return schema['uniqueItems'] === true ? fc.uniqueArray(items, lengths) : fc.array(items, lengths);
}

function stringArbitrary(schema: TSchema): fc.Arbitrary<string> {
  const pattern = schema['pattern'] as string | undefined;
  if (pattern === undefined) {
    const { minLength = 0, maxLength = 40 } = schema as { minLength?: number; maxLength?: number };
    const fits = (text: string) => text.length >= minLength && text.length <= maxLength;
    return fc.oneof(fc.constantFrom(...AWKWARD), fc.string({ maxLength: 40 })).filter(fits);
  }
  // A pattern without an end takes anything after it.
  const whole = pattern.endsWith('$') ? pattern : `${pattern}[a-z0-9./-]{1,20}$`;
  return fc.stringMatching(new RegExp(whole), { maxLength: schema['maxLength'] as number });
}

function mapArbitrary(schema: TSchema): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema['properties'] ?? {}) as Record<string, TSchema>);
  if (properties.length > 0)
    return fc.record(Object.fromEntries(properties.map(([name, property]) => [name, leafArbitrary(property)])));
  const fallback = 'default' in schema ? defaultsOf(schema) : {};
  const text = fc.oneof(fc.constantFrom(...AWKWARD), fc.string({ maxLength: 20 }));
  const key = fc.stringMatching(/^[a-z][a-z0-9./-]{0,20}$/);
  const value =
    schema['additionalProperties'] === true
      ? fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text, { maxLength: 2 }))
      : text;
  return fc.oneof(fc.constant(fallback), fc.dictionary(key, value, { maxKeys: 3, noNullPrototype: true }));
}
