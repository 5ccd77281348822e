import type { CloudEvent, Instant } from '@mercato/kit';
import type { CustomerId, OrderId } from '../domain/ids.ts';
import type { Order, SagaEvent } from '../domain/order.ts';
import type { OpenState, OrderState } from '../domain/states.ts';

/** An Idempotency-Key, of the caller that sent it: callers do not see each other's. */
export interface CallersKey {
  readonly caller: string;
  readonly key: string;
}

/** What a request to place an order was answered, to be answered again. */
export interface StoredAnswer {
  readonly status: number;
  /** Of the order that it made; absent where the order was refused. */
  readonly orderId?: OrderId;
  /** JSON, as it goes out. */
  readonly body: string;
}

/** A request to place an order, decided, to be put on record. */
export interface Placement {
  readonly key: CallersKey;
  /** Of the request's meaning (SHA-256 of its canonical JSON). */
  readonly fingerprint: string;
  readonly at: Instant;
  readonly answer: StoredAnswer;
  /** The order that it makes and the event that tells its saga; absent where the order is refused. */
  readonly placed?: { readonly order: Order; readonly event: CloudEvent };
}

/** `Recorded`: this one counts. `Replayed`: the key was used for the same before, and this is what was answered. `Mismatch`: for something else. */
export type Placing =
  | { readonly type: 'Recorded' }
  | { readonly type: 'Replayed'; readonly answer: StoredAnswer }
  | { readonly type: 'Mismatch' };

/** A customer's wish to cancel. */
export interface CancelRequest {
  readonly at: Instant;
  readonly reason?: string;
  readonly traceparent?: string;
}

/** `Asked`: now. `Standing`: before, or the order is cancelled already. `Over`: it ended otherwise. */
export type CancelAnswer =
  | { readonly type: 'Asked' | 'Standing' | 'Over'; readonly order: Order }
  | { readonly type: 'NotFound' };

/** What came of an event of a saga. */
export type Applied =
  | { readonly type: 'Applied'; readonly from: OrderState; readonly to: OrderState }
  | { readonly type: 'Duplicate' }
  | { readonly type: 'Stale' }
  | { readonly type: 'Refused'; readonly why: string };

/** A part of a customer's orders, newest first. */
export interface Page {
  /** Only orders that are older than this one. */
  readonly before?: OrderId;
  readonly limit: number;
}

/** Until when to forget. */
export interface Forgetting {
  /** Idempotency-Keys that were used before. */
  readonly keysBefore: Instant;
  /** Orders that were placed before and are over. */
  readonly ordersBefore: Instant;
}

/**
 * Where orders are kept: one adapter for each store, all held to `describeOrders`.
 *
 * Each change is one transaction with the event that it causes, which then is in the adapter's outbox; each promise resolves when that is durable. Every
 * method may reject with {@link OrdersUnavailable}. All of them may be repeated: what they did once they do not do again.
 */
export interface Orders {
  /** Puts a decided request on record: its key and, unless it was refused, its order and `order.placed`. */
  place(placement: Placement): Promise<Placing>;
  find(id: OrderId): Promise<Order | undefined>;
  /** A customer's orders, newest first, by id: an order that is placed meanwhile moves no other to another page. */
  list(customer: CustomerId, page: Page): Promise<readonly Order[]>;
  /** Asks for the cancelling, and has the saga told, once. */
  requestCancel(id: OrderId, request: CancelRequest): Promise<CancelAnswer>;
  /**
   * Takes in what sagas say: an answer for each event, in their order. An event is known by its order and sequence; that it was taken in is one
   * transaction with its effect. When it rejects, some may have been applied: the delivery is repeated, and those are duplicates then.
   */
  apply(events: readonly SagaEvent[], at: Instant): Promise<readonly Applied[]>;
  /** Orders that are not over, by state. What it costs does not grow with those that are. */
  open(): Promise<ReadonlyMap<OpenState, number>>;
  /** Forgets some of what is old. @returns how much, and whether there may be more */
  sweep(forgetting: Forgetting): Promise<{ readonly forgotten: number; readonly more: boolean }>;
  /** Finishes what was begun and lets go of the store. */
  close(): Promise<void>;
}

/** The store cannot be used now. Whether the change was made is not known; repeating it is safe. */
export class OrdersUnavailable extends Error {
  override readonly name = 'OrdersUnavailable';
}
