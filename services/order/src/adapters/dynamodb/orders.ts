import { randomUUID } from 'node:crypto';
import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import {
  type Clock,
  type CloudEvent,
  type Instant,
  type Milliseconds,
  type Subscriber,
  systemClock,
} from '@mercato/kit';
import { cancelRequestedEvent, customerEvent, type Shop, sagaEventTypes } from '../../domain/events.ts';
import type { CustomerId, OrderId } from '../../domain/ids.ts';
import { askToCancel, hear, type Order, type Progress, type SagaEvent } from '../../domain/order.ts';
import { type OpenState, openStates } from '../../domain/states.ts';
import {
  type Applied,
  type CancelAnswer,
  type CancelRequest,
  type Orders,
  OrdersUnavailable,
  type Page,
  type Placement,
  type Placing,
} from '../../ports/orders.ts';
import type { Connection } from './calls.ts';
import {
  type KeptOrder,
  keptAnswer,
  keyIsFree,
  keyItem,
  openPart,
  orderItem,
  orderKey,
  orderOf,
  progressChange,
  type Retention,
  secondsUntil,
  shardOf,
} from './items.ts';
import { DynamoOutbox } from './outbox.ts';
import { Shards } from './shards.ts';
import { type Item, type Patience, Store } from './store.ts';
import { INDEX, SHARDS } from './table.ts';

export interface DynamoOrdersOptions {
  readonly connection: Connection;
  readonly table: string;
  readonly shop: Shop;
  /** Who is told of events. Events wait for those who are among them when they are written. */
  readonly subscribers: readonly Subscriber[];
  readonly keyRetention: Milliseconds;
  readonly orderRetention: Milliseconds;
  /** @default the machine's clock */
  readonly clock?: Clock;
  readonly patience?: Partial<Patience>;
  /** @default performance.now */
  readonly monotonic?: () => number;
  readonly onError: (error: unknown) => void;
}

/** Orders changed at once by one delivery of events. */
const AT_ONCE = 32;
/** Events of one order that one transaction takes in: each has an entry for each subscriber, and a transaction has 100 parts. */
const TOGETHER = 8;
/** Who changes one order at the same time takes turns; nobody loses so often by chance. */
const TURNS = 20;
/** Index pages that a count reads for each part. */
const COUNTED_PAGES = 10;

/**
 * Orders in a DynamoDB table, which any number of replicas share. An order, its key and its events are one transaction; each write bears the token of the
 * transaction that made it, so that a repeat after a time-out knows its own work. What is old goes by the table's TTL.
 */
export class DynamoOrders implements Orders {
  readonly outbox: DynamoOutbox;
  /** Which parts of the outbox this replica relays. */
  readonly shards: Shards;
  readonly #o: DynamoOrdersOptions;
  readonly #store: Store;
  readonly #retention: Retention;

  constructor(options: DynamoOrdersOptions) {
    const { connection, table, patience, subscribers, onError, clock = systemClock, monotonic } = options;
    this.#o = options;
    this.#retention = { keys: options.keyRetention, orders: options.orderRetention };
    const time = monotonic === undefined ? {} : { monotonic };
    this.#store = new Store({ send: connection.send, table, clock, ...(patience === undefined ? {} : { patience }) });
    const isBusy = (shard: number) => this.outbox.isBusy(shard);
    this.shards = new Shards({ store: this.#store, clock, isBusy, onError, ...time });
    this.outbox = new DynamoOutbox({ store: this.#store, shards: this.shards, subscribers, ...time });
  }

  async place(placement: Placement): Promise<Placing> {
    const write = randomUUID();
    const { at, placed } = placement;
    const parts = [this.#store.put(keyItem(placement, write, this.#retention), keyIsFree(at))];
    const shard = placed === undefined ? 0 : this.#shardFor(placed.order.id);
    if (placed !== undefined) {
      const item = orderItem(placed.order, shard, write);
      parts.push(this.#store.put(item, { when: 'attribute_not_exists(#pk)' }), ...this.#told(shard, placed.event, at));
    }
    const outcome = await this.#store.transact(parts, write);
    if (outcome.done) return this.#recorded(placed !== undefined, shard);
    if (outcome.part !== 0 || outcome.found === undefined)
      throw new OrdersUnavailable(`an order ${placement.answer.orderId} is there already, without this key`);
    const found = keptAnswer(outcome.found);
    // The answer to this very write was lost.
    if (found.write === write) return this.#recorded(placed !== undefined, shard);
    return found.fingerprint === placement.fingerprint
      ? { type: 'Replayed', answer: found.answer }
      : { type: 'Mismatch' };
  }

  async find(id: OrderId): Promise<Order | undefined> {
    return (await this.#get(id))?.order;
  }

  async list(customer: CustomerId, { before, limit }: Page): Promise<readonly Order[]> {
    const orders: Order[] = [];
    // Ids begin with an o.
    let last = before ?? 'p';
    while (orders.length < limit) {
      const { Items = [], LastEvaluatedKey } = await this.#store.query({
        IndexName: INDEX.customer,
        KeyConditionExpression: '#customer = :customer AND #id < :before',
        ExpressionAttributeNames: { '#customer': 'customer', '#id': 'id' },
        ExpressionAttributeValues: { ':customer': { S: customer }, ':before': { S: last } },
        ScanIndexForward: false,
        Limit: limit - orders.length,
      });
      const found = await this.#store.getAll(Items.map(({ pk, sk }) => ({ pk: pk!, sk: sk! })));
      const page = found.map((item) => orderOf(item).order);
      orders.push(...page.sort((a, b) => (a.id < b.id ? 1 : -1)));
      last = Items.at(-1)?.['id']?.S ?? last;
      // Those that the index still shows and that are gone leave room for others.
      if (LastEvaluatedKey === undefined) break;
    }
    return orders;
  }

  async requestCancel(id: OrderId, request: CancelRequest): Promise<CancelAnswer> {
    const { at, reason, traceparent } = request;
    const decide = ({ order, shard }: KeptOrder): Decision<CancelAnswer> => {
      const answer = askToCancel(order.progress, at, reason);
      if (answer.type !== 'Asked') return { result: { type: answer.type, order } };
      const { progress } = answer;
      const event = cancelRequestedEvent(this.#o.shop, id, progress, traceparent);
      return {
        result: { type: 'Asked', order: { ...order, progress } },
        progress,
        entries: this.#told(shard, event, at),
      };
    };
    const found = await this.#get(id);
    return found === undefined ? { type: 'NotFound' } : ((await this.#change(found, decide)) ?? { type: 'NotFound' });
  }

  async apply(events: readonly SagaEvent[], at: Instant): Promise<readonly Applied[]> {
    const answers: Applied[] = events.map(() => ({ type: 'Refused', why: 'there is no such order' }));
    const byOrder = Map.groupBy(events.keys(), (i) => events[i]!.orderId);
    const found = await this.#store.getAll([...byOrder.keys()].map(orderKey));
    const orders = found.map(orderOf);
    const next = orders.values();
    const worker = async () => {
      for (const kept of next) {
        const indexes = byOrder.get(kept.order.id)!;
        const said = await this.#hearAll(
          kept,
          indexes.map((i) => events[i]!),
          at,
        );
        for (const [i, answer] of said.entries()) answers[indexes[i]!] = answer;
      }
    };
    await allOf(Array.from({ length: Math.min(AT_ONCE, orders.length) }, worker));
    return answers;
  }

  async open(): Promise<ReadonlyMap<OpenState, number>> {
    const counts = openStates.map(async (state): Promise<[OpenState, number]> => {
      const parts = Array.from({ length: SHARDS }, (_, shard) =>
        this.#store.count(
          {
            IndexName: INDEX.open,
            KeyConditionExpression: '#open = :open',
            ExpressionAttributeNames: { '#open': 'open' },
            ExpressionAttributeValues: { ':open': { S: openPart(state, shard) } },
          },
          COUNTED_PAGES,
        ),
      );
      return [state, (await Promise.all(parts)).reduce((sum, count) => sum + count, 0)];
    });
    return new Map(await Promise.all(counts));
  }

  /** The table's TTL forgets. */
  async sweep(): Promise<{ readonly forgotten: number; readonly more: boolean }> {
    return { forgotten: 0, more: false };
  }

  /** Hands over what it relays, so that others need not wait for it to be missed. */
  async close(): Promise<void> {
    try {
      await this.shards.close();
    } catch (error) {
      // Others take it once this replica has been silent for long enough.
      this.#o.onError(error);
    } finally {
      this.#o.connection.close();
    }
  }

  async #hearAll(kept: KeptOrder, events: readonly SagaEvent[], at: Instant): Promise<readonly Applied[]> {
    const answers: Applied[] = [];
    let current: KeptOrder | undefined = kept;
    for (let from = 0; from < events.length; from += TOGETHER) {
      const some = events.slice(from, from + TOGETHER);
      if (from > 0) current = await this.#get(kept.order.id);
      const said: readonly Applied[] | undefined =
        current && (await this.#change(current, (seen) => this.#heard(seen, some, at)));
      answers.push(...(said ?? some.map((): Applied => ({ type: 'Refused', why: 'there is no such order' }))));
    }
    return answers;
  }

  #heard({ order, shard }: KeptOrder, events: readonly SagaEvent[], at: Instant): Decision<readonly Applied[]> {
    const { id, terms } = order;
    const entries: TransactWriteItem[] = [];
    let progress: Progress | undefined;
    const result = events.map((event): Applied => {
      const before = progress ?? order.progress;
      const heard = hear(before, event, at);
      if (heard.type !== 'Applied') return heard;
      progress = heard.progress;
      const told = customerEvent(this.#o.shop, id, terms.customer, before.state, progress, event.traceparent);
      if (told !== undefined) entries.push(...this.#told(shard, told, at));
      return { type: 'Applied', from: before.state, to: progress.state };
    });
    return progress === undefined ? { result } : { result, progress, entries };
  }

  /** Decides on what is there, and writes it if that is there still; otherwise again. Undefined when the order went meanwhile. */
  async #change<R>(kept: KeptOrder, decide: (kept: KeptOrder) => Decision<R>): Promise<R | undefined> {
    let seen = kept;
    for (let turn = 0; turn < TURNS; turn++) {
      const decision = decide(seen);
      if (decision.progress === undefined) return decision.result;
      const write = randomUUID();
      const change = progressChange(seen, decision.progress, write, this.#retention);
      const update = this.#store.update(orderKey(seen.order.id), change.update, change);
      const outcome = await this.#store.transact([update, ...decision.entries], write);
      const found: KeptOrder | undefined =
        outcome.done || outcome.found === undefined ? undefined : orderOf(outcome.found);
      if (outcome.done || found?.write === write) {
        if (decision.entries.length > 0) this.outbox.written(seen.shard);
        return decision.result;
      }
      if (found === undefined) return undefined;
      seen = found;
    }
    throw new OrdersUnavailable(`order ${kept.order.id} changed ${TURNS} times while it was to be changed`);
  }

  async #get(id: OrderId): Promise<KeptOrder | undefined> {
    const item: Item | undefined = await this.#store.get(orderKey(id));
    return item && orderOf(item);
  }

  /** News for customers are not news for ever; what a saga is told is never given up. */
  #told(shard: number, event: CloudEvent, at: Instant): TransactWriteItem[] {
    const isForSaga = (sagaEventTypes as readonly string[]).includes(event.type);
    return this.outbox.entries(shard, event, isForSaga ? undefined : secondsUntil(at, this.#retention.keys));
  }

  /** A part that this replica relays itself, so that it knows at once that there is something. */
  #shardFor(id: OrderId): number {
    const held = this.shards.held();
    return held.length === 0 ? shardOf(id) : held[shardOf(id) % held.length]!;
  }

  #recorded(isTold: boolean, shard: number): Placing {
    if (isTold) this.outbox.written(shard);
    return { type: 'Recorded' };
  }
}

/** What is to be done with an order as it was seen: nothing, or a change with its events. */
type Decision<R> =
  | { readonly result: R; readonly progress?: undefined }
  | { readonly result: R; readonly progress: Progress; readonly entries: readonly TransactWriteItem[] };

/** Waits for all, also where one fails: nothing goes on behind the caller's back. */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(works)) if (outcome.status === 'rejected') throw outcome.reason;
}
