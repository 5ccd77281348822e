import { type Instant, instant } from '@mercato/kit';
import { placedEvent, type Shop } from '../domain/events.ts';
import { newOrderId } from '../domain/ids.ts';
import { type Order, placed } from '../domain/order.ts';
import { type OrderRequest, totalOf } from '../domain/terms.ts';
import type { Placement } from '../ports/orders.ts';

export const shop: Shop = { namespace: 'shop', saga: 'checkout' };
export const noon = instant(Date.UTC(2026, 10, 22, 12));

/** A good request, with what is changed of it. */
export const request = (change: Partial<OrderRequest> = {}): OrderRequest => ({
  customer: 'customer-1',
  currency: 'GBP',
  lines: [
    { sku: '85123a', quantity: 6, unitPrice: 255 },
    { sku: '71053', quantity: 1, unitPrice: 339 },
  ],
  paymentToken: 'tok_visa-4242',
  shipTo: { name: 'A. Customer', line1: '1 High Street', city: 'Leeds', postcode: 'LS1 1AA', country: 'GB' },
  ...change,
});

let keys = 0;

/** A placement of a good order, under a key of its own. */
export function placement(
  change: Partial<OrderRequest> = {},
  { key = `key-${++keys}`, caller = 'gateway', at = noon }: { key?: string; caller?: string; at?: Instant } = {},
): Placement & { readonly placed: { readonly order: Order } } {
  const body = request(change);
  const sum = totalOf(body);
  if ('reason' in sum) throw new Error(sum.detail);
  const { paymentToken: _token, ...terms } = body;
  const order: Order = { id: newOrderId(at), terms, total: sum.total, placedAt: at, progress: placed(at) };
  return {
    key: { caller, key },
    fingerprint: `of ${JSON.stringify(body)}`,
    at,
    answer: { status: 201, orderId: order.id, body: JSON.stringify({ id: order.id }) },
    placed: { order, event: placedEvent(shop, order, body) },
  };
}
