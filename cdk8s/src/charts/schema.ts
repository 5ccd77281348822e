import { type TObject, type TProperties, type TSchema, Type } from '@sinclair/typebox';
import { LEAF } from '../holes/hole.ts';

/** A group of values. Unknown keys are refused: a mistyped one would be ignored in silence. */
export const group = <P extends TProperties>(description: string, properties: P): TObject<P> =>
  Type.Object(properties, { description, additionalProperties: false });

export const string = (description: string, fallback: string, limits: object = {}) =>
  Type.String({ description, default: fallback, maxLength: 1024, ...limits });

export const choice = <const T extends readonly string[]>(description: string, options: T, fallback: T[number]) =>
  Type.Unsafe<T[number]>(Type.String({ description, default: fallback, enum: options }));

export const integer = (description: string, fallback: number, minimum: number, maximum: number) =>
  Type.Integer({ description, default: fallback, minimum, maximum });

export const boolean = (description: string, fallback: boolean) => Type.Boolean({ description, default: fallback });

/** A string that may be left out: null, and the field is not there. */
export const optionalString = (description: string, limits: object = {}) =>
  Type.Union([Type.Null(), Type.String({ maxLength: 1024, ...limits })], { description, default: null });

/** A list that is taken as a whole. */
export const list = <T extends TSchema>(
  description: string,
  items: T,
  fallback: readonly unknown[] = [],
  limits: object = {},
) => Type.Array(items, { description, default: [...fallback], maxItems: 64, ...limits, [LEAF]: true });

/** A map of strings that is taken as a whole. */
export const strings = (description: string, fallback: Readonly<Record<string, string>> = {}) =>
  Type.Unsafe<Record<string, string>>(
    Type.Object(
      {},
      { description, default: { ...fallback }, additionalProperties: Type.String(), maxProperties: 64, [LEAF]: true },
    ),
  );

/** A part of a Kubernetes object that is taken as it is. */
export const verbatim = (description: string) =>
  Type.Unsafe<Record<string, unknown>>(Type.Object({}, { description, additionalProperties: true }));

/** A Kubernetes quantity. */
export const quantity = (description: string, fallback: string) =>
  string(description, fallback, { pattern: '^[0-9]+(\\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$' });

/** A name that Kubernetes takes for a namespace. */
export const label = (description: string, fallback: string) =>
  string(description, fallback, { pattern: '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$', maxLength: 63 });

/** Namespaces, each once: what `scope.each` goes through. */
export const namespaceList = (description: string, limits: object = {}) =>
  list(description, label('A namespace', 'default'), [], { uniqueItems: true, ...limits });

/** A group with more values. */
export const extended = <T extends TObject, P extends TProperties>(schema: T, more: P): TObject<T['properties'] & P> =>
  Type.Object({ ...schema.properties, ...more } as T['properties'] & P, {
    description: schema['description'] as string,
    additionalProperties: false,
  });
