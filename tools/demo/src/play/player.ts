import { API_VERSION } from '@mercato/operator/api/kind.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { FINALIZER } from '@mercato/operator/controllers/ordersagarun/run.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { ApiError, isAlreadyExists } from '@mercato/operator/kube/errors.ts';
import { Reflector } from '@mercato/operator/kube/reflector.ts';
import { type Change, Store } from '@mercato/operator/kube/store.ts';
import type { PlannedOrder } from './order.ts';
import { isSettled, type Played, type Tally, tally } from './tally.ts';

/** How a day of orders is played. */
export interface PlayerOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The OrderSaga that the runs follow. */
  readonly saga: string;
  readonly orders: readonly PlannedOrder[];
  /** How long the day takes, in milliseconds, if the API server takes the orders that fast. */
  readonly dayMs: number;
  /** Creates under way at once. @default 24: leaves the API server room for the operator */
  readonly concurrency?: number;
  /** Waited for before the nth order (from 0) is sent, beside its time. @default none */
  readonly release?: (nth: number) => Promise<void>;
}

/** One order of a play, with its run as it was last seen. */
export interface PlayedOrder extends Played {
  readonly order: PlannedOrder;
  /** The run's object, as the watch last told it; it stays when the object is deleted. */
  readonly run?: OrderSagaRun;
  /** Every uid under which the run's object was seen. */
  readonly uids: ReadonlySet<string>;
}

/** A create whose outcome nobody knows is sent again after this long. */
const RETRY_MS = 250;

/**
 * Plays a day of orders: creates an OrderSagaRun for each at its time of the day, and watches what becomes of it. Keeps its own
 * log, of what the API server accepted and of how each run was last seen, so that nothing is forgotten when runs are deleted.
 */
export class Player {
  readonly #options: PlayerOptions;
  readonly #played = new Map<string, Mutable<PlayedOrder>>();
  readonly #strangers = new Map<string, OrderSagaRun>();
  readonly #beganMs = performance.now();
  #changedMs = performance.now();

  constructor(options: PlayerOptions) {
    this.#options = options;
  }

  /** Orders that were sent so far, by the name of their run. */
  get played(): ReadonlyMap<string, PlayedOrder> {
    return this.#played;
  }

  /** Runs in the namespace that this player never sent. */
  get strangers(): ReadonlyMap<string, OrderSagaRun> {
    return this.#strangers;
  }

  /** When something last changed, in monotonic milliseconds. */
  get changedMs(): number {
    return this.#changedMs;
  }

  tally(nowMs = performance.now()): Tally {
    return tally(this.#options.orders.length, this.#played.values(), this.#beganMs, nowMs);
  }

  /** Whether everything that the API server accepted has ended or is held. */
  get isQuiet(): boolean {
    if (this.#played.size < this.#options.orders.length) return false;
    return [...this.#played.values()].every(
      ({ acceptedMs, refusal, settledMs }) =>
        refusal !== undefined || (acceptedMs !== undefined && settledMs !== undefined),
    );
  }

  /** Watches the runs until `signal` aborts. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    const { client, namespace } = this.#options;
    const reflector = new Reflector<OrderSagaRun>({
      client,
      resource: orderSagaRuns,
      namespace,
      store: new Store<OrderSagaRun>(),
      onChange: (change) => this.#see(change),
    });
    await reflector.run(signal);
  }

  /** Sends all orders, each at its time. Rejects only when `signal` aborts. */
  async send(signal: AbortSignal): Promise<void> {
    const { orders, dayMs, concurrency = 24, release } = this.#options;
    const last = Math.max(1, orders.at(-1)?.atMs ?? 1);
    const first = orders[0]?.atMs ?? 0;
    const waiting = orders.entries();
    const began = performance.now();
    const work = async () => {
      for (const [nth, order] of waiting) {
        const due = began + ((order.atMs - first) / Math.max(1, last - first)) * dayMs;
        await pause(due - performance.now(), signal);
        await release?.(nth);
        signal.throwIfAborted();
        await this.#create(order, signal);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
  }

  async #create(order: PlannedOrder, signal: AbortSignal): Promise<void> {
    const { client, namespace } = this.#options;
    const run = this.#runOf(order);
    const played: Mutable<PlayedOrder> = { order, orderId: order.orderId, sentMs: performance.now(), uids: new Set() };
    this.#played.set(run.metadata.name, played);
    this.#strangers.delete(run.metadata.name);
    for (;;) {
      try {
        await client.transport.request({
          method: 'POST',
          path: `/apis/${API_VERSION}/namespaces/${namespace}/${orderSagaRuns.plural}`,
          query: { fieldManager: client.fieldManager },
          body: run,
          signal,
        });
        break;
      } catch (error) {
        signal.throwIfAborted();
        // An earlier try of ours came through, and its answer was lost.
        if (isAlreadyExists(error)) break;
        if (error instanceof ApiError && error.code < 500) {
          played.refusal = error.status?.message ?? error.message;
          break;
        }
        await pause(RETRY_MS, signal);
      }
    }
    if (played.refusal === undefined) played.acceptedMs = performance.now();
    this.#changedMs = performance.now();
  }

  #runOf({ orderId, input }: PlannedOrder) {
    const { namespace, saga } = this.#options;
    return {
      apiVersion: API_VERSION,
      kind: orderSagaRuns.kind,
      // The operator would add the finalizer with a write of its own; whoever creates many runs saves it that.
      metadata: { name: `${saga}-${orderId}`, namespace, finalizers: [FINALIZER] },
      spec: { sagaRef: { name: saga }, orderId, input },
    };
  }

  #see(change: Change<OrderSagaRun>): void {
    if (change.type === 'deleted') return;
    const { object } = change;
    const { name, uid = '' } = object.metadata;
    const played = this.#played.get(name);
    if (played === undefined) {
      this.#strangers.set(name, object);
      return;
    }
    const phase = object.status?.phase ?? 'Pending';
    played.run = object;
    (played.uids as Set<string>).add(uid);
    if (played.phase !== phase) this.#changedMs = performance.now();
    played.phase = phase;
    if (!isSettled(phase)) delete played.settledMs;
    else played.settledMs ??= performance.now();
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function pause(ms: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (ms <= 0) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    signal.addEventListener('abort', stop, { once: true });
  });
}
