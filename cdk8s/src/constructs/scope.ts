import { ApiObject, type Chart, JsonPatch } from 'cdk8s';
import { expressionOf, HoleError, isHole, isSubtree, placeholder } from '../holes/hole.ts';

/** A Kubernetes object as plain JSON; leaves may be holes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

const CONDITIONS = new WeakMap<ApiObject, readonly string[]>();

/** Under which conditions a chart has an object, in Go's template language; none: always. */
export function conditionsOf(object: ApiObject): readonly string[] {
  return CONDITIONS.get(object) ?? [];
}

/** Where constructs put their objects: a cdk8s chart, and the conditions under which they are wanted. */
export class Scope {
  readonly chart: Chart;
  readonly #conditions: readonly string[];

  constructor(chart: Chart, conditions: readonly string[] = []) {
    this.chart = chart;
    this.#conditions = conditions;
  }

  /**
   * Objects that are there only if the condition holds. With a known condition the body runs or does not; with a hole it always runs, and the
   * chart puts each of its objects between `if` and `end`.
   */
  when(condition: boolean, body: (scope: Scope) => void): void {
    if (isHole(condition)) body(new Scope(this.chart, [...this.#conditions, expressionOf(condition)]));
    else if (condition) body(this);
  }

  /**
   * Adds an object as it is. For kinds that cdk8s-plus has no class for; the others go through `kube`.
   * @throws HoleError if its name is a hole: a name says what an object is, so it is the model's to give
   */
  add(manifest: Manifest): ApiObject {
    const { kind, metadata } = manifest;
    if (isHole(metadata.name)) throw new HoleError(`${kind}: its name is a hole; names come from the model`);
    // The id tells objects of one name apart that stand under conditions of which one holds.
    const taken = this.chart.node.children.length;
    const object = new ApiObject(this.chart, `${kind}-${metadata.name}-${taken}`, {
      ...(structuralCopy(manifest) as Manifest),
      metadata: structuralCopy(Object.fromEntries(known(metadata))) as Manifest['metadata'],
    });
    // The class spreads what it finds in the metadata, so a whole map that is not known yet enters afterwards.
    for (const [field, value] of Object.entries(metadata).filter(([, value]) => isSubtree(value)))
      object.addJsonPatch(JsonPatch.add(`/metadata/${field}`, placeholder(value)));
    if (this.#conditions.length > 0) CONDITIONS.set(object, this.#conditions);
    return object;
  }
}

const known = (metadata: Manifest['metadata']) => Object.entries(metadata).filter(([, value]) => !isSubtree(value));

/** Copies lists and maps, and leaves holes alone; a field without a value is no field. */
export function structuralCopy(value: unknown): unknown {
  if (isHole(value) || typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(structuralCopy);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => [key, structuralCopy(entry)]),
  );
}
