import { type ObjectOptions, type Static, type TProperties, type TSchema, type TUnsafe, Type } from '@sinclair/typebox';

/**
 * The building blocks of the kinds' schemas. Each schema is said once, in TypeBox, and read four ways: as a TypeScript type, as the structural
 * OpenAPI schema of a CRD, as a table of docs/reference, and as JSON Schema for input that comes by another way than the API server.
 *
 * Every block demands a description and a bound: the API server estimates the cost of CEL rules from the bounds and refuses a CRD without them.
 */

/** A value that JSON can say. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** A CEL rule (`x-kubernetes-validations`). `message` says what to do, not only what is wrong. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** The field below that the error names; a path relative to where the rule stands, as `.paymentToken`. */
  readonly fieldPath?: string;
  /** A CEL expression of the message, where it can name what is wrong. `message` stands in where it cannot be evaluated. */
  readonly messageExpression?: string;
  /** `oldSelf` is an optional, and the rule is evaluated on creation too. */
  readonly optionalOldSelf?: boolean;
}

/**
 * Rules of what never changes, evaluated when it is set and not again: the API server evaluates every rule of an object at every write of its status,
 * and rules over the 100 lines of
 * an order took 4 of the 14 ms of such a write.
 */
export function whenSet(rules: readonly Rule[]): Rule[] {
  return rules.map((rule) => ({ ...rule, rule: `oldSelf.hasValue() || (${rule.rule})`, optionalOldSelf: true }));
}

/** What every block takes besides its own bounds. */
export interface Described<Value = unknown> {
  readonly description: string;
  /** What the API server puts in when the field is absent. */
  readonly default?: Value;
  readonly rules?: readonly Rule[];
}

/** Where a text's `pattern` keeps the message that the API server gives instead of quoting the expression. */
const PATTERN_MESSAGE = 'x-mercato-message';

/** The largest integer that every JSON reader holds exactly: 2^53 - 1. */
export const MAX_INTEGER = Number.MAX_SAFE_INTEGER;

/** Says a regular expression in the syntax that RE2 and JavaScript share, and what to write instead of what it refuses. */
export interface Form {
  readonly pattern: string;
  readonly message: string;
}

/** A lower-case DNS label (RFC 1123), as a name of a Kubernetes object without dots. */
export const DNS_LABEL: Form = {
  pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$',
  message: 'use a lower-case DNS label: letters a-z, digits and hyphens, with a letter or digit at both ends',
};

/** A length of time; see durations.ts, which parses what this lets through. */
export const DURATION: Form = {
  pattern: '^([0-9]{1,6}(ms|s|m|h|d))+$',
  message: 'write a duration as whole numbers with the units ms, s, m, h or d, as 250ms, 15m or 1h30m',
};

/** A length of time that is not zero, without days, because CEL compares it. */
export const INTERVAL: Form = {
  pattern: '^([0-9]{1,6}(ms|s|m|h))+$',
  message: 'write a time as whole numbers with the units ms, s, m or h, as 250ms, 10s or 1m30s',
};

/** Identifiers in CamelCase, as the reasons of conditions. */
export const CAMEL_CASE: Form = {
  pattern: '^[A-Z][A-Za-z0-9]*$',
  message: 'use CamelCase: letters and digits that start with a capital, as OutOfStock',
};

/** A stock keeping unit: what both the catalogue and the warehouse call the goods. */
export const SKU: Form = {
  pattern: '^[A-Za-z0-9][A-Za-z0-9 ._-]*$',
  message: 'a SKU starts with a letter or digit and has only letters, digits, spaces, dots, underscores and hyphens',
};

const annotations = ({ description, default: value, rules }: Described): Record<string, unknown> => ({
  description,
  ...(value !== undefined && { default: value }),
  ...(rules !== undefined && { 'x-kubernetes-validations': rules }),
});

/** An object with these fields and no others: the API server prunes what it does not know. */
export const object = <T extends TProperties>(fields: T, said: Described & ObjectOptions) => {
  const { description: _d, default: _v, rules: _r, ...rest } = said;
  return Type.Object(fields, { ...rest, ...annotations(said) });
};

/** The field may be left out, and then has no value. A field with a default is not optional to a reader: the API server fills it in. */
export const optional = Type.Optional;

/** A text of at most `maxLength` characters, in the form that `form` says. */
export const text = (said: Described<string> & { maxLength: number; minLength?: number; form?: Form }) =>
  Type.String({
    ...annotations(said),
    ...(said.minLength !== undefined && { minLength: said.minLength }),
    maxLength: said.maxLength,
    ...(said.form && { pattern: said.form.pattern, [PATTERN_MESSAGE]: said.form.message }),
  });

/** The name of another object or step: a lower-case DNS label of at most `maxLength` (63) characters. */
export const label = (said: Described<string> & { maxLength?: number }) =>
  text({ maxLength: 63, minLength: 1, ...said, form: DNS_LABEL });

/** One of a few words. */
export const choice = <const T extends readonly string[]>(values: T, said: Described<T[number]>): TUnsafe<T[number]> =>
  Type.Unsafe<T[number]>({ ...annotations(said), type: 'string', enum: [...values] });

/** A whole number within both bounds. */
export const integer = (said: Described<number> & { minimum: number; maximum: number }) =>
  Type.Integer({ ...annotations(said), format: 'int64', minimum: said.minimum, maximum: said.maximum });

export const flag = (said: Described<boolean>) => Type.Boolean(annotations(said));

/** A list that whoever writes it owns as a whole (`atomic`), so that managedFields does not name each item. */
export const list = <T extends TSchema>(
  items: T,
  said: Described<Static<T>[]> & { maxItems: number; minItems?: number },
) =>
  Type.Array(items, {
    ...annotations(said),
    ...(said.minItems !== undefined && { minItems: said.minItems }),
    maxItems: said.maxItems,
    'x-kubernetes-list-type': 'atomic',
  });

/** A list of objects that are told apart by `key`: unique, and merged item by item by server-side apply. */
export const keyed = <T extends TSchema>(key: string, items: T, said: Described<Static<T>[]> & { maxItems: number }) =>
  Type.Array(items, {
    ...annotations(said),
    maxItems: said.maxItems,
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': [key],
  });

/** An object of any JSON fields: a step's output. Its size in bytes is the engine's to bound (the contract says 1 KiB). */
export const freeForm = (said: Described & { maxProperties: number }): TUnsafe<Readonly<Record<string, Json>>> =>
  Type.Unsafe<Readonly<Record<string, Json>>>({
    ...annotations(said),
    type: 'object',
    maxProperties: said.maxProperties,
    'x-kubernetes-preserve-unknown-fields': true,
  });

/** Labels of a selector: each is demanded. The API server itself knows what a label may look like. */
export const labelMap = (
  said: Described & { minProperties: number; maxProperties: number },
): TUnsafe<Readonly<Record<string, string>>> =>
  Type.Unsafe<Readonly<Record<string, string>>>({
    ...annotations({
      ...said,
      rules: [
        {
          rule: 'self.all(k, !format.qualifiedName().validate(k).hasValue())',
          message:
            'a label key is a name of at most 63 characters, with a DNS domain and a slash before it if it has one',
        },
        {
          rule: 'self.all(k, !format.labelValue().validate(self[k]).hasValue())',
          message:
            'a label value has at most 63 letters, digits, dots, hyphens and underscores, a letter or digit at both ends',
        },
        ...(said.rules ?? []),
      ],
    }),
    type: 'object',
    minProperties: said.minProperties,
    maxProperties: said.maxProperties,
    additionalProperties: { type: 'string', maxLength: 63 },
    'x-kubernetes-map-type': 'atomic',
  });

/** A moment, RFC 3339, as `2026-11-22T12:00:00Z`. */
export const moment = (said: Described<string>) =>
  Type.String({ ...annotations(said), format: 'date-time', maxLength: 40 });

/** A length of time, as `15m`. Zero is allowed. */
export const duration = (said: Described<string>) => text({ ...said, minLength: 2, maxLength: 16, form: DURATION });

// What is no duration at all has an error of its own.
const NOT_ZERO: Rule = { rule: "!self.matches('^(0+(ms|s|m|h|d))+$')", message: 'give a time longer than zero' };

/** A length of time above zero, in units up to hours. */
export const interval = (said: Described<string>) =>
  text({ ...said, minLength: 2, maxLength: 16, form: INTERVAL, rules: [NOT_ZERO, ...(said.rules ?? [])] });

/** A length of time above zero, in units up to days. */
export const positiveDuration = (said: Described<string>) =>
  duration({ ...said, rules: [NOT_ZERO, ...(said.rules ?? [])] });

/** The generation of `spec` that a status speaks of. */
export const observedGeneration = () =>
  integer({ description: 'The generation of spec that this status speaks of.', minimum: 0, maximum: MAX_INTEGER });

/** JSON of unknown shape while a schema is walked. */
type Node = { [key: string]: unknown };

/**
 * The structural schema that a CRD takes, from a TypeBox schema.
 *
 * Two things differ. A field with a default is not `required`: the API server fills it in before it validates, but clients that check against
 * the schema alone would demand it. And a pattern becomes a CEL rule, because the API server's own message for a pattern only quotes it.
 */
export function structural(schema: TSchema): Node {
  return convert(JSON.parse(JSON.stringify(schema)) as Node);
}

function convert(node: Node): Node {
  const { pattern, [PATTERN_MESSAGE]: message, required, properties, items, additionalProperties, ...rest } = node;
  const out: Node = { ...rest };
  if (typeof pattern === 'string' && typeof message === 'string') {
    const form = { rule: `self.matches(${celString(pattern)})`, message };
    out['x-kubernetes-validations'] = [form, ...((rest['x-kubernetes-validations'] as unknown[] | undefined) ?? [])];
  } else if (pattern !== undefined) {
    out['pattern'] = pattern;
  }
  if (properties !== undefined) {
    const fields = properties as Record<string, Node>;
    const demanded = ((required as string[] | undefined) ?? []).filter(
      (name) => fields[name]?.['default'] === undefined,
    );
    if (demanded.length > 0) out['required'] = demanded;
    const converted = Object.entries(fields).map(([name, field]) => [name, convert(field)] as const);
    out['properties'] = Object.fromEntries(converted);
    // The API server evaluates CEL rules on a default as it is written, so it must be whole.
    if (rest['default'] !== undefined) out['default'] = { ...defaultsOf(converted), ...(rest['default'] as Node) };
  }
  if (items !== undefined) out['items'] = convert(items as Node);
  if (additionalProperties !== undefined) out['additionalProperties'] = convert(additionalProperties as Node);
  return out;
}

function defaultsOf(fields: readonly (readonly [string, Node])[]): Node {
  return Object.fromEntries(
    fields.flatMap(([name, field]) => (field['default'] === undefined ? [] : [[name, field['default']]])),
  );
}

/** A CEL string literal. */
export function celString(value: string): string {
  return `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
