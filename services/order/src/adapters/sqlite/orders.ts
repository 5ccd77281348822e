import {
  appendEvent,
  type Instant,
  type Migrations,
  outboxMigrations,
  type Store,
  StoreError,
  StoreOutbox,
  type Tx,
} from '@mercato/kit';
import { SWEEP_ROWS } from '@mercato/kit/sweep.ts';
import { cancelRequestedEvent, customerEvent, type Shop } from '../../domain/events.ts';
import type { CustomerId, OrderId } from '../../domain/ids.ts';
import { askToCancel, hear, type Order, type SagaEvent } from '../../domain/order.ts';
import type { OpenState } from '../../domain/states.ts';
import {
  type Applied,
  type CancelAnswer,
  type CancelRequest,
  type Forgetting,
  type Orders,
  OrdersUnavailable,
  type Page,
  type Placement,
  type Placing,
} from '../../ports/orders.ts';
import {
  answerByKey,
  insertKey,
  insertOrder,
  openCounts,
  orderById,
  ordersOf,
  progressById,
  saveProgress,
  sweepKeys,
  sweepOrders,
} from './rows.ts';
import { orderMigrations } from './schema.ts';

/** Everything that the store of {@link SqliteOrders} must be opened with. */
export const migrations: readonly Migrations[] = [outboxMigrations, orderMigrations];

/** Rows that one sweep deletes at most, of each table: fewer than usual, since an order has two indexes and its terms. */
const SWEEP = SWEEP_ROWS / 2;

/** Orders in a SQLite file of one process. What arrives in one turn of the event loop shares a commit. */
export class SqliteOrders implements Orders {
  /** Where the events wait; it wakes its relay after each commit that wrote some. */
  readonly outbox: StoreOutbox;
  readonly #store: Store;
  readonly #shop: Shop;

  /** @param store opened with {@link migrations} */
  constructor(store: Store, shop: Shop) {
    this.#store = store;
    this.#shop = shop;
    this.outbox = new StoreOutbox(store);
  }

  place(placement: Placement): Promise<Placing> {
    return this.#change((tx): Placing => {
      if (!insertKey(tx, placement)) {
        const { fingerprint, answer } = answerByKey(tx, placement.key)!;
        return fingerprint === placement.fingerprint ? { type: 'Replayed', answer } : { type: 'Mismatch' };
      }
      if (placement.placed !== undefined) {
        insertOrder(tx, placement.placed.order);
        appendEvent(tx, placement.placed.event, placement.at);
      }
      return { type: 'Recorded' };
    });
  }

  find(id: OrderId): Promise<Order | undefined> {
    return translated(this.#store.read((reader) => orderById(reader, id)));
  }

  list(customer: CustomerId, page: Page): Promise<readonly Order[]> {
    return translated(this.#store.read((reader) => ordersOf(reader, customer, page)));
  }

  requestCancel(id: OrderId, { at, reason, traceparent }: CancelRequest): Promise<CancelAnswer> {
    return this.#change((tx): CancelAnswer => {
      const order = orderById(tx, id);
      if (order === undefined) return { type: 'NotFound' };
      const answer = askToCancel(order.progress, at, reason);
      if (answer.type !== 'Asked') return { type: answer.type, order };
      const { progress } = answer;
      saveProgress(tx, id, order.progress.state, progress, cancelRequestedEvent(this.#shop, id, progress, traceparent));
      return { type: 'Asked', order: { ...order, progress } };
    });
  }

  apply(events: readonly SagaEvent[], at: Instant): Promise<readonly Applied[]> {
    return this.#change((tx) => events.map((event) => this.#apply(tx, event, at)));
  }

  open(): Promise<ReadonlyMap<OpenState, number>> {
    return translated(this.#store.read(openCounts));
  }

  sweep({ keysBefore, ordersBefore }: Forgetting): Promise<{ forgotten: number; more: boolean }> {
    return translated(
      this.#store.transact((tx) => {
        const keys = sweepKeys(tx, keysBefore, SWEEP);
        const orders = sweepOrders(tx, ordersBefore, SWEEP);
        return { forgotten: keys + orders, more: keys === SWEEP || orders === SWEEP };
      }),
    );
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #apply(tx: Tx, event: SagaEvent, at: Instant): Applied {
    const { orderId, traceparent } = event;
    const found = progressById(tx, orderId);
    if (found === undefined) return { type: 'Refused', why: 'there is no such order' };
    const { customer, progress: before } = found;
    const heard = hear(before, event, at);
    if (heard.type !== 'Applied') return heard;
    const after = heard.progress;
    const told = customerEvent(this.#shop, orderId, customer, before.state, after, traceparent);
    saveProgress(tx, orderId, before.state, after, told);
    return { type: 'Applied', from: before.state, to: after.state };
  }

  async #change<R>(work: (tx: Tx) => R): Promise<R> {
    const result = await translated(this.#store.transact(work));
    this.outbox.written();
    return result;
  }
}

async function translated<R>(work: Promise<R>): Promise<R> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreError) throw new OrdersUnavailable(error.message, { cause: error });
    throw error;
  }
}
