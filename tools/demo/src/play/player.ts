import type { OrderSagaRun, RunPhase } from '@mercato/operator/api/ordersagarun.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { Reflector } from '@mercato/operator/kube/reflector.ts';
import { type Change, Store } from '@mercato/operator/kube/store.ts';
import { apiServer, type Counter, type Told } from './counter.ts';
import type { PlannedOrder } from './order.ts';
import { pause } from './patience.ts';
import { isSettled, type Played, type Tally, tally } from './tally.ts';

/** How a day of orders is played. */
export interface PlayerOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  /** The OrderSaga that the runs follow. */
  readonly saga: string;
  readonly orders: readonly PlannedOrder[];
  /** Where an order is brought. @default all are applied as OrderSagaRuns */
  readonly counterOf?: (order: PlannedOrder) => Counter;
  /** Whether runs are objects. If not, what customers are told is all that is seen of a run that nobody has to look at. @default true */
  readonly runsAreObjects?: boolean;
  /** How long the day takes, in milliseconds, if orders are taken that fast. */
  readonly dayMs: number;
  /** Creates under way at once. @default 24: leaves the API server room for the operator */
  readonly concurrency?: number;
  /** Waited for before the nth order (from 0) is sent, beside its time. @default none */
  readonly release?: (nth: number) => Promise<void>;
}

/** One order of a play, with its run as it was last seen. */
export interface PlayedOrder extends Played {
  readonly order: PlannedOrder;
  /** What its customer was told last. @default it was applied, and nobody is told anything */
  readonly told?: Told;
  /** Whether it was ever seen held, by its run or by what its customer was told. @default false */
  readonly wasHeld?: boolean;
  /** The run's object, as the watch last told it; it stays when the object is deleted. */
  readonly run?: OrderSagaRun;
  /** Every uid under which the run's object was seen. */
  readonly uids: ReadonlySet<string>;
}

/** How often customers ask for orders that are under way. */
const ASK_MS = 200;
/** Questions of customers that are under way at once. */
const ASKING = 8;

/**
 * Plays a day of orders: brings each to its counter at its time of the day, watches its run, and asks what its customer is told. Keeps its own
 * log, of what was accepted and of how each run was last seen, so that nothing is forgotten when runs are deleted.
 */
export class Player {
  readonly #options: PlayerOptions;
  readonly #applied: Counter;
  readonly #played = new Map<string, Mutable<PlayedOrder>>();
  readonly #strangers = new Map<string, OrderSagaRun>();
  readonly #beganMs = performance.now();
  #changedMs = performance.now();

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#applied = apiServer(options.client, options.namespace, options.saga);
  }

  /** Orders that were sent so far, by the name of their run; until an order has its id, by that of the one that it was planned with. */
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

  /** Whether everything that was accepted has ended or is held. */
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
        await this.#bring(order, signal);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
  }

  /** Asks what customers are told of orders that are not over, until `signal` aborts. Rejects for an answer that makes no sense. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const open = [...this.#played.values()].filter(
        ({ order, acceptedMs, told }) =>
          acceptedMs !== undefined && this.#counterOf(order).told !== undefined && !isOver(told?.phase),
      );
      const waiting = open.values();
      const ask = async () => {
        for (const played of waiting) {
          if (signal.aborted) return;
          const told = await this.#counterOf(played.order).told?.(played.orderId);
          if (told !== undefined) this.#hear(played, told);
        }
      };
      await Promise.all(Array.from({ length: ASKING }, ask));
      await pause(ASK_MS, signal).catch(() => {});
    }
  }

  #counterOf(order: PlannedOrder): Counter {
    return this.#options.counterOf?.(order) ?? this.#applied;
  }

  async #bring(order: PlannedOrder, signal: AbortSignal): Promise<void> {
    const planned = this.#nameOf(order.orderId);
    const played: Mutable<PlayedOrder> = { order, orderId: order.orderId, sentMs: performance.now(), uids: new Set() };
    this.#played.set(planned, played);
    const answer = await this.#counterOf(order).bring(order, signal);
    if ('refusal' in answer) played.refusal = answer.refusal;
    else {
      played.orderId = answer.orderId;
      this.#played.delete(planned);
      this.#played.set(this.#nameOf(answer.orderId), played);
      played.acceptedMs = performance.now();
      // Its run may have been there before anybody knew its name.
      const run = this.#strangers.get(this.#nameOf(answer.orderId));
      this.#strangers.delete(this.#nameOf(answer.orderId));
      if (run !== undefined) this.#note(played, run);
    }
    this.#changedMs = performance.now();
  }

  #nameOf(orderId: string): string {
    return `${this.#options.saga}-${orderId}`;
  }

  #hear(played: Mutable<PlayedOrder>, told: Told): void {
    played.told = told;
    this.#judge(played);
  }

  #see(change: Change<OrderSagaRun>): void {
    if (change.type === 'deleted') return;
    const { object } = change;
    const { name } = object.metadata;
    const played = this.#played.get(name);
    if (played === undefined) this.#strangers.set(name, object);
    else this.#note(played, object);
  }

  #note(played: Mutable<PlayedOrder>, run: OrderSagaRun): void {
    played.run = run;
    (played.uids as Set<string>).add(run.metadata.uid ?? '');
    this.#judge(played);
  }

  /** An order is settled when all who tell of it say so: its run where that is an object, and whoever tells its customer. */
  #judge(played: Mutable<PlayedOrder>): void {
    const { runsAreObjects = true } = this.#options;
    const hasTeller = this.#counterOf(played.order).told !== undefined;
    const ofRun = runsAreObjects || !hasTeller ? (played.run?.status?.phase ?? 'Pending') : undefined;
    const ofTeller = hasTeller ? (played.told?.phase ?? 'Pending') : undefined;
    const phase: RunPhase = ofRun ?? ofTeller ?? 'Pending';
    if (ofRun === 'Held' || ofTeller === 'Held' || played.run?.status?.phase === 'Held') played.wasHeld = true;
    if (played.phase !== phase) this.#changedMs = performance.now();
    played.phase = phase;
    const isOpen = [ofRun, ofTeller].some((each) => each !== undefined && !isSettled(each));
    if (isOpen) delete played.settledMs;
    else if (played.settledMs === undefined) {
      played.settledMs = performance.now();
      this.#changedMs = performance.now();
    }
  }
}

/** Whether nothing more happens to an order. */
function isOver(phase: RunPhase | undefined): boolean {
  return isSettled(phase) && phase !== 'Held';
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
