import {
  type Command,
  type CommandContext,
  failure,
  localCommand,
  type Outbox,
  type Reader,
  success,
  toRfc3339,
} from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import type { ReservationId } from '../domain/names.ts';
import { linesOf, loadReservation, type Reservation, transition } from '../rows/reservations.ts';
import { CommitInput } from './schemas.ts';

/** The reservation of that name, if it is this order's: one order cannot touch another's goods. */
export function ownReservation(reader: Reader, context: CommandContext, id: string): Reservation | undefined {
  const found = loadReservation(reader, id as ReservationId);
  const own =
    found?.namespace === context.namespace && found.saga === context.saga && found.orderId === context.orderId;
  return own ? found : undefined;
}

/**
 * commit-stock: the hold does not expire any more; reserved becomes committed. A hold whose time has run out is a business failure also
 * while no sweeper has come by: the goods may be gone in the next moment.
 */
export const commitStock = (outbox: Outbox): Command =>
  localCommand({
    name: 'commit-stock',
    kind: 'action',
    summary: 'Makes the hold last until the goods are shipped',
    reasons: ['ReservationExpired', 'ReservationUnknown'],
    input: CommitInput,
    output: Type.Object({
      warehouses: Type.String({ description: 'Ids of the warehouses that the goods come from, comma-separated' }),
    }),
    carryOut(tx, context, { reservationId }) {
      const reservation = ownReservation(tx, context, reservationId);
      if (reservation === undefined)
        return failure('ReservationUnknown', `this order has no reservation ${reservationId}`);
      const { state, expiresAt } = reservation;
      if (state === 'released') return failure('ReservationUnknown', `${reservationId} was released`);
      if (state === 'expired' || (state === 'reserved' && expiresAt <= context.now)) {
        return failure('ReservationExpired', `${reservationId} was held until ${toRfc3339(expiresAt)}`);
      }
      const lines =
        state === 'reserved'
          ? transition(tx, outbox, reservation, 'committed', ['committed'], context.now, context.traceparent)
          : linesOf(tx, reservation.id);
      const warehouses = [...new Set(lines.map(({ warehouse }) => warehouse))].sort();
      return success({ warehouses: warehouses.join(',') });
    },
  });
