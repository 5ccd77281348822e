import type { CommandContext, OrderEvent, Outbox, Tx } from '@mercato/kit';
import type { Carrier } from '../ports/carrier.ts';
import type { BookingRow, Order } from '../store.ts';

/** What every command of the service works with. */
export interface Means {
  readonly carrier: Carrier;
  readonly outbox: Outbox;
}

/** The carrier did not say what became of a call. The command stays in flight, and its next repeat begins with a look-up. */
export class OutcomeUnknown extends Error {
  constructor(detail: string) {
    super(`the carrier gave no answer that can be relied on: ${detail}`);
    this.name = 'OutcomeUnknown';
  }
}

/** An outcome that can be relied on. Throws OutcomeUnknown for one that is unknown. */
export function known<T extends { readonly outcome: string }>(
  outcome: T | { readonly outcome: 'unknown'; readonly detail: string },
): Exclude<T, { outcome: 'unknown' }> {
  if (outcome.outcome === 'unknown') throw new OutcomeUnknown((outcome as { detail: string }).detail);
  return outcome as Exclude<T, { outcome: 'unknown' }>;
}

/** `namespace/saga/orderId`: what the carrier's log is joined on. */
export function orderKeyOf(order: Order): string {
  return `${order.namespace}/${order.saga}/${order.orderId}`;
}

/** An event's time and trace, from the command that caused it. */
export function at(context: CommandContext): Pick<OrderEvent, 'time' | 'traceparent'> {
  return {
    time: context.now,
    ...(context.traceparent === undefined ? {} : { traceparent: context.traceparent }),
  };
}

/** Writes what happened to a booking to the outbox, in the transaction of the change: `booked`, `picked-up`, `cancelled`... */
export function emit(outbox: Outbox, tx: Tx, row: BookingRow, when: Pick<OrderEvent, 'time' | 'traceparent'>): void {
  const { booking, carrier, trackingCode } = row;
  outbox.emit(tx, {
    type: `dev.mercato.shipping.${booking.state}`,
    ...row.order,
    data: {
      bookingId: row.bookingId,
      ...(carrier === undefined ? {} : { carrier }),
      ...(trackingCode === undefined ? {} : { trackingCode }),
      ...(booking.refusal === undefined ? {} : { reason: booking.refusal }),
    },
    ...when,
  });
}

/** The row that a command's own intent wrote. Its absence means that somebody edited the database. */
export function mustFind(row: BookingRow | undefined, reference: string): BookingRow {
  if (row === undefined) throw new Error(`booking ${reference} is not in the store, although an intent names it`);
  return row;
}
