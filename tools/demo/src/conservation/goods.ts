import { type Joined, verdictOf } from './joined.ts';
import type { CarrierNote, Observations, Rule, Violation } from './observations.ts';

/** Holds each order against the carrier's log: one shipment of what was ordered for a completed order, none for an undone one. */
export function checkGoods(seen: Observations, orders: Iterable<Joined>): Violation[] {
  const notes = Map.groupBy(seen.carrier, (note) => note.orderKey);
  return [...orders].flatMap((joined) => checkOrder(joined, notes.get(joined.key) ?? []));
}

function checkOrder(joined: Joined, notes: readonly CarrierNote[]): Violation[] {
  const { key, order } = joined;
  const effects = notes.filter((note) => note.outcome !== 'repeated' && note.outcome !== 'refused');
  const bookings = effects.filter((note) => note.operation === 'book');
  const live = bookings.filter((booking) => isLive(booking, effects));
  const violations: Violation[] = [];
  const add = (rule: Rule, what: string) =>
    violations.push({ rule, order: key, observer: 'carrier', sentence: `order ${key}: the carrier ${what}` });

  for (const [reference, same] of Map.groupBy(bookings, (note) => note.reference)) {
    if (same.length > 1)
      add('one-effect-per-operation', `took ${same.length} bookings under the reference ${reference}`);
  }
  if (order === undefined && bookings.length > 0)
    add('effect-of-an-order', 'took a booking for it, and the client never ordered it');
  const verdict = verdictOf(joined, 'carrier');
  if (live.length > 1 && verdict !== 'completed') add('one-effect-per-operation', `has ${live.length} live bookings`);
  if (verdict === 'completed' && order !== undefined) {
    const units = order.lines.reduce((sum, line) => sum + line.quantity, 0);
    const got = live.map((note) => note.units ?? 0);
    if (got.length !== 1 || got[0] !== units)
      add(
        'shipped-exactly',
        `has bookings of [${got.join(', ')}] units; the run is Succeeded, so it is to be one of ${units}`,
      );
  }
  if ((verdict === 'undone' || verdict === 'no-run') && live.length > 0)
    add(
      'nothing-shipped',
      `has ${live.length} live booking; ${verdict === 'undone' ? 'the run is Compensated' : 'there is no run of it'}`,
    );
  return violations;
}

/** Taken in, and neither cancelled nor rejected since. */
function isLive(booking: CarrierNote, effects: readonly CarrierNote[]): boolean {
  return !effects.some(
    (note) => note.id === booking.id && (note.operation === 'cancel' || note.operation === 'reject'),
  );
}
