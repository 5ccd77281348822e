import { ApiObject, type Chart, JsonPatch } from 'cdk8s';
import { expressionOf, HoleError, hole, isHole, isSubtree, placeholder } from '../holes/hole.ts';

/** A Kubernetes object as plain JSON; leaves may be holes. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly [field: string]: unknown };
  readonly [field: string]: unknown;
}

/** What a chart puts around an object, from the outside in: it is there if a condition holds, or once for each entry of a list. */
export type Block =
  | { readonly kind: 'if'; readonly condition: string }
  | { readonly kind: 'each'; readonly list: string; readonly variable: string };

const BLOCKS = new WeakMap<ApiObject, readonly Block[]>();

/** When and how often a chart has an object, in Go's template language; none: always and once. */
export function blocksOf(object: ApiObject): readonly Block[] {
  return BLOCKS.get(object) ?? [];
}

/** Where constructs put their objects: a cdk8s chart, and what it puts around them. */
export class Scope {
  readonly chart: Chart;
  readonly #blocks: readonly Block[];

  constructor(chart: Chart, blocks: readonly Block[] = []) {
    this.chart = chart;
    this.#blocks = blocks;
  }

  /**
   * Objects that are there only if the condition holds. With a known condition the body runs or does not; with a hole it always runs, and the
   * chart puts each of its objects between `if` and `end`.
   */
  when(condition: boolean, body: (scope: Scope) => void): void {
    if (isHole(condition)) body(this.#within({ kind: 'if', condition: expressionOf(condition) }));
    else if (condition) body(this);
  }

  /**
   * Objects that are there once for each entry of a list of strings. With a known list the body runs for each; with a hole it runs once, for an entry
   * that is a hole too, and the chart puts each of its objects between `range` and `end`. The entry must be a part of what tells the objects apart,
   * which is their namespace, since names come from the model: so the list's schema has unique entries.
   */
  each(list: readonly string[], body: (scope: Scope, entry: string) => void): void {
    if (!isHole(list)) {
      for (const entry of list) body(this, entry);
      return;
    }
    const variable = `$each${this.#blocks.length}`;
    body(this.#within({ kind: 'each', list: expressionOf(list), variable }), hole<string>(variable, 'string'));
  }

  #within(block: Block): Scope {
    return new Scope(this.chart, [...this.#blocks, block]);
  }

  /**
   * Adds an object as it is. For kinds that cdk8s-plus has no class for; the others go through `kube`.
   * @throws HoleError if its name is a hole: a name says what an object is, so it is the model's to give. Only a namespace's is the installation's
   */
  add(manifest: Manifest): ApiObject {
    const { kind, metadata } = manifest;
    const isNamed = !isHole(metadata.name);
    if (!isNamed && kind !== 'Namespace') throw new HoleError(`${kind}: its name is a hole; names come from the model`);
    // The id tells objects of one name apart that stand under conditions of which one holds.
    const taken = this.chart.node.children.length;
    const object = new ApiObject(this.chart, `${kind}-${isNamed ? metadata.name : ''}-${taken}`, {
      ...(structuralCopy(manifest) as Manifest),
      metadata: structuralCopy(Object.fromEntries(known(metadata))) as Manifest['metadata'],
    });
    // The class spreads what it finds in the metadata, so a whole map that is not known yet enters afterwards.
    for (const [field, value] of Object.entries(metadata).filter(([, value]) => isSubtree(value)))
      object.addJsonPatch(JsonPatch.add(`/metadata/${field}`, placeholder(value)));
    if (this.#blocks.length > 0) BLOCKS.set(object, this.#blocks);
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
