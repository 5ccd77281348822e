import { type CloudEvent, cloudEventOf, type Instant, type JsonObject } from '@mercato/kit';
import type { OrderId } from './ids.ts';
import type { Order, Progress } from './order.ts';
import type { OrderState } from './states.ts';
import type { OrderRequest } from './terms.ts';

/** Where the sagas of this service's orders run. With an order id it names a run, so it does not change while orders are open. */
export interface Shop {
  readonly namespace: string;
  readonly saga: string;
}

/** The source of our events. */
export const ORDER_SOURCE = '/mercato/order';

/** What the saga is told. The first carries the payment token, and must reach nobody else. */
export const sagaEventTypes = ['dev.mercato.order.placed', 'dev.mercato.order.cancel-requested'] as const;

/** What customers are told. */
export const customerEventTypes = [
  'dev.mercato.order.completed',
  'dev.mercato.order.failed',
  'dev.mercato.order.cancelled',
  'dev.mercato.order.held',
] as const;

const [PLACED, CANCEL_REQUESTED] = sagaEventTypes;
const [COMPLETED, FAILED, CANCELLED, HELD] = customerEventTypes;

/** An order that our staff ended has failed, to its customer. */
const TOLD: Readonly<Partial<Record<OrderState, (typeof customerEventTypes)[number]>>> = {
  Completed: COMPLETED,
  Failed: FAILED,
  Aborted: FAILED,
  Cancelled: CANCELLED,
  Held: HELD,
};

interface Occasion {
  readonly shop: Shop;
  readonly orderId: OrderId;
  readonly version: number;
  readonly at: Instant;
  readonly traceparent?: string | undefined;
}

function event({ shop, orderId, version, at, traceparent }: Occasion, type: string, data: JsonObject): CloudEvent {
  const trace = traceparent === undefined ? {} : { traceparent };
  return cloudEventOf(ORDER_SOURCE, { type, ...shop, orderId, data, time: at, ...trace }, version);
}

/** `order.placed`: everything that its saga needs. */
export function placedEvent(shop: Shop, order: Order, request: OrderRequest, traceparent?: string): CloudEvent {
  const { id: orderId, placedAt: at, progress } = order;
  return event({ shop, orderId, version: progress.version, at, traceparent }, PLACED, { ...request });
}

/** `order.cancel-requested`, to the saga. */
export function cancelRequestedEvent(
  shop: Shop,
  orderId: OrderId,
  progress: Progress,
  traceparent?: string,
): CloudEvent {
  const { version, updatedAt: at, cancel } = progress;
  const data = { reason: cancel?.reason ?? 'asked for by the customer' };
  return event({ shop, orderId, version, at, traceparent }, CANCEL_REQUESTED, data);
}

/** What the customer is told when an order went from one state to another; undefined where there is nothing to tell. */
export function customerEvent(
  shop: Shop,
  orderId: OrderId,
  customer: string,
  before: OrderState,
  after: Progress,
  traceparent?: string,
): CloudEvent | undefined {
  const { state, version, updatedAt: at, notice } = after;
  const type = TOLD[state];
  if (type === undefined || state === before) return undefined;
  return event({ shop, orderId, version, at, traceparent }, type, { customer, state, ...notice });
}
