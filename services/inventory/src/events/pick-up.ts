import type { Clock, Effect, Outbox, ReceivedEvent, Subscription, Tx } from '@mercato/kit';
import type { Allocation } from '../domain/names.ts';
import { linesOf, type Reservation, reservationsOfOrder, transition } from '../rows/reservations.ts';
import { levelOf } from '../rows/stock.ts';

/**
 * The carrier has picked an order's goods up: what the order has committed leaves on hand. `delivered` says it too, for a pick-up that
 * the carrier was never asked about in time. An order that has nothing to ship is acknowledged, since no repetition would change that:
 * one that is not known here, was released, or whose goods a count did not find (a person ships it once they are counted).
 */
export function shipOnPickUp({ outbox, clock }: { outbox: Outbox; clock: Clock }): Subscription {
  return {
    source: '/mercato/shipping',
    types: ['dev.mercato.shipping.picked-up', 'dev.mercato.shipping.delivered'],
    handle(tx, event): Effect {
      const reservations = reservationsOfOrder(tx, event);
      const committed = reservations.filter(({ state }) => state === 'committed');
      if (committed.length === 0) return shippedBefore(event, reservations);
      const missing = firstMissing(
        tx,
        committed.flatMap(({ id }) => linesOf(tx, id)),
      );
      if (missing !== undefined) return { ignored: `${missing}: count the stock, then POST ${shipPathOf(event)}` };
      for (const reservation of committed)
        transition(tx, outbox, reservation, 'shipped', ['shipped'], clock.now(), event.traceparent);
      return 'applied';
    },
  };
}

/** Somebody said so before, or there is nothing that could be shipped. */
function shippedBefore(event: ReceivedEvent, reservations: readonly Reservation[]): Effect {
  if (reservations.some(({ state }) => state === 'shipped')) return 'applied';
  const states = reservations.map(({ id, state }) => `${id} is ${state}`).join(', ');
  return { ignored: `nothing of ${event.orderId} is committed: ${states || 'it has no reservation here'}` };
}

/** The first of these goods that is not on hand. */
function firstMissing(tx: Tx, lines: readonly Allocation[]): string | undefined {
  for (const same of Map.groupBy(lines, ({ warehouse, sku }) => `${warehouse} ${sku}`).values()) {
    const { warehouse, sku } = same[0]!;
    const wanted = same.reduce((sum, { quantity }) => sum + quantity, 0);
    const onHand = levelOf(tx, warehouse, sku)?.onHand ?? 0;
    if (onHand < wanted) return `of ${wanted} ${sku} picked up in ${warehouse} ${onHand} are on hand`;
  }
  return undefined;
}

function shipPathOf({ namespace, saga, orderId }: ReceivedEvent): string {
  return `/orders/${namespace}/${saga}/${orderId}/ship`;
}
