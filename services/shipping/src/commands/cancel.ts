import { type Command, call, externalCommand, failure, type Result, success } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { cancel, heard } from '../domain/booking.ts';
import { cancelReferenceOf, commandReference, type Reference } from '../domain/reference.ts';
import type { Carrier } from '../ports/carrier.ts';
import { type BookingRow, bookingByReference, saveBooking } from '../store.ts';
import { at, emit, known, type Means, mustFind, orderKeyOf } from './means.ts';

/** What became of the wish to call a booking off. `absent`: the carrier does not know it, yet. */
export type CalledOff =
  | { readonly outcome: 'cancelled' | 'refused' | 'absent' }
  | { readonly outcome: 'picked-up'; readonly detail: string };

/** How soon the tracker looks for a booking that was not there when it was cancelled. */
const FIRST_CHECK_MS = 1_000;

/**
 * `cancel-shipment`: calls off what book-shipment booked. When the outcome of the booking is unknown it asks first; what does not
 * exist leaves a fence, and the tracker goes on looking in case the carrier was merely late. Business failure: AlreadyPickedUp.
 */
export function cancelShipment({ carrier, outbox }: Means): Command {
  return externalCommand({
    name: 'cancel-shipment',
    kind: 'compensation',
    undoes: ['book-shipment'],
    summary: 'Calls a booking off',
    reasons: ['AlreadyPickedUp'],
    input: Type.Object({}),
    output: Type.Object({}),

    intend(tx, context) {
      const { action, begun } = context;
      const reference = action === undefined ? undefined : commandReference({ begun, reference: action.reference });
      const row = reference === undefined ? undefined : bookingByReference(tx, reference);
      if (row === undefined) return success({});
      const wish = cancel(row.booking);
      if (wish.do === 'refuse')
        return failure(wish.reason, `the goods are ${row.booking.state}; ask for them back instead`);
      saveBooking(tx, { ...row, booking: wish.booking });
      return wish.do === 'nothing' ? success({}) : call({ reference: row.reference as string });
    },

    call(context, intent) {
      return callOff(carrier, intent.reference as Reference, orderKeyOf(context));
    },

    /** `callOff` asks before it acts, so there is nothing to find out beforehand. */
    lookup: () => Promise.resolve(undefined),

    settle(tx, context, intent, outcome): Result<Record<string, never>> {
      const row = mustFind(bookingByReference(tx, intent.reference as Reference), intent.reference);
      const next = afterCallOff(row, outcome, context.now);
      saveBooking(tx, next);
      if (next.booking !== row.booking) emit(outbox, tx, next, at(context));
      return outcome.outcome === 'picked-up' ? failure('AlreadyPickedUp', outcome.detail) : success({});
    },
  });
}

/**
 * Finds the booking of this reference at the carrier and calls it off. Safe to repeat: the cancellation has one reference,
 * whoever asks. Throws OutcomeUnknown when the carrier does not answer.
 */
export async function callOff(carrier: Carrier, reference: Reference, orderKey: string): Promise<CalledOff> {
  const found = known(await carrier.lookup(reference));
  if (found.outcome === 'absent' || found.outcome === 'refused') return { outcome: found.outcome };
  const request = { reference: cancelReferenceOf(reference), orderKey, booking: found.id };
  const answer = known(await carrier.cancel(request));
  if (answer.outcome === 'cancelled') return { outcome: 'cancelled' };
  if (answer.reason === 'already_picked_up') return { outcome: 'picked-up', detail: answer.detail };
  return { outcome: 'absent' };
}

/** The row after an attempt to call it off. What is absent is looked for again; what was picked up is tracked on. */
export function afterCallOff(row: BookingRow, outcome: CalledOff, nowMs: number): BookingRow {
  const { checkAt: _none, ...rest } = row;
  switch (outcome.outcome) {
    case 'cancelled':
    case 'refused':
      return { ...rest, booking: heard(row.booking, outcome.outcome) };
    case 'absent':
      return { ...rest, checkAt: nowMs + FIRST_CHECK_MS };
    case 'picked-up':
      // It stands after all: the fence is lifted, since the goods are on their way and nobody can call them off.
      return {
        ...rest,
        booking: { ...heard(row.booking, 'picked-up'), fenced: false },
        checkAt: nowMs + FIRST_CHECK_MS,
      };
  }
}
