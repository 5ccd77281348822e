import type { Observations, OrderKey } from './observations.ts';

/**
 * What of everything that was seen belongs to one play among several on the same stores: a play's order ids and SKUs begin with its mark and a
 * hyphen, and nobody else's do. Pure.
 */
export function ofPlay(seen: Observations, mark: string): Observations {
  const isOwn = (key: OrderKey) => (key.split('/').at(-1) ?? '').startsWith(`${mark}-`);
  const isOwnSku = ({ sku }: { readonly sku: string }) => sku.startsWith(`${mark}-`);
  return {
    ...seen,
    accepted: seen.accepted.filter(({ key }) => isOwn(key)),
    runs: seen.runs.filter(({ key }) => isOwn(key)),
    acquirer: seen.acquirer.filter(({ orderKey }) => isOwn(orderKey)),
    carrier: seen.carrier.filter(({ orderKey }) => isOwn(orderKey)),
    exceptions: seen.exceptions.filter(({ key }) => isOwn(key)),
    stock: {
      levels: seen.stock.levels.filter(isOwnSku),
      movements: seen.stock.movements.filter(isOwnSku),
      reservations: seen.stock.reservations.filter(({ key }) => isOwn(key)),
    },
  };
}
