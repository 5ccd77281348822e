import type { Observations, OrderKey, Reservation } from './observations.ts';

/**
 * What of everything that was seen belongs to one play among several on the same stores. A play's SKUs begin with its mark and a hyphen, and so do the ids
 * of orders that it applied, and the names of its customers; orders that it placed have ids of the order service's, and are its own by its log, or by the
 * goods that are kept for them.
 * Pure.
 */
export function ofPlay(seen: Observations, mark: string): Observations {
  const isMarked = (name: string) => name.startsWith(`${mark}-`);
  const hasOwnGoods = ({ parts }: Reservation) => parts.some(({ sku }) => isMarked(sku));
  const known = new Set([
    ...seen.accepted.map(({ key }) => key),
    ...seen.stock.reservations.filter(hasOwnGoods).map(({ key }) => key),
  ]);
  const isOwn = (key: OrderKey) => isMarked(key.split('/').at(-1) ?? '') || known.has(key);
  const isOwnSku = ({ sku }: { readonly sku: string }) => isMarked(sku);
  return {
    ...seen,
    runs: seen.runs.filter(({ key }) => isOwn(key)),
    acquirer: seen.acquirer.filter(({ orderKey }) => isOwn(orderKey)),
    carrier: seen.carrier.filter(({ orderKey }) => isOwn(orderKey)),
    exceptions: seen.exceptions.filter(({ key }) => isOwn(key)),
    ...(seen.announced === undefined
      ? {}
      : { announced: seen.announced.filter(({ key, customer }) => isOwn(key) || isMarked(customer)) }),
    stock: {
      levels: seen.stock.levels.filter(isOwnSku),
      movements: seen.stock.movements.filter(isOwnSku),
      reservations: seen.stock.reservations.filter(({ key }) => isOwn(key)),
    },
  };
}
