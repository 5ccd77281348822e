import type { Static, TObject, TSchema } from '@sinclair/typebox';
import { Ajv, type ValidateFunction } from 'ajv';
import type { ChartDefinition } from '../charts/chart.ts';
import { acceptsNull, LEAF } from '../holes/hole.ts';

/** Values that a chart does not take. The message names each path and what is wrong there. */
export class ValuesError extends Error {
  override readonly name = 'ValuesError';
}

/** Values as a person writes them: what is left out has its default. */
export type Overrides = Readonly<Record<string, unknown>>;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The values of a chart that nobody told anything. */
export function defaultsOf(schema: TSchema): unknown {
  if ('default' in schema) return structuredClone(schema['default']);
  if (schema['type'] !== 'object') throw new ValuesError(`a value has no default: ${schema['description']}`);
  const properties = (schema['properties'] ?? {}) as Record<string, TSchema>;
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, defaultsOf(property)]));
}

/**
 * Puts values over others as Helm does: maps are merged key by key, everything else is replaced.
 * Where Helm takes null for "remove the key", the charts here take it for "not given", which comes to the same for a value whose default is null.
 */
export function merge(base: unknown, over: unknown): unknown {
  if (!isMap(base) || !isMap(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = merge(merged[key], value);
  return merged;
}

const CHECKS = new WeakMap<TSchema, ValidateFunction>();

/** Compiling a schema takes longer than all else that is done with it, so each is compiled once. */
function checkOf(schema: TSchema): ValidateFunction {
  const known = CHECKS.get(schema);
  if (known !== undefined) return known;
  const made = new Ajv({ allErrors: true, strict: false }).compile(jsonSchema(schema));
  CHECKS.set(schema, made);
  return made;
}

/** A chart's values: defaults, with `overrides` over them. @throws ValuesError */
export function valuesOf<Values extends TObject>(
  definition: ChartDefinition<Values>,
  overrides: Overrides = {},
): Static<Values> {
  const values = merge(defaultsOf(definition.values), overrides);
  const check = checkOf(definition.values);
  if (check(values)) return values as Static<Values>;
  const errors = (check.errors ?? []).map(({ instancePath, message, params }) => {
    const unknown = (params as { additionalProperty?: string }).additionalProperty;
    return `${instancePath.slice(1).replaceAll('/', '.') || 'values'}: ${message}${unknown === undefined ? '' : ` (${unknown})`}`;
  });
  throw new ValuesError(`chart ${definition.name} does not take these values:\n  ${errors.join('\n  ')}`);
}

/**
 * A schema as JSON Schema, draft 7, without this project's own marks. What may be null is not required: Helm removes a key that is given as null.
 */
export function jsonSchema(schema: TSchema): Record<string, unknown> {
  return JSON.parse(
    JSON.stringify(schema, function (this: TSchema, key, value) {
      if (key === LEAF) return undefined;
      if (key !== 'required' || !Array.isArray(value)) return value;
      return value.filter((name: string) => !acceptsNull(this['properties']?.[name]));
    }),
  );
}
