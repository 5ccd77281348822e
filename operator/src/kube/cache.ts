import type { BackoffOptions } from '../runtime/backoff.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { type Logger, silentLogger } from '../runtime/logger.ts';
import type { KubeClient } from './client.ts';
import { Fence, type FenceOptions } from './fence.ts';
import type { ObjectKey } from './key.ts';
import { Reflector, type ReflectorObserver } from './reflector.ts';
import { nameOf, type Resource } from './resource.ts';
import { type Change, type IndexFunction, type ReadStore, Store } from './store.ts';
import type { KubeObject } from './types.ts';

/** What a cache holds and how it is kept. See `ReflectorOptions` for the fields that are handed on. */
export interface CacheOptions<T extends KubeObject> {
  client: KubeClient;
  resource: Resource<T>;
  /** The namespaces to hold. @default all, which needs a ClusterRole */
  namespaces?: readonly string[];
  labelSelector?: string;
  fieldSelector?: string;
  indexes?: Readonly<Record<string, IndexFunction<T>>>;
  transform?: (object: T) => T;
  pageSize?: number;
  watchSeconds?: readonly [number, number];
  silenceMs?: number;
  backoff?: BackoffOptions;
  relistJitterMs?: number;
  clock?: Clock;
  random?: () => number;
  logger?: Logger;
  observer?: ReflectorObserver;
}

/** A cache without the type of its objects: what starts it, waits for it and watches over it. */
export interface Syncable {
  /** `plural.group`. */
  readonly name: string;
  readonly hasSynced: boolean;
  /** On the monotonic clock, in milliseconds. */
  readonly lastProgress: number;
  readonly stalenessMs: number;
  run(signal: AbortSignal): Promise<void>;
  synced(signal?: AbortSignal): Promise<void>;
}

/**
 * The objects of one resource, kept current by a reflector for each namespace, shared by all who read them. Objects are shared too: whoever wants
 * to change one copies it first.
 */
export class Cache<T extends KubeObject> implements ReadStore<T>, Syncable {
  readonly resource: Resource<T>;
  readonly name: string;
  readonly #store: Store<T>;
  readonly #reflectors = new Map<string, Reflector<T>>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  readonly #fences: Fence[] = [];
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #observer: ReflectorObserver | undefined;
  #started = false;
  #syncWaiters: (() => void)[] = [];

  constructor(options: CacheOptions<T>) {
    const { namespaces, indexes, ...rest } = options;
    this.resource = options.resource;
    this.name = nameOf(options.resource);
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#observer = options.observer;
    this.#store = new Store<T>(indexes);
    if (namespaces?.length === 0)
      throw new Error(`cache of ${this.name}: an empty list of namespaces holds nothing; leave it out for all`);
    for (const namespace of namespaces ?? ['']) {
      const scope = namespace === '' ? {} : { namespace };
      const reflector = new Reflector<T>({
        ...rest,
        ...scope,
        store: this.#store,
        onChange: (change) => this.#publish(change),
        onWentBack: () => {
          for (const fence of this.#fences) fence.reset();
        },
        observer: this.#observed(),
      });
      this.#reflectors.set(namespace, reflector);
    }
  }

  /** Keeps the cache until `signal` aborts. To be called once. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#started) throw new Error(`cache of ${this.name}: it runs already`);
    this.#started = true;
    await Promise.all([...this.#reflectors.values()].map((reflector) => reflector.run(signal)));
  }

  /** Whether every namespace has been listed once. */
  get hasSynced(): boolean {
    for (const reflector of this.#reflectors.values()) if (!reflector.hasSynced) return false;
    return true;
  }

  /** Resolves when `hasSynced`, or when `signal` aborts: look at `hasSynced` then. */
  async synced(signal?: AbortSignal): Promise<void> {
    if (this.hasSynced || signal?.aborted) return;
    await new Promise<void>((resolve) => {
      this.#syncWaiters.push(resolve);
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** When the quietest namespace was last heard of, on the monotonic clock, in milliseconds. */
  get lastProgress(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const reflector of this.#reflectors.values()) oldest = Math.min(oldest, reflector.lastProgress);
    return oldest;
  }

  /** Milliseconds since `lastProgress`. */
  get stalenessMs(): number {
    return this.#clock.monotonic() - this.lastProgress;
  }

  /** The version up to which everything in the namespace has been seen; `undefined` before the first list. */
  observedVersion(namespace: string): string | undefined {
    return (this.#reflectors.get(namespace) ?? this.#reflectors.get(''))?.observedVersion;
  }

  /**
   * Calls `listener` for each change from now on, after the store has it. It must only take note. What it throws is logged and counted, and
   * keeps nobody else from hearing. Returns how to stop it.
   */
  onChange(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A read-your-writes fence for this cache, cleaned up as the cache catches up. */
  fence(options: Pick<FenceOptions, 'maxEntries'> = {}): Fence {
    const fence = new Fence({ ...options, observedVersion: (namespace) => this.observedVersion(namespace) });
    this.#fences.push(fence);
    this.onChange((change) => {
      if (change.type === 'deleted') fence.observedDeletion(change.old);
      else fence.observed(change.object);
    });
    return fence;
  }

  get size(): number {
    return this.#store.size;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#store.get(namespace, name);
  }

  getByKey(key: ObjectKey): T | undefined {
    return this.#store.getByKey(key);
  }

  list(namespace?: string): T[] {
    return this.#store.list(namespace);
  }

  keys(): IterableIterator<ObjectKey> {
    return this.#store.keys();
  }

  values(): IterableIterator<T> {
    return this.#store.values();
  }

  byIndex(index: string, value: string): T[] {
    return this.#store.byIndex(index, value);
  }

  countByIndex(index: string, value: string): number {
    return this.#store.countByIndex(index, value);
  }

  /** Adds an index; does nothing if there is one of that name, since a shared cache is set up by several controllers. */
  ensureIndex(name: string, fn: IndexFunction<T>): void {
    if (!this.#store.hasIndex(name)) this.#store.addIndex(name, fn);
  }

  #publish(change: Change<T>): void {
    for (const listener of this.#listeners) {
      try {
        listener(change);
      } catch (error) {
        this.#observer?.handlerFailed();
        this.#logger.error('a handler of changes threw', {
          resource: this.name,
          key: change.key,
          change: change.type,
          error,
        });
      }
    }
  }

  /** The caller's observer, and a look at each list whether it was the last one to wait for. */
  #observed(): ReflectorObserver {
    const outer = this.#observer;
    return {
      listed: (objects, seconds) => {
        outer?.listed(objects, seconds);
        if (!this.hasSynced) return;
        const waiters = this.#syncWaiters;
        this.#syncWaiters = [];
        for (const resolve of waiters) resolve();
      },
      listFailed: () => outer?.listFailed(),
      watchStarted: () => outer?.watchStarted(),
      watchEnded: (why) => outer?.watchEnded(why),
      progressed: () => outer?.progressed(),
      handlerFailed: () => outer?.handlerFailed(),
    };
  }
}
