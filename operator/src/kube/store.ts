import { keyOf, keyOfObject, type ObjectKey } from './key.ts';
import type { KubeObject } from './types.ts';
import { compareVersions, isComparableVersion } from './version.ts';

/** The names under which an index finds an object; pure, quick, and the same for the same object for ever. */
export type IndexFunction<T> = (object: T) => readonly string[];

/** What happened to one key. `old` is what was stored before. */
export type Change<T> =
  | { readonly type: 'added'; readonly key: ObjectKey; readonly object: T }
  | { readonly type: 'updated'; readonly key: ObjectKey; readonly object: T; readonly old: T }
  | { readonly type: 'deleted'; readonly key: ObjectKey; readonly old: T };

/** The read side of a store: what reconcilers get. Objects are shared and must not be changed. */
export interface ReadStore<T> {
  readonly size: number;
  get(namespace: string, name: string): T | undefined;
  getByKey(key: ObjectKey): T | undefined;
  /** All objects, or those of one namespace, in no order. */
  list(namespace?: string): T[];
  keys(): IterableIterator<ObjectKey>;
  values(): IterableIterator<T>;
  /** The objects that `index` files under `value`. Throws if there is no such index. */
  byIndex(index: string, value: string): T[];
  /** How many objects `index` files under `value`, without collecting them. */
  countByIndex(index: string, value: string): number;
}

class Index<T> {
  readonly #fn: IndexFunction<T>;
  readonly #buckets = new Map<string, Set<ObjectKey>>();

  constructor(fn: IndexFunction<T>) {
    this.#fn = fn;
  }

  get(value: string): ReadonlySet<ObjectKey> | undefined {
    return this.#buckets.get(value);
  }

  valuesOf(object: T): readonly string[] {
    return this.#fn(object);
  }

  add(key: ObjectKey, values: readonly string[]): void {
    for (const value of values) {
      const bucket = this.#buckets.get(value);
      if (bucket === undefined) this.#buckets.set(value, new Set([key]));
      else bucket.add(key);
    }
  }

  remove(key: ObjectKey, values: readonly string[]): void {
    for (const value of values) {
      const bucket = this.#buckets.get(value);
      // An empty bucket goes too, or an index by order id would grow by one entry an order for ever.
      if (bucket?.delete(key) && bucket.size === 0) this.#buckets.delete(value);
    }
  }
}

/**
 * The objects of one resource as last seen, by key, with indexes that are kept up with each change. Objects are stored as parsed, not copied.
 *
 * It never goes back: an object with a lower resourceVersion than the stored one is ignored. (A watch that resumes may repeat events.)
 */
export class Store<T extends KubeObject> implements ReadStore<T> {
  readonly #objects = new Map<ObjectKey, T>();
  readonly #indexes = new Map<string, Index<T>>();

  constructor(indexes: Readonly<Record<string, IndexFunction<T>>> = {}) {
    for (const [name, fn] of Object.entries(indexes)) this.#indexes.set(name, new Index(fn));
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  getByKey(key: ObjectKey): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#objects.keys();
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  byIndex(index: string, value: string): T[] {
    const keys = this.#index(index).get(value);
    return keys === undefined ? [] : [...keys].map((key) => this.#objects.get(key)!);
  }

  countByIndex(index: string, value: string): number {
    return this.#index(index).get(value)?.size ?? 0;
  }

  /** Adds an index over what is stored and what will be. Throws if the name is taken. */
  addIndex(name: string, fn: IndexFunction<T>): void {
    if (this.#indexes.has(name)) throw new Error(`store: there is an index "${name}" already`);
    const index = new Index(fn);
    for (const [key, object] of this.#objects) index.add(key, index.valuesOf(object));
    this.#indexes.set(name, index);
  }

  hasIndex(name: string): boolean {
    return this.#indexes.has(name);
  }

  /** Stores an object that was added or modified. Returns what changed, or `undefined` if it is not newer than what is stored. */
  upsert(object: T): Change<T> | undefined {
    const key = keyOfObject(object);
    const old = this.#objects.get(key);
    if (old !== undefined && !isNewer(object, old)) return undefined;
    this.#put(key, object, old);
    return old === undefined ? { type: 'added', key, object } : { type: 'updated', key, object, old };
  }

  /** Forgets an object. `last` is its state at deletion: an older one than what is stored changes nothing. */
  remove(last: T): Change<T> | undefined {
    const key = keyOfObject(last);
    const old = this.#objects.get(key);
    if (old === undefined || isNewer(old, last)) return undefined;
    this.#drop(key, old);
    return { type: 'deleted', key, old };
  }

  /**
   * Makes the store hold exactly `objects` (of `namespace`, if given; other namespaces are left alone) and returns the differences. Unlike
   * `upsert` it also accepts older versions: a consistent list is the truth, also after etcd was restored from a backup.
   */
  replace(objects: readonly T[], namespace?: string): Change<T>[] {
    const changes: Change<T>[] = [];
    const present = new Set<ObjectKey>();
    for (const object of objects) {
      const key = keyOfObject(object);
      present.add(key);
      const old = this.#objects.get(key);
      if (old !== undefined && sameVersion(old, object)) continue;
      this.#put(key, object, old);
      changes.push(old === undefined ? { type: 'added', key, object } : { type: 'updated', key, object, old });
    }
    for (const [key, old] of this.#objects) {
      if (present.has(key) || (namespace !== undefined && old.metadata.namespace !== namespace)) continue;
      this.#drop(key, old);
      changes.push({ type: 'deleted', key, old });
    }
    return changes;
  }

  #put(key: ObjectKey, object: T, old: T | undefined): void {
    // All index functions run before anything changes: one that throws leaves the store whole.
    const updates = [...this.#indexes.values()].map((index) => ({
      index,
      after: index.valuesOf(object),
      before: old === undefined ? [] : index.valuesOf(old),
    }));
    for (const { index, before, after } of updates) {
      index.remove(key, before);
      index.add(key, after);
    }
    this.#objects.set(key, object);
  }

  #drop(key: ObjectKey, old: T): void {
    for (const index of this.#indexes.values()) index.remove(key, index.valuesOf(old));
    this.#objects.delete(key);
  }

  #index(name: string): Index<T> {
    const index = this.#indexes.get(name);
    if (index === undefined)
      throw new Error(`store: no index "${name}"; there are: ${[...this.#indexes.keys()].join(', ') || 'none'}`);
    return index;
  }
}

function isNewer(a: KubeObject, b: KubeObject): boolean {
  const [left, right] = [a.metadata.resourceVersion, b.metadata.resourceVersion];
  // Objects without a comparable version come from tests and aggregated APIs only; for those the last one heard of wins.
  if (!isComparableVersion(left) || !isComparableVersion(right)) return left !== right;
  return compareVersions(left, right) > 0;
}

function sameVersion(a: KubeObject, b: KubeObject): boolean {
  return a.metadata.uid === b.metadata.uid && a.metadata.resourceVersion === b.metadata.resourceVersion;
}
