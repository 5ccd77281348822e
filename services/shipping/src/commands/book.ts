import {
  accepted,
  type Command,
  call,
  externalCommand,
  failure,
  milliseconds,
  type Result,
  success,
} from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { Address, Line } from '../domain/address.ts';
import { heard, REQUESTED } from '../domain/booking.ts';
import { bookingIdOf, commandReference, type Reference } from '../domain/reference.ts';
import type { BookOutcome } from '../ports/carrier.ts';
import { type BookingId, type BookingRow, bookingByReference, saveBooking } from '../store.ts';
import { at, emit, known, type Means, mustFind, orderKeyOf } from './means.ts';

type Answered = Exclude<BookOutcome, { outcome: 'unknown' }>;

/** How soon after a booking the tracker first asks where it is. */
const FIRST_TRACK_MS = 60_000;

/** How long the outcome may be unknown before the tracker asks for itself: by then nobody repeats the command any more. */
const SILENCE_MS = 15 * 60_000;

/**
 * `book-shipment`: asks the carrier for a pick-up at each warehouse and delivery to the customer. Answers accepted while the
 * carrier is deciding. Business failures: AddressUndeliverable, NoService.
 */
export function bookShipment({ carrier, outbox }: Means): Command {
  return externalCommand({
    name: 'book-shipment',
    kind: 'action',
    summary: 'Books a shipment with a carrier',
    reasons: ['AddressUndeliverable', 'NoService'],
    input: Type.Object({
      shipTo: Address,
      lines: Type.Array(Line, { minItems: 1, maxItems: 100 }),
      /** Comma-separated ids: commit-stock's output. */
      warehouses: Type.String({ minLength: 1, maxLength: 1024 }),
    }),
    output: Type.Object({ bookingId: Type.String(), carrier: Type.String() }),

    intend(tx, context, input) {
      const reference = commandReference(context);
      const { namespace, saga, orderId } = context;
      saveBooking(tx, {
        reference,
        bookingId: bookingIdOf(reference) as BookingId,
        order: { namespace, saga, orderId },
        booking: REQUESTED,
        country: input.shipTo.country,
        warehouses: idsOf(input.warehouses),
        units: input.lines.reduce((sum, line) => sum + line.quantity, 0),
        createdAt: context.now,
        checkAt: context.now + SILENCE_MS,
        checks: 0,
      });
      return call({ reference: reference as string });
    },

    async call(context, intent, input): Promise<Answered> {
      return known(
        await carrier.book({
          reference: intent.reference as Reference,
          orderKey: orderKeyOf(context),
          shipTo: input.shipTo,
          lines: input.lines,
          warehouses: idsOf(input.warehouses),
        }),
      );
    },

    async lookup(_context, intent): Promise<Answered | undefined> {
      const seen = await carrier.lookup(intent.reference as Reference);
      return seen.outcome === 'absent' ? undefined : known(seen);
    },

    settle(tx, context, intent, outcome): Result<{ bookingId: string; carrier: string }> {
      const row = mustFind(bookingByReference(tx, intent.reference as Reference), intent.reference);
      if (outcome.outcome === 'pending') {
        saveBooking(tx, { ...row, carrierId: outcome.id });
        return accepted(milliseconds(outcome.retryAfterMs));
      }
      const next = settled(row, outcome, context.now);
      saveBooking(tx, next);
      if (next.booking !== row.booking) emit(outbox, tx, next, at(context));
      if (outcome.outcome === 'booked')
        return success({ bookingId: row.bookingId as string, carrier: outcome.carrier });
      return failure(outcome.reason === 'no_service' ? 'NoService' : 'AddressUndeliverable', outcome.detail);
    },
  });
}

/** The row after the carrier's decision. One that nobody wants any more is looked at again at once. */
export function settled(
  row: BookingRow,
  outcome: Exclude<Answered, { outcome: 'pending' }>,
  nowMs: number,
): BookingRow {
  const { checkAt: _none, ...rest } = row;
  if (outcome.outcome === 'refused') return { ...rest, booking: heard(row.booking, 'refused', outcome.reason) };
  const { id, carrier, trackingCode, state } = outcome;
  return {
    ...rest,
    booking: heard(row.booking, state),
    carrierId: id,
    carrier,
    ...(trackingCode === undefined ? {} : { trackingCode }),
    checks: 0,
    checkAt: row.booking.fenced ? nowMs : nowMs + FIRST_TRACK_MS,
  };
}

function idsOf(warehouses: string): string[] {
  return warehouses
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
}
