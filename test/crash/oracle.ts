import type { Observations, OrderKey } from '@mercato/demo/conservation.ts';

/**
 * The orders that must end up held, by what the companies saw and nobody else: the capture was declined, so that everything is to be
 * undone, and the carrier has picked the parcel up, which nobody can undo. Whatever else is held is held for nothing.
 */
export function mustBeHeld(seen: Pick<Observations, 'acquirer' | 'carrier'>): ReadonlySet<OrderKey> {
  const onTheirWay = new Set(
    seen.carrier.filter(({ operation }) => operation === 'pick-up').map(({ orderKey }) => orderKey),
  );
  return new Set(
    seen.acquirer
      .filter(({ operation, outcome }) => operation === 'capture' && outcome === 'declined')
      .map(({ orderKey }) => orderKey)
      .filter((key) => onTheirWay.has(key)),
  );
}
