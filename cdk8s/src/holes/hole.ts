import type { TSchema } from '@sinclair/typebox';

/** A value was needed at synthesis that only an installation knows. The message says which, and what to use instead. */
export class HoleError extends Error {
  override readonly name = 'HoleError';
}

const EXPRESSION = Symbol('expression');
const TYPE = Symbol('type');
const NULLABLE = Symbol('nullable');

/** What will be in a hole. A subtree is a whole list or map; entries are a list's, at the end of a list that has others too. */
export type HoleType = 'string' | 'integer' | 'boolean' | 'subtree' | 'entries';

/** What a hole says of itself; the rest of the code sees the type of the value that will be there. */
interface Hole {
  readonly [EXPRESSION]: string;
  readonly [TYPE]: HoleType;
  readonly [NULLABLE]: boolean;
}

/** Properties that libraries ask of any value to find out what it is; a hole has none of them. */
const ASKED = new Set<PropertyKey>([
  'constructor',
  'produce',
  'value',
  'then',
  'toJSON',
  'nodeType',
  'tagName',
  'asymmetricMatch',
  '$$typeof',
]);

/**
 * A place in a chart where the installation's value goes, posing as the value's type. Whoever looks into it (coerces, compares, spreads, iterates,
 * reads a property of it) gets a HoleError at synthesis instead of a chart with the wrong thing frozen into it. Only a bare `if` cannot be
 * caught in JavaScript: conditions go through `when` and `choose`, and the equality of the two back ends over random values finds what does not.
 *
 * @param expression in Go's template language, without braces, as `.Values.image.tag`
 */
export function hole<T>(expression: string, type: HoleType, nullable = false): T {
  const refuse = (how: string): never => {
    throw new HoleError(
      `${expression} is not known at synthesis and cannot be ${how}: pass it on as it is, or use text, choose, when (cdk8s/src/holes)`,
    );
  };
  const target = { [EXPRESSION]: expression, [TYPE]: type, [NULLABLE]: nullable } satisfies Hole;
  return new Proxy(target, {
    get(_, property) {
      // cdk8s asks every value for resolve() when it serialises.
      if (property === 'resolve') return () => placeholderOf(expression, type, nullable);
      if (property === EXPRESSION) return expression;
      if (property === TYPE) return type;
      if (property === NULLABLE) return nullable;
      if (property === 'constructor') return Object;
      if (ASKED.has(property)) return undefined;
      if (property === Symbol.toPrimitive) return () => refuse('coerced');
      return refuse(`looked into (${String(property)})`);
    },
    has: (_, property) => property === EXPRESSION || property === TYPE || property === NULLABLE,
    ownKeys: () => refuse('spread or listed'),
    set: () => refuse('written to'),
  }) as T;
}

/** Whether a value is a hole. */
export function isHole(value: unknown): boolean {
  return typeof value === 'object' && value !== null && EXPRESSION in value;
}

/** Whether a value is a hole for a whole list or map: such ones never pass through a cdk8s class, which would drop them in silence. */
export function isSubtree(value: unknown): boolean {
  return isHole(value) && ['subtree', 'entries'].includes((value as Hole)[TYPE]);
}

/** What will be in a hole. */
export function typeOf(value: unknown): HoleType {
  return (value as Hole)[TYPE];
}

/** A hole's expression, or a literal's, in Go's template language. */
export function expressionOf(value: unknown): string {
  if (isHole(value)) return (value as Hole)[EXPRESSION];
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if (value === undefined || value === null) return 'nil';
  throw new HoleError(`a ${typeof value} has no place in a template's expression: ${JSON.stringify(value)}`);
}

const PLACEHOLDER = /(nullable|entries)?hole0x([0-9a-f]+)x/g;

/** The word that stands for a hole in serialised text. */
export function placeholder(value: unknown): string {
  const { [EXPRESSION]: expression, [TYPE]: type, [NULLABLE]: nullable } = value as Hole;
  return placeholderOf(expression, type, nullable);
}

/** A word that YAML leaves alone, in place of the hole until the text is written. */
function placeholderOf(expression: string, type: HoleType, nullable: boolean): string {
  const kind = type === 'entries' ? 'entries' : nullable ? 'nullable' : '';
  return `${kind}hole0x${Buffer.from(expression).toString('hex')}x`;
}

/** A placeholder found in text. */
export interface Found {
  readonly expression: string;
  readonly nullable: boolean;
  /** Stands for any number of entries of the list that it is in. */
  readonly entries: boolean;
}

/** Replaces each placeholder in a text. */
export function replaceHoles(text: string, by: (found: Found) => string): string {
  return text.replace(PLACEHOLDER, (_, kind: string | undefined, hex: string) =>
    by({
      expression: Buffer.from(hex, 'hex').toString(),
      nullable: kind === 'nullable',
      entries: kind === 'entries',
    }),
  );
}

/** Marks a schema as one leaf: its list or map is a value of its own, replaced as a whole. */
export const LEAF = 'x-mercato-leaf';

/**
 * Holes in the shape of a chart's values: a nested object for each object of the schema, a hole for each leaf.
 * @param path where in `.Values` it is
 */
export function holesOf<T>(schema: TSchema, path: readonly string[] = []): T {
  if (schema['type'] === 'object' && schema['properties'] !== undefined && schema[LEAF] !== true) {
    const properties = schema['properties'] as Record<string, TSchema>;
    return Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, holesOf(property, [...path, name])]),
    ) as T;
  }
  return hole<T>(['.Values', ...path].join('.'), typeOfSchema(schema), acceptsNull(schema));
}

function typeOfSchema(schema: TSchema): HoleType {
  const options = (schema['anyOf'] as TSchema[] | undefined)?.filter((option) => option['type'] !== 'null');
  const { type } = options?.[0] ?? schema;
  if (type === 'string' || type === 'integer' || type === 'boolean') return type;
  if (type === 'object' || type === 'array') return 'subtree';
  throw new HoleError(
    `a chart's value cannot be of type ${type}: use string, integer, boolean, or a list or map as a whole`,
  );
}

/** Whether a value may be left out. */
export function acceptsNull(schema: TSchema | undefined): boolean {
  return schema?.['type'] === 'null' || ((schema?.['anyOf'] as TSchema[] | undefined)?.some(acceptsNull) ?? false);
}
