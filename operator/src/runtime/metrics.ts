import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Syncable } from '../kube/cache.ts';
import type { EventDrop } from '../kube/events.ts';
import type { ReflectorObserver } from '../kube/reflector.ts';
import type { RequestObserver } from '../kube/transport.ts';
import type { Controller, ControllerObserver, Outcome } from './controller.ts';

/** 10^-8 to 10^3 seconds, as client-go's workqueue metrics in controller-runtime. */
const QUEUE_BUCKETS = Array.from({ length: 12 }, (_, exponent) => 10 ** (exponent - 8));
/** controller-runtime's buckets of controller_runtime_reconcile_time_seconds. */
const RECONCILE_BUCKETS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.25, 1.5, 1.75, 2,
  2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9, 10, 15, 20, 25, 30, 40, 50, 60,
];
const REQUEST_BUCKETS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];

/** What is needed of a controller to read its queue at the time of a scrape. */
type Observed = Pick<Controller<never>, 'name' | 'queue' | 'active' | 'maxConcurrentReconciles'>;

type SizedCache = Syncable & { readonly size: number };

/**
 * The framework's metrics, in a registry of their own or a given one, under the names that users of controller-runtime and client-go know. What
 * has no counterpart there begins with `mercato_`.
 */
export class FrameworkMetrics {
  readonly registry: Registry;
  readonly #requests: Counter<'code' | 'method' | 'host'>;
  readonly #requestDuration: Histogram<'verb' | 'host'>;
  readonly #leader: Gauge<'name'>;
  readonly #queueAdds: Counter<'name' | 'controller'>;
  readonly #queueRetries: Counter<'name' | 'controller'>;
  readonly #queueWait: Histogram<'name' | 'controller'>;
  readonly #queueWork: Histogram<'name' | 'controller'>;
  readonly #reconciles: Counter<'controller' | 'result'>;
  readonly #reconcileErrors: Counter<'controller'>;
  readonly #terminalErrors: Counter<'controller'>;
  readonly #panics: Counter<'controller'>;
  readonly #timeouts: Counter<'controller'>;
  readonly #stale: Counter<'controller'>;
  readonly #reconcileTime: Histogram<'controller'>;
  readonly #lists: Counter<'resource' | 'result'>;
  readonly #listDuration: Histogram<'resource'>;
  readonly #watches: Counter<'resource'>;
  readonly #watchEnds: Counter<'resource' | 'reason'>;
  readonly #handlerErrors: Counter<'resource'>;
  readonly #events: Counter<'result'>;

  readonly #controllers = new Set<Observed>();
  readonly #caches = new Map<string, SizedCache>();

  /**
   * @param options.registry where to register; two instances cannot share one
   * @param options.processMetrics also register prom-client's metrics of the process (memory, event loop lag, garbage collection). @default false
   */
  constructor(options: { registry?: Registry; processMetrics?: boolean } = {}) {
    this.registry = options.registry ?? new Registry();
    const registers = [this.registry];
    if (options.processMetrics) collectDefaultMetrics({ register: this.registry });

    const queue = ['name', 'controller'] as const;
    this.#requests = new Counter({
      name: 'rest_client_requests_total',
      help: 'Number of HTTP requests, partitioned by status code, method, and host.',
      labelNames: ['code', 'method', 'host'],
      registers,
    });
    this.#requestDuration = new Histogram({
      name: 'rest_client_request_duration_seconds',
      help: 'Request latency in seconds, from sending to the end of the answer (for a watch, to its beginning).',
      labelNames: ['verb', 'host'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#leader = new Gauge({
      name: 'leader_election_master_status',
      help: '1 if this process is the leader of the lease, 0 if not.',
      labelNames: ['name'],
      registers,
    });
    this.#queueAdds = new Counter({
      name: 'workqueue_adds_total',
      help: 'Total number of adds handled by workqueue',
      labelNames: queue,
      registers,
    });
    this.#queueRetries = new Counter({
      name: 'workqueue_retries_total',
      help: 'Total number of retries handled by workqueue',
      labelNames: queue,
      registers,
    });
    this.#queueWait = new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'How long in seconds an item stays in workqueue before being requested',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    });
    this.#queueWork = new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'How long in seconds processing an item from workqueue takes.',
      labelNames: queue,
      buckets: QUEUE_BUCKETS,
      registers,
    });
    this.#reconciles = new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Total number of reconciliations per controller',
      labelNames: ['controller', 'result'],
      registers,
    });
    this.#reconcileErrors = new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Total number of reconciliation errors per controller',
      labelNames: ['controller'],
      registers,
    });
    this.#terminalErrors = new Counter({
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Total number of terminal reconciliation errors per controller',
      labelNames: ['controller'],
      registers,
    });
    this.#panics = new Counter({
      name: 'controller_runtime_reconcile_panics_total',
      help: 'Total number of reconciliations per controller that failed by a defect of the program',
      labelNames: ['controller'],
      registers,
    });
    this.#timeouts = new Counter({
      name: 'controller_runtime_reconcile_timeouts_total',
      help: 'Total number of reconciliations per controller that exceeded their time',
      labelNames: ['controller'],
      registers,
    });
    this.#stale = new Counter({
      name: 'mercato_stale_reads_total',
      help: 'Reconciles put off because the cache did not yet show our own last write',
      labelNames: ['controller'],
      registers,
    });
    this.#reconcileTime = new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Length of time per reconciliation per controller',
      labelNames: ['controller'],
      buckets: RECONCILE_BUCKETS,
      registers,
    });
    this.#lists = new Counter({
      name: 'mercato_reflector_lists_total',
      help: 'Lists by resource; more than one success a resource and namespace is a relist',
      labelNames: ['resource', 'result'],
      registers,
    });
    this.#listDuration = new Histogram({
      name: 'mercato_reflector_list_duration_seconds',
      help: 'How long a whole list takes',
      labelNames: ['resource'],
      buckets: REQUEST_BUCKETS,
      registers,
    });
    this.#watches = new Counter({
      name: 'mercato_reflector_watches_total',
      help: 'Watches begun',
      labelNames: ['resource'],
      registers,
    });
    this.#watchEnds = new Counter({
      name: 'mercato_reflector_watch_ends_total',
      help: 'Watches ended, by reason: closed (in order), silent, expired, malformed, refused, disconnected',
      labelNames: ['resource', 'reason'],
      registers,
    });
    this.#handlerErrors = new Counter({
      name: 'mercato_reflector_handler_errors_total',
      help: 'Handlers of changes that threw: a defect of the program',
      labelNames: ['resource'],
      registers,
    });
    this.#events = new Counter({
      name: 'mercato_events_total',
      help: 'Events by what became of them: sent, or why they were dropped',
      labelNames: ['result'],
      registers,
    });
    this.#registerGauges(registers);
  }

  /** The text that a scrape gets. */
  async text(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.registry.contentType, body: await this.registry.metrics() };
  }

  /** For a transport. */
  requests(): RequestObserver {
    return {
      requested: ({ method, host, code, seconds }) => {
        this.#requests.inc({ code, method, host });
        this.#requestDuration.observe({ verb: method, host }, seconds);
      },
    };
  }

  /** For an elector; `name` is the Lease's. */
  leader(name: string): { leading(yes: boolean): void } {
    this.#leader.set({ name }, 0);
    return { leading: (yes) => this.#leader.set({ name }, yes ? 1 : 0) };
  }

  /** For an event recorder. */
  events(): { eventSent(): void; eventDropped(why: EventDrop): void } {
    return {
      eventSent: () => this.#events.inc({ result: 'sent' }),
      eventDropped: (why) => this.#events.inc({ result: why }),
    };
  }

  /** For a cache of a resource. */
  reflector(resource: string): ReflectorObserver {
    return {
      listed: (_objects, seconds) => {
        this.#lists.inc({ resource, result: 'success' });
        this.#listDuration.observe({ resource }, seconds);
      },
      listFailed: () => this.#lists.inc({ resource, result: 'error' }),
      watchStarted: () => this.#watches.inc({ resource }),
      watchEnded: (reason) => this.#watchEnds.inc({ resource, reason }),
      progressed: () => {},
      handlerFailed: () => this.#handlerErrors.inc({ resource }),
    };
  }

  /** For a controller of that name. */
  controller(name: string): ControllerObserver {
    const queue = { name, controller: name };
    // Series exist from the start, so that a rate over the first error is not lost.
    for (const result of ['success', 'error', 'requeue_after'] as const)
      this.#reconciles.inc({ controller: name, result }, 0);
    for (const counter of [this.#reconcileErrors, this.#terminalErrors, this.#panics, this.#timeouts, this.#stale]) {
      counter.inc({ controller: name }, 0);
    }
    return {
      queue: {
        added: () => this.#queueAdds.inc(queue),
        taken: (seconds) => this.#queueWait.observe(queue, seconds),
        finished: (seconds) => this.#queueWork.observe(queue, seconds),
        retried: () => this.#queueRetries.inc(queue),
      },
      reconciled: (outcome, seconds) => this.#reconciled(name, outcome, seconds),
      panicked: () => this.#panics.inc({ controller: name }),
      timedOut: () => this.#timeouts.inc({ controller: name }),
    };
  }

  /** Reads a controller's queue and workers at each scrape. */
  observeController(controller: Observed): void {
    this.#controllers.add(controller);
  }

  /** Reads a cache's size and staleness at each scrape. */
  observeCache(cache: SizedCache): void {
    this.#caches.set(cache.name, cache);
  }

  #reconciled(controller: string, outcome: Outcome, seconds: number): void {
    if (outcome === 'stale') {
      this.#stale.inc({ controller });
      return;
    }
    this.#reconcileTime.observe({ controller }, seconds);
    const failed = outcome === 'error' || outcome === 'terminal';
    this.#reconciles.inc({ controller, result: failed ? 'error' : outcome });
    if (failed) this.#reconcileErrors.inc({ controller });
    if (outcome === 'terminal') this.#terminalErrors.inc({ controller });
  }

  #registerGauges(registers: Registry[]): void {
    const ofQueues = (name: string, help: string, read: (controller: Observed) => number) => {
      const controllers = this.#controllers;
      new Gauge({
        name,
        help,
        labelNames: ['name', 'controller'],
        registers,
        collect() {
          for (const controller of controllers)
            this.set({ name: controller.name, controller: controller.name }, read(controller));
        },
      });
    };
    ofQueues('workqueue_depth', 'Current depth of workqueue', (c) => c.queue.length);
    ofQueues(
      'workqueue_unfinished_work_seconds',
      'How many seconds of work has been done that is in progress and has not been observed by work_duration.',
      (c) => c.queue.unfinished().totalSeconds,
    );
    ofQueues(
      'workqueue_longest_running_processor_seconds',
      'How many seconds has the longest running processor for workqueue been running.',
      (c) => c.queue.unfinished().longestSeconds,
    );
    const ofControllers = (name: string, help: string, read: (controller: Observed) => number) => {
      const controllers = this.#controllers;
      new Gauge({
        name,
        help,
        labelNames: ['controller'],
        registers,
        collect() {
          for (const controller of controllers) this.set({ controller: controller.name }, read(controller));
        },
      });
    };
    ofControllers(
      'controller_runtime_active_workers',
      'Number of currently used workers per controller',
      (c) => c.active,
    );
    ofControllers(
      'controller_runtime_max_concurrent_reconciles',
      'Maximum number of concurrent reconciles per controller',
      (c) => c.maxConcurrentReconciles,
    );
    const caches = this.#caches;
    const ofCaches = (name: string, help: string, read: (cache: SizedCache) => number) => {
      new Gauge({
        name,
        help,
        labelNames: ['resource'],
        registers,
        collect() {
          for (const [resource, cache] of caches) this.set({ resource }, read(cache));
        },
      });
    };
    ofCaches('mercato_cache_objects', 'Objects in the cache', (cache) => cache.size);
    ofCaches(
      'mercato_cache_staleness_seconds',
      'Time since a list, an event or a bookmark was last received',
      (cache) => cache.stalenessMs / 1000,
    );
  }
}
