import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Cache, type CacheOptions, type Syncable } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { EventRecorder } from '../kube/events.ts';
import { LeaderElector, type LeaderElectorOptions, LeaseLostError } from '../kube/leases.ts';
import { nameOf, type Resource } from '../kube/resource.ts';
import type { KubeObject } from '../kube/types.ts';
import { type Clock, pause, systemClock } from './clock.ts';
import { Controller, type ControllerOptions } from './controller.ts';
import type { HealthCheck } from './health.ts';
import { HealthServer, type HealthServerOptions } from './health.ts';
import { type Logger, silentLogger } from './logger.ts';
import { FrameworkMetrics } from './metrics.ts';
import { stalenessCheck } from './staleness.ts';

/** Something that runs beside controllers: an intake server, a sweeper. */
export interface Runnable {
  readonly name: string;
  /** Whether only the leader runs it. @default true, as controller-runtime */
  readonly needsLeaderElection?: boolean;
  /** Runs until `signal` aborts and it has stopped in order. To reject, or to resolve before the signal, stops the whole manager. */
  start(signal: AbortSignal): Promise<void>;
}

/** How a manager is made. */
export interface ManagerOptions {
  client: KubeClient;
  /** Namespaces of all its caches. @default all */
  namespaces?: readonly string[];
  /** With it, controllers run only while this process holds the lease, unless they say that they need none. `identity` defaults to host name and a random suffix. */
  leaderElection?: Pick<
    LeaderElectorOptions,
    'namespace' | 'name' | 'leaseDurationMs' | 'renewDeadlineMs' | 'retryPeriodMs'
  > & { identity?: string };
  /** `false` for no server. @default a free port on 127.0.0.1 */
  health?: Omit<HealthServerOptions, 'metrics'> | false;
  /** How long caches may take to sync at the start, in milliseconds. @default 120000, as controller-runtime */
  cacheSyncTimeoutMs?: number;
  /** How long reconciles under way may take at a stop, in milliseconds; after that they are aborted. @default 30000, as controller-runtime */
  gracefulShutdownMs?: number;
  /** See `StalenessOptions`. */
  staleness?: { boundMs?: number; answeringMs?: number };
  /** Handed on to all caches. */
  cacheDefaults?: Pick<
    CacheOptions<KubeObject>,
    'pageSize' | 'watchSeconds' | 'silenceMs' | 'backoff' | 'relistJitterMs'
  >;
  metrics?: FrameworkMetrics;
  logger?: Logger;
  clock?: Clock;
}

/**
 * Runs caches, controllers and whatever else belongs to one process, in an order that is safe.
 *
 * Start: the health server; the caches, on standby replicas too, so that a take-over finds them warm; what needs no leader; the lease, if wanted; then
 * the other controllers and runnables. Stop: no new keys, reconciles under way finish or are aborted after a bound; then the lease is
 * released; then the caches. A lost lease aborts reconciles at once. Whatever fails stops everything, and `run` rejects with it.
 */
export class Manager {
  readonly client: KubeClient;
  readonly metrics: FrameworkMetrics;
  readonly logger: Logger;
  readonly health: HealthServer | undefined;
  readonly elector: LeaderElector | undefined;
  readonly #options: ManagerOptions;
  readonly #clock: Clock;
  readonly #caches = new Map<string, Syncable>();
  readonly #controllers: Controller<never>[] = [];
  readonly #runnables: Runnable[] = [];
  readonly #recorders: EventRecorder[] = [];
  #state: 'new' | 'running' | 'stopped' = 'new';
  readonly #eventObserver: ReturnType<FrameworkMetrics['events']>;
  #healthUrl: string | undefined;

  constructor(options: ManagerOptions) {
    this.client = options.client;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.logger = options.logger ?? silentLogger;
    this.metrics = options.metrics ?? new FrameworkMetrics();
    this.#eventObserver = this.metrics.events();
    if (options.health !== false)
      this.health = new HealthServer({ ...options.health, metrics: () => this.metrics.text() });
    this.elector = this.#makeElector();
    const { boundMs, answeringMs } = options.staleness ?? {};
    this.addLiveness(
      'watches',
      stalenessCheck({
        transport: options.client.transport,
        caches: () => this.#caches.values(),
        clock: this.#clock,
        ...(boundMs === undefined ? {} : { boundMs }),
        ...(answeringMs === undefined ? {} : { answeringMs }),
      }),
    );
    this.addReadiness('caches', () => {
      const waiting = [...this.#caches.values()].filter((cache) => !cache.hasSynced).map((cache) => cache.name);
      if (waiting.length > 0) throw new Error(`not in sync: ${waiting.join(', ')}`);
    });
  }

  /** Where the health server listens, once started. */
  get healthUrl(): string | undefined {
    return this.#healthUrl;
  }

  /** Adds a check to `/healthz`. */
  addLiveness(name: string, check: HealthCheck): void {
    this.health?.addLiveness(name, check);
  }

  /** Adds a check to `/readyz`. */
  addReadiness(name: string, check: HealthCheck): void {
    this.health?.addReadiness(name, check);
  }

  /**
   * The cache of a resource; one resource has one cache, shared by all controllers. Options other than indexes count only for whoever asks first,
   * so asking a second time with a selection or a transform is an error.
   */
  cache<T extends KubeObject>(
    of: Resource<T>,
    options: Pick<CacheOptions<T>, 'indexes' | 'transform' | 'labelSelector' | 'fieldSelector'> = {},
  ): Cache<T> {
    const name = nameOf(of);
    const known = this.#caches.get(name) as Cache<T> | undefined;
    if (known !== undefined) {
      if (options.transform ?? options.labelSelector ?? options.fieldSelector) {
        throw new Error(`there is a cache of ${name} already: only its first user says what it holds`);
      }
      for (const [index, fn] of Object.entries(options.indexes ?? {})) known.ensureIndex(index, fn);
      return known;
    }
    if (this.#state !== 'new') throw new Error(`cannot add a cache of ${name}: the manager was started`);
    const { namespaces, cacheDefaults } = this.#options;
    const cache = new Cache<T>({
      ...cacheDefaults,
      ...options,
      client: this.client,
      resource: of,
      ...(namespaces !== undefined && of.namespaced ? { namespaces } : {}),
      clock: this.#clock,
      logger: this.logger,
      observer: this.metrics.reflector(name),
    });
    this.#caches.set(name, cache);
    this.metrics.observeCache(cache);
    return cache;
  }

  /** Adds a controller. Its name must be its own. */
  controller<T extends KubeObject>(
    options: Omit<ControllerOptions<T>, 'clock' | 'observer' | 'logger'>,
  ): Controller<T> {
    this.#mustBeNew(`controller ${options.name}`);
    if (this.#controllers.some((other) => other.name === options.name))
      throw new Error(`there is a controller ${options.name} already`);
    const controller = new Controller<T>({
      ...options,
      clock: this.#clock,
      logger: this.logger,
      observer: this.metrics.controller(options.name),
    });
    this.#controllers.push(controller as unknown as Controller<never>);
    this.metrics.observeController(controller as unknown as Controller<never>);
    return controller;
  }

  /**
   * A recorder of events, which sends what waits when the manager stops.
   *
   * @param reportingController who reports, e.g. `mercato.dev/orders`
   * @param reportingInstance which process. @default the host's name, in a cluster the pod's
   */
  recorder(reportingController: string, reportingInstance: string = hostname()): EventRecorder {
    const recorder = new EventRecorder({
      client: this.client,
      reportingController,
      reportingInstance,
      clock: this.#clock,
      logger: this.logger,
      observer: this.#eventObserver,
    });
    this.#recorders.push(recorder);
    return recorder;
  }

  /** Adds something else to run. */
  add(runnable: Runnable): void {
    this.#mustBeNew(runnable.name);
    this.#runnables.push(runnable);
  }

  /**
   * Runs until `stop` aborts (then resolves, after everything has stopped in order) or something fails (then everything is stopped, and it rejects
   * with the first failure). To be called once.
   */
  async run(stop: AbortSignal): Promise<void> {
    this.#mustBeNew('a second run');
    this.#state = 'running';
    /** Ends intake: by the caller's wish, or because something failed. */
    const stopping = new AbortController();
    /** Ends caches, after all who read them. */
    const cachesStop = new AbortController();
    const failures: unknown[] = [];
    /** Ends reconciles under way: what they do is another's by now. */
    const lost = new AbortController();
    const fail = (error: unknown) => {
      failures.push(error);
      if (error instanceof LeaseLostError) lost.abort(error);
      stopping.abort(error);
    };
    const onStop = () => stopping.abort(stop.reason);
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();

    let caches: Promise<unknown> = Promise.resolve();
    try {
      if (this.health !== undefined) this.#healthUrl = (await this.health.start()).url;
      caches = Promise.all([...this.#caches.values()].map((cache) => cache.run(cachesStop.signal)));
      await this.#waitForCaches(stopping.signal);
      const always = this.#runnables.filter((runnable) => runnable.needsLeaderElection === false);
      const anywhere = this.#controllers.filter((controller) => !controller.needsLeaderElection);
      await Promise.all([
        ...always.map((runnable) => this.#supervise(runnable, stopping.signal).catch(fail)),
        ...anywhere.map((controller) => this.#control(controller, stopping.signal, lost.signal).catch(fail)),
        this.#lead(stopping.signal, fail).catch(fail),
        // A manager of caches alone, or one whose controllers all have ended, still runs until it is told to stop.
        untilAborted(stopping.signal),
      ]);
    } catch (error) {
      fail(error);
    } finally {
      stop.removeEventListener('abort', onStop);
      await Promise.all(this.#recorders.map((recorder) => recorder.stop()));
      cachesStop.abort();
      await caches;
      await this.health?.stop();
      this.#state = 'stopped';
      this.logger.info('stopped');
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Runs what only the leader may, under the lease if there is one. */
  async #lead(stop: AbortSignal, fail: (error: unknown) => void): Promise<void> {
    if (stop.aborted) return;
    if (this.elector === undefined) {
      await this.#work(stop, undefined, fail);
      return;
    }
    await this.elector.run((leading) => this.#work(stop, leading, fail), stop);
  }

  /** Controllers and leader-only runnables, until `stop`; `leading` aborts them hard when it does so for another reason than `stop`. */
  async #work(stop: AbortSignal, leading: AbortSignal | undefined, fail: (error: unknown) => void): Promise<void> {
    const lost = new AbortController();
    const ended = new AbortController();
    const onEnd = () => {
      if (leading?.aborted && !stop.aborted) lost.abort(leading.reason);
      ended.abort(leading?.reason ?? stop.reason);
    };
    for (const signal of [stop, leading]) {
      signal?.addEventListener('abort', onEnd, { once: true });
      if (signal?.aborted) onEnd();
    }
    const runnables = this.#runnables.filter((runnable) => runnable.needsLeaderElection !== false);
    await Promise.all([
      ...this.#controllers
        .filter((controller) => controller.needsLeaderElection)
        .map((controller) => this.#control(controller, ended.signal, lost.signal).catch(fail)),
      ...runnables.map((runnable) => this.#supervise(runnable, ended.signal).catch(fail)),
    ]);
    for (const signal of [stop, leading]) signal?.removeEventListener('abort', onEnd);
  }

  #control(controller: Controller<never>, stop: AbortSignal, abort: AbortSignal): Promise<void> {
    return controller.run(stop, { drainMs: this.#options.gracefulShutdownMs ?? 30_000, abort });
  }

  /** Runs a runnable; one that ends before it was told to is a failure, since nobody would notice that it is gone. After the signal it has a bound. */
  async #supervise(runnable: Runnable, signal: AbortSignal): Promise<void> {
    const started = runnable.start(signal);
    const bound = new AbortController();
    const late = new Promise<void>((resolve) => {
      const count = () =>
        void pause(this.#clock, this.#options.gracefulShutdownMs ?? 30_000, bound.signal).then(() => {
          if (!bound.signal.aborted) this.logger.error('it goes on after the stop', { runnable: runnable.name });
          resolve();
        });
      if (signal.aborted) count();
      else signal.addEventListener('abort', count, { once: true });
    });
    try {
      await Promise.race([started, late]);
    } catch (error) {
      // As it comes from the lease of the whole process: who runs the manager asks for it by its class.
      if (error instanceof LeaseLostError) throw error;
      throw new Error(`${runnable.name} failed: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    } finally {
      bound.abort();
    }
    if (!signal.aborted) throw new Error(`${runnable.name} ended before it was told to`);
  }

  async #waitForCaches(stop: AbortSignal): Promise<void> {
    const limit = new AbortController();
    const timeoutMs = this.#options.cacheSyncTimeoutMs ?? 120_000;
    const cancel = this.#clock.after(timeoutMs, () => limit.abort());
    const onStop = () => limit.abort();
    stop.addEventListener('abort', onStop, { once: true });
    if (stop.aborted) onStop();
    try {
      await Promise.all([...this.#caches.values()].map((cache) => cache.synced(limit.signal)));
    } finally {
      cancel();
      stop.removeEventListener('abort', onStop);
    }
    const missing = [...this.#caches.values()].filter((cache) => !cache.hasSynced).map((cache) => cache.name);
    if (missing.length > 0 && !stop.aborted) {
      throw new Error(
        `caches did not sync within ${timeoutMs} ms: ${missing.join(', ')}; is the kind installed, and may we list it?`,
      );
    }
  }

  #makeElector(): LeaderElector | undefined {
    const { leaderElection } = this.#options;
    if (leaderElection === undefined) return undefined;
    return new LeaderElector({
      ...leaderElection,
      identity: leaderElection.identity ?? `${hostname()}_${randomBytes(4).toString('hex')}`,
      client: this.client,
      clock: this.#clock,
      logger: this.logger,
      observer: this.metrics.leader(leaderElection.name),
    });
  }

  #mustBeNew(what: string): void {
    if (this.#state !== 'new') throw new Error(`${what}: the manager was started already`);
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
