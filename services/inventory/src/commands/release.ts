import { type Command, failure, localCommand, type Outbox, success } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { transition } from '../rows/reservations.ts';
import { ownReservation } from './commit.ts';
import { CommitInput, ReserveInput } from './schemas.ts';

/**
 * release-stock: the compensation of reserve-stock and of commit-stock. Either gives up the whole reservation, so the goods are free again
 * as soon as the first of the two comes; the other then finds nothing left to do. What has expired is free already. What the carrier has
 * picked up cannot be released: the run is held, and a person decides (a return, as a rule).
 */
export const releaseStock = (outbox: Outbox): Command =>
  localCommand({
    name: 'release-stock',
    kind: 'compensation',
    undoes: ['reserve-stock', 'commit-stock'],
    summary: 'Gives up the hold',
    reasons: ['AlreadyShipped'],
    // After a take-over the operator may not know which reservation it was.
    input: Type.Union([CommitInput, ReserveInput, Type.Object({})]),
    output: Type.Object({ released: Type.Boolean({ description: 'Whether goods were held until now' }) }),
    carryOut(tx, context, input) {
      const named = 'reservationId' in input ? input.reservationId : context.action?.output?.['reservationId'];
      const reservation = ownReservation(tx, context, String(named));
      switch (reservation?.state) {
        case 'reserved':
          transition(tx, outbox, reservation, 'released', ['released'], context.now, context.traceparent);
          return success({ released: true });
        case 'committed':
          transition(
            tx,
            outbox,
            reservation,
            'released',
            ['uncommitted', 'released'],
            context.now,
            context.traceparent,
          );
          return success({ released: true });
        case 'shipped':
          return failure('AlreadyShipped', `the goods of ${reservation.id} have left; book a return instead`);
        default:
          return success({ released: false });
      }
    },
  });
