import { keyOf, type NamespacedName, type ObjectKey } from './key.ts';
import type { KubeObject } from './types.ts';
import { compareVersions, isComparableVersion } from './version.ts';

/** How a fence is made. */
export interface FenceOptions {
  /** How many writes are remembered one by one; see `Fence` for what happens beyond. @default 10000 */
  maxEntries?: number;
  /**
   * The resourceVersion up to which the cache has seen everything in a namespace, `undefined` if not known: a `Cache`'s `observedVersion`.
   * Without it an entry goes only when its own object is seen.
   */
  observedVersion?: (namespace: string) => string | undefined;
}

interface Entry {
  version: string;
  uid: string | undefined;
  /** The object was deleted for good: no state of this uid is fresh any more. */
  deleted: boolean;
}

/**
 * Read-your-writes over a cache that lags behind.
 *
 * A watch delivers our own write some time after the write was answered. A reconciler that runs in between sees the object as it was before and
 * does everything a second time: Argo Workflows met this in production (#13986, #16294) and cured it by remembering the version last written
 * (#16357). So: tell the fence each write's answer (`wrote`), ask `isFresh` before acting, and if the answer is no, do nothing: the event of the
 * write itself is on its way and will bring the key back.
 *
 * An object is fresh if its resourceVersion is at least the one last written; an empty place, if the cache as a whole has got that far. Entries are dropped
 * when the cache catches up. Should more than `maxEntries` be outstanding, the oldest are merged into a floor: nothing is fresh until the cache
 * has passed it. That is slower, never wrong.
 */
export class Fence {
  readonly #entries = new Map<ObjectKey, Entry>();
  readonly #maxEntries: number;
  readonly #observedVersion: (namespace: string) => string | undefined;
  /** By namespace, the highest version of an entry that had to be merged. */
  readonly #floors = new Map<string, string>();

  constructor(options: FenceOptions = {}) {
    this.#maxEntries = options.maxEntries ?? 10_000;
    this.#observedVersion = options.observedVersion ?? (() => undefined);
    if (!(this.#maxEntries >= 1)) throw new RangeError(`fence: maxEntries must be at least 1, not ${this.#maxEntries}`);
  }

  /** How many writes the cache has yet to show. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Remembers a write: `answer` is the object as the API server returned it. A lower version than the one remembered changes nothing, and neither
   * does a write that the cache has seen before its answer came, which happens.
   */
  wrote(answer: KubeObject): void {
    const { namespace, name, resourceVersion, uid } = answer.metadata;
    if (!isComparableVersion(resourceVersion)) {
      throw new RangeError(
        `fence: the answer of a write to ${keyOf(namespace, name)} has no decimal resourceVersion but "${resourceVersion}"`,
      );
    }
    if (this.#hasSeen(namespace ?? '', resourceVersion)) return;
    this.#remember(keyOf(namespace, name), { version: resourceVersion, uid, deleted: false });
  }

  /** Remembers that the object is gone for good (a delete that left no finalizer waiting); the cache may show it for a while. */
  deleted(object: KubeObject): void {
    const { namespace, name, resourceVersion, uid } = object.metadata;
    if (!isComparableVersion(resourceVersion)) return;
    this.#remember(keyOf(namespace, name), { version: resourceVersion, uid, deleted: true });
  }

  /** Whether this object, as the cache holds it now, shows all that we wrote to it. (One that was read earlier and kept proves nothing.) */
  isFresh(object: KubeObject): boolean {
    return this.isFreshAt({ namespace: object.metadata.namespace ?? '', name: object.metadata.name }, object);
  }

  /** As `isFresh`, for what a cache answered at a place; `undefined` says that it has nothing there, which can be stale too. */
  isFreshAt(place: NamespacedName, object: KubeObject | undefined): boolean {
    const key = keyOf(place.namespace, place.name);
    const entry = this.#entries.get(key);
    if (entry === undefined) return this.#isPastFloor(place.namespace, object);
    if (!this.#isSettled(entry, place.namespace, object)) return false;
    this.#entries.delete(key);
    return this.#isPastFloor(place.namespace, object);
  }

  /** To be called for what the cache sees, so that entries go as soon as they can. */
  observed(object: KubeObject): void {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const entry = this.#entries.get(key);
    if (entry !== undefined && this.#isSettled(entry, object.metadata.namespace ?? '', object))
      this.#entries.delete(key);
  }

  /** To be called when the cache sees a deletion: nothing that we wrote to that object matters any more. */
  observedDeletion(object: KubeObject): void {
    const key = keyOf(object.metadata.namespace, object.metadata.name);
    const entry = this.#entries.get(key);
    if (entry !== undefined && (entry.uid === undefined || entry.uid === object.metadata.uid))
      this.#entries.delete(key);
  }

  /**
   * Forgets everything. Right only after the cache was filled by a consistent list that began after the last write; the way out when etcd was
   * restored from a backup and versions went back.
   */
  reset(): void {
    this.#entries.clear();
    this.#floors.clear();
  }

  #remember(key: ObjectKey, next: Entry): void {
    const known = this.#entries.get(key);
    if (known !== undefined && compareVersions(known.version, next.version) > 0) return;
    // Deleting first keeps the map in order of writing, so that its first entry is the oldest.
    this.#entries.delete(key);
    this.#entries.set(key, next);
    if (this.#entries.size > this.#maxEntries) this.#mergeOldest();
  }

  #mergeOldest(): void {
    for (const [key, entry] of this.#entries) {
      this.#entries.delete(key);
      const slash = key.indexOf('/');
      const namespace = slash < 0 ? '' : key.slice(0, slash);
      const floor = this.#floors.get(namespace);
      if (floor === undefined || compareVersions(entry.version, floor) > 0) this.#floors.set(namespace, entry.version);
      return;
    }
  }

  #isSettled(entry: Entry, namespace: string, object: KubeObject | undefined): boolean {
    if (!entry.deleted && object === undefined) return this.#hasSeen(namespace, entry.version);
    // A deleted object settles when the place is empty or has another object; its own version says nothing about the deletion.
    if (entry.deleted) return object === undefined || object.metadata.uid !== entry.uid;
    const version = object?.metadata.resourceVersion;
    return isComparableVersion(version) && compareVersions(version, entry.version) >= 0;
  }

  #isPastFloor(namespace: string, object: KubeObject | undefined): boolean {
    const floor = this.#floors.get(namespace);
    if (floor === undefined) return true;
    if (this.#hasSeen(namespace, floor)) {
      this.#floors.delete(namespace);
      return true;
    }
    const version = object?.metadata.resourceVersion;
    return isComparableVersion(version) && compareVersions(version, floor) >= 0;
  }

  /** Whether the cache as a whole has got as far as `version`. */
  #hasSeen(namespace: string, version: string): boolean {
    const seen = this.#observedVersion(namespace);
    return isComparableVersion(seen) && compareVersions(seen, version) >= 0;
  }
}
