import { type Clock, ProblemError, Reply, type Route, route, type Tracing } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { type CustomerId, type OrderId, parseOrderId } from '../domain/ids.ts';
import type { Order } from '../domain/order.ts';
import { Terms } from '../domain/terms.ts';
import { failSpan } from '../failed-span.ts';
import type { Orders } from '../ports/orders.ts';
import { formatCursor, parseCursor } from './cursor.ts';
import { unavailable } from './problems.ts';
import { OrderSummary, OrderView, summaryOf, viewOf } from './views.ts';
import { isOf, OfCustomer } from './whose.ts';

/** What reading and cancelling orders needs. */
export interface RoutesOptions {
  readonly orders: Pick<Orders, 'find' | 'list' | 'requestCancel'>;
  readonly tracing: Tracing;
  readonly clock: Clock;
  /** Told each order whose cancelling was asked for now. */
  readonly onCancel: (order: Order) => void;
}

const COMMON = { 401: 'no good token', 403: 'the caller may not see orders', 503: 'the store cannot be used now' };
const NOT_FOUND = { 404: 'there is no such order, or none of that customer' };

const DEFAULT_LIMIT = 20;

/** Reads and cancels orders. */
export function orderRoutes({ orders, tracing, clock, onCancel }: RoutesOptions): Route[] {
  return [
    route({
      method: 'get',
      path: '/orders/{id}',
      tag: 'orders',
      summary: 'One order',
      query: OfCustomer,
      response: OrderView,
      others: { ...COMMON, ...NOT_FOUND, 400: 'the query is malformed' },
      async handle({ params, query }) {
        const order = await orders.find(idOf(params)).catch(unavailable);
        if (order === undefined || !isOf(order, query.customer)) throw notFound(params['id']);
        return viewOf(order);
      },
    }),
    route({
      method: 'get',
      path: '/orders',
      tag: 'orders',
      summary: "A customer's orders, newest first",
      query: Type.Object(
        {
          customer: Terms.properties.customer,
          cursor: Type.Optional(Type.String({ maxLength: 256, description: 'next of the page before' })),
          limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100, default: DEFAULT_LIMIT })),
        },
        { additionalProperties: false },
      ),
      response: Type.Object(
        {
          items: Type.Array(OrderSummary),
          next: Type.Optional(Type.String({ description: 'cursor of the next page; absent on the last' })),
        },
        { additionalProperties: false },
      ),
      others: { ...COMMON, 400: 'a parameter is wrong (BadCursor: the cursor)' },
      async handle({ query }) {
        const customer = query.customer as CustomerId;
        const limit = query.limit ?? DEFAULT_LIMIT;
        const before = query.cursor === undefined ? {} : { before: parseCursor(customer, query.cursor) };
        // One more than asked for tells whether there is another page.
        const found = await orders.list(customer, { ...before, limit: limit + 1 }).catch(unavailable);
        const items = found.slice(0, limit);
        const last = items.at(-1);
        const next = found.length > limit && last !== undefined ? { next: formatCursor(customer, last.id) } : {};
        return { items: items.map(summaryOf), ...next };
      },
    }),
    route({
      method: 'post',
      path: '/orders/{id}/cancel',
      tag: 'orders',
      summary:
        'Asks for the cancelling of an order; whether it comes in time, the order shows later. Asking again changes nothing',
      query: OfCustomer,
      body: Type.Object(
        { reason: Type.Optional(Type.String({ maxLength: 200, description: 'Why, for our staff' })) },
        { additionalProperties: false },
      ),
      status: 202,
      response: OrderView,
      others: {
        ...COMMON,
        ...NOT_FOUND,
        200: { description: 'it is cancelled already', schema: OrderView },
        400: 'the request is malformed',
        409: 'the order is over (OrderOver)',
        413: 'the body is too large',
      },
      async handle({ params, query, body, traceparent: parent }) {
        const id = idOf(params);
        if (query.customer !== undefined) {
          // Whose an order is never changes.
          const order = await orders.find(id).catch(unavailable);
          if (order === undefined || !isOf(order, query.customer)) throw notFound(id);
        }
        const span = tracing.enter('POST /orders/{id}/cancel', { kind: 'server', parent });
        const { traceparent } = span;
        const wish = { at: clock.now(), ...body, ...(traceparent === undefined ? {} : { traceparent }) };
        const answer = await orders
          .requestCancel(id, wish)
          .catch(unavailable)
          .catch((error: unknown) => {
            failSpan(span, error);
            throw error;
          })
          .finally(() => span.end());
        if (answer.type === 'NotFound') throw notFound(params['id']);
        const { order, type } = answer;
        const { state } = order.progress;
        if (type === 'Over')
          throw new ProblemError(409, 'OrderOver', `the order is ${state} and cannot be cancelled any more`);
        if (type === 'Asked') onCancel(order);
        return state === 'Cancelled' ? new Reply(200, viewOf(order)) : viewOf(order);
      },
    }),
  ];
}

function idOf(params: Readonly<Record<string, string>>): OrderId {
  const id = parseOrderId(params['id'] ?? '');
  if (id === undefined) throw notFound(params['id']);
  return id;
}

/** For an id that no order has. */
export const notFound = (id: string | undefined): ProblemError =>
  new ProblemError(404, 'OrderNotFound', `there is no order ${(id ?? '').slice(0, 64)}`);
