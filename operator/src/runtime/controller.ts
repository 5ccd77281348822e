import type { Cache, Syncable } from '../kube/cache.ts';
import type { Fence } from '../kube/fence.ts';
import { keyOf, type NamespacedName, type ObjectKey, parseKey } from '../kube/key.ts';
import { nameOf, type Resource } from '../kube/resource.ts';
import type { Change } from '../kube/store.ts';
import type { KubeObject } from '../kube/types.ts';
import type { BackoffOptions } from './backoff.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { type Logger, silentLogger } from './logger.ts';
import { type QueueObserver, WorkQueue } from './queue.ts';
import { done, isPanic, type Result, TerminalError } from './result.ts';

/** What a reconciler gets beside the object. */
export interface ReconcileContext {
  /** Which object; also there when the object is not. */
  readonly key: ObjectKey;
  readonly namespace: string;
  readonly name: string;
  /** Aborts when the reconcile takes too long, and when the controller must stop now (a lost lease, or a drain that took too long). */
  readonly signal: AbortSignal;
  /** How often this key failed in a row before this time. */
  readonly retries: number;
  readonly logger: Logger;
}

/** How a reconcile ended; what metrics count and what decides about the key. */
export type Outcome = 'success' | 'requeue_after' | 'error' | 'terminal' | 'stale';

/** What a controller tells about itself. */
export interface ControllerObserver {
  readonly queue: QueueObserver;
  /** A reconcile ended. */
  reconciled(outcome: Outcome, seconds: number): void;
  /** A reconcile failed by a defect of the program; see `isPanic`. */
  panicked(): void;
  /** A reconcile exceeded its time. */
  timedOut(): void;
}

const unobserved: ControllerObserver = {
  queue: { added() {}, taken() {}, finished() {}, retried() {} },
  reconciled() {},
  panicked() {},
  timedOut() {},
};

/** A secondary resource whose changes concern objects of the controller. Made by `watches`. */
export interface SecondaryWatch {
  /** Begins to hand over keys, those of what is there already first. Returns how to stop. */
  subscribe(enqueue: (key: ObjectKey) => void): () => void;
  readonly cache: Syncable;
}

/**
 * Watches a secondary resource: `map` names the objects of the controller that a secondary object concerns. It is called for the old and the new
 * state of a change, so that an object that is no longer referred to hears of it.
 */
export function watches<S extends KubeObject>(
  cache: Cache<S>,
  map: (object: S) => Iterable<NamespacedName>,
): SecondaryWatch {
  const each = (object: S, enqueue: (key: ObjectKey) => void) => {
    for (const { namespace, name } of map(object)) enqueue(keyOf(namespace, name));
  };
  return {
    cache,
    subscribe(enqueue) {
      for (const object of cache.values()) each(object, enqueue);
      return cache.onChange((change) => {
        if (change.type !== 'added') each(change.old, enqueue);
        if (change.type !== 'deleted') each(change.object, enqueue);
      });
    },
  };
}

/** A `map` for `watches`: the object's controlling owner, if it is of that resource. */
export function controllingOwner(owner: Resource<KubeObject>): (object: KubeObject) => NamespacedName[] {
  return (object) =>
    (object.metadata.ownerReferences ?? [])
      .filter((ref) => ref.controller === true && ref.kind === owner.kind && groupOf(ref.apiVersion) === owner.group)
      .map((ref) => ({ namespace: owner.namespaced ? (object.metadata.namespace ?? '') : '', name: ref.name }));
}

/** What a controller is. */
export interface ControllerOptions<T extends KubeObject> {
  /** Unique in the process: a label of metrics and logs. */
  name: string;
  /** The objects it reconciles. */
  for: Cache<T>;
  /**
   * Makes the world match the object. Must be idempotent and must not change `object`. Throw a TerminalError for what trying again cannot cure;
   * anything else that is thrown is retried with backoff. Never runs twice at a time for one key.
   */
  reconcile: (object: T, context: ReconcileContext) => Promise<Result> | Result;
  /** As `reconcile`, for a key that the cache does not hold (any more). @default does nothing */
  reconcileAbsent?: (context: ReconcileContext) => Promise<Result> | Result;
  /** Changes of the controller's own resource that are worth a reconcile. @default all */
  filter?: (change: Change<T>) => boolean;
  watches?: readonly SecondaryWatch[];
  /** Reads that are older than what was last written are not reconciled; see `Fence`. */
  fence?: Fence;
  /** Whether only the leader runs it. @default true, as controller-runtime */
  needsLeaderElection?: boolean;
  /** Reconciles at a time. @default 1, as controller-runtime */
  maxConcurrentReconciles?: number;
  /**
   * After so many milliseconds `context.signal` aborts. The key stays with its worker until the reconciler returns: a second worker on it would
   * be worse than a slow one. @default 120000; 0 for no limit
   */
  reconcileTimeoutMs?: number;
  /** @default 5 ms doubling to 1000 s */
  backoff?: BackoffOptions;
  clock?: Clock;
  logger?: Logger;
  observer?: ControllerObserver;
}

/** A stale read is looked at again after this long even if no event comes; the event of our own write normally comes first. */
const STALE_RECHECK_MS = 1000;
/** Reconciles that never wait for I/O must still let timers run: a lease has to be renewed. In milliseconds. */
const YIELD_AFTER_MS = 10;

/**
 * A control loop: keys of objects that changed go through a deduplicating queue to a bounded number of workers, each of which reads the object
 * from the cache and calls `reconcile`.
 *
 * Guarantees: each change that passes the filter is followed by a reconcile that begins after it and sees it or something newer; one key is with
 * one worker at a time; a key that fails comes back with exponential backoff. After a start (or a new leadership) every object is reconciled once.
 */
export class Controller<T extends KubeObject> {
  readonly name: string;
  readonly cache: Cache<T>;
  readonly #options: ControllerOptions<T>;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #observer: ControllerObserver;
  readonly #queue: WorkQueue<ObjectKey>;
  readonly #active = new Set<AbortController>();
  readonly maxConcurrentReconciles: number;
  readonly needsLeaderElection: boolean;
  #lastYield = 0;
  #state: 'new' | 'running' | 'stopped' = 'new';

  constructor(options: ControllerOptions<T>) {
    const workers = options.maxConcurrentReconciles ?? 1;
    if (!Number.isInteger(workers) || workers < 1) {
      throw new RangeError(
        `controller ${options.name}: maxConcurrentReconciles must be an integer of at least 1, not ${workers}`,
      );
    }
    this.name = options.name;
    this.cache = options.for;
    this.maxConcurrentReconciles = workers;
    this.needsLeaderElection = options.needsLeaderElection ?? true;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#observer = options.observer ?? unobserved;
    this.#logger = (options.logger ?? silentLogger).with({ controller: options.name, kind: options.for.resource.kind });
    this.#queue = new WorkQueue<ObjectKey>({
      clock: this.#clock,
      ...(options.backoff === undefined ? {} : { backoff: options.backoff }),
      observer: this.#observer.queue,
    });
  }

  /** The caches that must be in sync before it starts. */
  get caches(): Syncable[] {
    return [this.cache, ...(this.#options.watches ?? []).map((watch) => watch.cache)];
  }

  /** The queue, for metrics and for sources of keys other than caches. */
  get queue(): WorkQueue<ObjectKey> {
    return this.#queue;
  }

  /** Reconciles under way. */
  get active(): number {
    return this.#active.size;
  }

  /** Asks for a reconcile of an object, from outside of any watch (a timer, a message). */
  enqueue(place: NamespacedName): void {
    this.#queue.add(keyOf(place.namespace, place.name));
  }

  /**
   * Reconciles until `stop` aborts; then takes no more keys, lets the reconciles under way finish for at most `drainMs`, aborts those that have
   * not, and resolves when all have returned or another `drainMs` is over. `abort` cuts the drain short: it aborts them at once, for a lost lease.
   */
  async run(stop: AbortSignal, options: { drainMs?: number; abort?: AbortSignal } = {}): Promise<void> {
    if (this.#state !== 'new') throw new Error(`controller ${this.name}: it was started before`);
    this.#state = 'running';
    const { abort } = options;
    const abortActive = () => {
      for (const reconcile of this.#active) reconcile.abort(abort?.reason ?? stop.reason);
    };
    abort?.addEventListener('abort', abortActive, { once: true });

    const unsubscribe = this.#subscribe();
    this.#logger.info('controller started', {
      resource: nameOf(this.cache.resource),
      workers: this.maxConcurrentReconciles,
    });
    const workers = Promise.all(Array.from({ length: this.maxConcurrentReconciles }, () => this.#work()));
    await aborted(stop);

    this.#state = 'stopped';
    for (const end of unsubscribe) end();
    void this.#queue.shutDownWithDrain();
    const drainMs = options.drainMs ?? 30_000;
    if (abort?.aborted) abortActive();
    else if (!(await this.#settles(workers, drainMs))) abortActive();
    if (!(await this.#settles(workers, drainMs)))
      this.#logger.error('reconciles go on after the stop', { active: this.#active.size });
    abort?.removeEventListener('abort', abortActive);
    this.#logger.info('controller stopped');
  }

  #subscribe(): (() => void)[] {
    const { filter } = this.#options;
    for (const key of this.cache.keys()) this.#queue.add(key);
    const own = this.cache.onChange((change) => {
      if (filter === undefined || filter(change)) this.#queue.add(change.key);
    });
    const enqueue = (key: ObjectKey) => this.#queue.add(key);
    return [own, ...(this.#options.watches ?? []).map((watch) => watch.subscribe(enqueue))];
  }

  /** Whether the workers end within so many milliseconds. */
  async #settles(workers: Promise<unknown>, ms: number): Promise<boolean> {
    const bound = new AbortController();
    const ended = await Promise.race([
      workers.then(() => true),
      pause(this.#clock, ms, bound.signal).then(() => false),
    ]);
    bound.abort();
    return ended;
  }

  async #work(): Promise<void> {
    for (let key = await this.#queue.get(); key !== undefined; key = await this.#queue.get()) {
      try {
        await this.#handle(key);
      } finally {
        this.#queue.done(key);
      }
      await this.#yieldNowAndThen();
    }
  }

  /** One key: reconcile it, then count and put it back. Every way for a reconcile to end goes through the one switch here. */
  async #handle(key: ObjectKey): Promise<void> {
    const started = this.#clock.monotonic();
    let outcome: Outcome;
    let result: Result = done();
    let failure: unknown;
    try {
      const reconciled = await this.#reconcile(key);
      if (reconciled === 'stale') outcome = 'stale';
      else {
        result = reconciled;
        outcome = result.kind === 'done' ? 'success' : 'requeue_after';
      }
    } catch (error) {
      failure = error;
      outcome = error instanceof TerminalError ? 'terminal' : 'error';
    }

    this.#observer.reconciled(outcome, (this.#clock.monotonic() - started) / 1000);
    switch (outcome) {
      case 'success':
        this.#queue.forget(key);
        return;
      case 'requeue_after':
        // The key came to a good end, so its backoff ends even though it comes back.
        this.#queue.forget(key);
        this.#queue.addAfter(key, result.kind === 'requeueAfter' ? result.ms : 0);
        return;
      case 'stale':
        this.#queue.addAfter(key, STALE_RECHECK_MS);
        return;
      case 'terminal':
        this.#queue.forget(key);
        this.#logger.error('reconcile failed for good', { key, error: failure });
        return;
      case 'error': {
        if (isPanic(failure)) this.#observer.panicked();
        const retryInMs = this.#queue.addRateLimited(key);
        this.#logger.error('reconcile failed', { key, retryInMs, error: failure });
        return;
      }
    }
  }

  async #reconcile(key: ObjectKey): Promise<Result | 'stale'> {
    const { reconcile, reconcileAbsent, fence } = this.#options;
    const object = this.cache.getByKey(key);
    const place = parseKey(key);
    if (fence !== undefined && !fence.isFreshAt(place, object)) return 'stale';
    if (object === undefined && reconcileAbsent === undefined) return done();

    const aborter = new AbortController();
    this.#active.add(aborter);
    const cancel = this.#limitTime(key, aborter);
    const context = this.#context(key, place, aborter.signal);
    try {
      return object === undefined ? await reconcileAbsent!(context) : await reconcile(object, context);
    } finally {
      cancel?.();
      this.#active.delete(aborter);
    }
  }

  #limitTime(key: ObjectKey, aborter: AbortController): (() => void) | undefined {
    const ms = this.#options.reconcileTimeoutMs ?? 120_000;
    if (ms === 0) return undefined;
    return this.#clock.after(ms, () => {
      this.#observer.timedOut();
      this.#logger.error('reconcile takes too long: aborting it', { key, timeoutMs: ms });
      aborter.abort(new Error(`reconcile of ${key} took longer than ${ms} ms`));
    });
  }

  #context(key: ObjectKey, place: NamespacedName, signal: AbortSignal): ReconcileContext {
    const base = this.#logger;
    let logger: Logger | undefined;
    return {
      key,
      namespace: place.namespace,
      name: place.name,
      signal,
      retries: this.#queue.retries(key),
      // Made when asked for: most reconciles say nothing.
      get logger() {
        logger ??= base.with({ key });
        return logger;
      },
    };
  }

  async #yieldNowAndThen(): Promise<void> {
    const now = this.#clock.monotonic();
    if (now - this.#lastYield < YIELD_AFTER_MS) return;
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#lastYield = this.#clock.monotonic();
  }
}

function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf('/');
  return slash < 0 ? '' : apiVersion.slice(0, slash);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
