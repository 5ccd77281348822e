import { asOrderId, type OrderId } from '@mercato/operator/api/names.ts';
import type { OrderLine } from '@mercato/operator/api/ordersagarun.ts';
import type { SourcedOrder } from '../intake/collect.ts';
import { fateOf } from './fates.ts';
import type { PlannedOrder } from './order.ts';
import { randomStream, weighted } from './random.ts';

/** What the project's own shop sells: goods for tables, invented. Prices in minor units. */
const GOODS = [
  { name: 'MUG', price: 895, weight: 9 },
  { name: 'TEAPOT', price: 2450, weight: 4 },
  { name: 'PLATE', price: 1150, weight: 7 },
  { name: 'BOWL', price: 990, weight: 7 },
  { name: 'JUG', price: 1790, weight: 3 },
  { name: 'EGG-CUP', price: 420, weight: 5 },
  { name: 'BUTTER-DISH', price: 1480, weight: 2 },
  { name: 'TRAY', price: 2100, weight: 2 },
  { name: 'TEA-TOWEL', price: 650, weight: 6 },
  { name: 'CANDLE', price: 375, weight: 8 },
] as const;
const COLOURS = ['BLUE', 'SAND', 'MOSS', 'COAL'] as const;

/** Where customers live, and how the shop is paid there. */
const CUSTOMERS = [
  { country: 'GB', currency: 'GBP', city: 'London', weight: 52 },
  { country: 'NL', currency: 'EUR', city: 'Utrecht', weight: 12 },
  { country: 'DE', currency: 'EUR', city: 'Bremen', weight: 12 },
  { country: 'FR', currency: 'EUR', city: 'Nantes', weight: 9 },
  { country: 'PL', currency: 'EUR', city: 'Gdynia', weight: 8 },
  { country: 'IE', currency: 'EUR', city: 'Cork', weight: 6 },
  // Nobody ships there.
  { country: 'AQ', currency: 'EUR', city: 'McMurdo', weight: 1 },
] as const;

const HOUR_MS = 3_600_000;
/** Orders in each hour of the shop's day, from 8 to 22: a small peak at noon, a large one in the evening. */
const BY_HOUR = [2, 3, 4, 6, 9, 8, 5, 4, 5, 7, 10, 12, 9, 4].map((weight, i) => ({ weight, hour: 8 + i }));

/**
 * The project's own order book: one day of orders that follows from its seed.
 *
 * @param mark what order ids, SKUs and customers begin with, before a hyphen; up to eight lower-case letters and digits. @default nothing
 */
export function orderBook(seed: string, count: number, mark?: string): PlannedOrder[] {
  const prefix = mark === undefined ? '' : `${mark}-`;
  const random = randomStream(`${seed}\norders`);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const lineOf = (): OrderLine => {
    const goods = weighted(GOODS, random());
    const sku = `${prefix}${goods.name}-${pick(COLOURS)}`;
    return { sku, quantity: 1 + Math.floor(random() ** 2 * 6), unitPrice: goods.price };
  };
  const orders = Array.from({ length: count }, (_, i): PlannedOrder => {
    const orderId = asOrderId(`${prefix}order-${10_001 + i}`);
    const { country, currency, city } = weighted(CUSTOMERS, random());
    const lines = Array.from({ length: 1 + Math.floor(random() ** 2 * 5) }, lineOf);
    const customer = `${prefix}customer-${1 + Math.floor(random() * 200)}`;
    return {
      orderId,
      atMs: (weighted(BY_HOUR, random()).hour + random()) * HOUR_MS,
      input: {
        customer,
        currency,
        lines,
        ...payment(seed, orderId),
        shipTo: { ...address(seed, orderId), city, country },
      },
    };
  });
  return orders.sort((a, b) => a.atMs - b.atMs);
}

/**
 * Orders of the day's first minute that are picked up before their capture is declined: that cannot be undone, so their runs end up held.
 *
 * @param mark as for orderBook
 */
export function heldOrders(count: number, mark?: string): PlannedOrder[] {
  const prefix = mark === undefined ? '' : `${mark}-`;
  return Array.from({ length: count }, (_, i): PlannedOrder => {
    const orderId = asOrderId(`${prefix}held-${1 + i}`);
    return {
      orderId,
      atMs: BY_HOUR[0]!.hour * HOUR_MS,
      input: {
        customer: `${prefix}customer-1`,
        currency: 'GBP',
        lines: [{ sku: `${prefix}MUG-BLUE`, quantity: 1, unitPrice: 895 }],
        paymentToken: `tok_capture_declined-${orderId}`,
        shipTo: { line1: 'sim:quick_pickup 1 High Street', city: 'London', country: 'GB' },
      },
    };
  });
}

/**
 * Orders of the day's first minute whose customers want them no more as soon as they are taken. The carrier is slow for them, so that the cancel comes in time.
 *
 * @param mark as for orderBook
 */
export function cancelledOrders(count: number, mark?: string): PlannedOrder[] {
  const prefix = mark === undefined ? '' : `${mark}-`;
  return Array.from({ length: count }, (_, i): PlannedOrder => {
    const orderId = asOrderId(`${prefix}cancelled-${1 + i}`);
    return {
      orderId,
      atMs: BY_HOUR[0]!.hour * HOUR_MS,
      cancel: true,
      input: {
        customer: `${prefix}customer-2`,
        currency: 'GBP',
        lines: [{ sku: `${prefix}BOWL-MOSS`, quantity: 1, unitPrice: 990 }],
        paymentToken: `tok_visa-${orderId}`,
        shipTo: { line1: 'sim:slow 1 High Street', city: 'London', country: 'GB' },
      },
    };
  });
}

/** While the shop sleeps the player does not: longer pauses between orders are cut to this. */
const LONGEST_PAUSE_MS = 900_000;

/** A file's orders in the order of their times, with what no such file has: a card's token and a street. */
export function planned(seed: string, orders: readonly SourcedOrder[]): PlannedOrder[] {
  let atMs = 0;
  let last = Number.POSITIVE_INFINITY;
  return orders
    .toSorted((a, b) => a.at - b.at)
    .map(({ orderId, at, customer, currency, country, lines }) => {
      atMs += Math.min(LONGEST_PAUSE_MS, Math.max(0, at - last));
      last = at;
      const shipTo = { ...address(seed, orderId), country };
      const bare = lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice }));
      return { orderId, atMs, input: { customer, currency, lines: bare, ...payment(seed, orderId), shipTo } };
    });
}

function payment(seed: string, orderId: OrderId): { paymentToken: string } {
  return { paymentToken: fateOf(seed, orderId).token };
}

function address(seed: string, orderId: OrderId): { line1: string } {
  const { address: script } = fateOf(seed, orderId);
  return { line1: script === undefined ? '1 High Street' : `${script} 1 High Street` };
}
