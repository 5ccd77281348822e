import type { Exchange, Exchanged } from '@mercato/kit/exchange.ts';
import { Type } from '@sinclair/typebox';
import { TypeCompiler } from '@sinclair/typebox/compiler';
import type { BookOutcome, CancelOutcome, Carrier, CarrierBookingId, TrackOutcome } from '../ports/carrier.ts';

const Booked = TypeCompiler.Compile(
  Type.Object({
    status: Type.Union([
      Type.Literal('booked'),
      Type.Literal('picked-up'),
      Type.Literal('delivered'),
      Type.Literal('cancelled'),
    ]),
    id: Type.String({ minLength: 1 }),
    carrier: Type.String(),
    trackingCode: Type.String(),
  }),
);
const Pending = TypeCompiler.Compile(
  Type.Object({
    status: Type.Literal('pending'),
    id: Type.String({ minLength: 1 }),
    retryAfterMs: Type.Number({ minimum: 0 }),
  }),
);
const Refused = TypeCompiler.Compile(
  Type.Object({
    status: Type.Literal('refused'),
    reason: Type.Union([Type.Literal('address_undeliverable'), Type.Literal('no_service')]),
  }),
);
const CancelRefused = TypeCompiler.Compile(
  Type.Object({
    status: Type.Literal('refused'),
    reason: Type.Union([Type.Literal('already_picked_up'), Type.Literal('booking_unknown')]),
  }),
);
const Absent = TypeCompiler.Compile(Type.Object({ status: Type.Literal('absent') }));

/** A Carrier that speaks to the *simulated* carrier (src/carrier), over HTTP or in the same process. */
export function simulatedCarrier(exchange: Exchange): Carrier {
  return {
    book: async (request) => bookingOf(await exchange({ method: 'POST', path: '/v1/bookings', body: request })),
    cancel: async ({ booking, reference, orderKey }) => {
      const path = `/v1/bookings/${encodeURIComponent(booking)}/cancel`;
      return cancellationOf(await exchange({ method: 'POST', path, body: { reference, orderKey } }));
    },
    track: async (booking) =>
      trackingOf(await exchange({ method: 'GET', path: `/v1/bookings/${encodeURIComponent(booking)}` })),
    lookup: async (reference) => {
      const found = await exchange({ method: 'GET', path: `/v1/references/${encodeURIComponent(reference)}` });
      const isAbsent = found.kind === 'answered' && found.status === 404 && Absent.Check(found.body);
      return isAbsent ? { outcome: 'absent' } : bookingOf(found);
    },
  };
}

function bookingOf(exchanged: Exchanged): BookOutcome {
  if (exchanged.kind === 'unknown') return { outcome: 'unknown', detail: exchanged.detail };
  const { status, body } = exchanged;
  if (status === 200 && Booked.Check(body)) {
    const { carrier, trackingCode } = body;
    return { outcome: 'booked', id: body.id as CarrierBookingId, carrier, state: body.status, trackingCode };
  }
  if (status === 202 && Pending.Check(body)) {
    return { outcome: 'pending', id: body.id as CarrierBookingId, retryAfterMs: body.retryAfterMs };
  }
  if (status === 422 && Refused.Check(body)) {
    return { outcome: 'refused', reason: body.reason, detail: `the carrier says ${body.reason}` };
  }
  return { outcome: 'unknown', detail: `the carrier answered ${status}` };
}

function cancellationOf(exchanged: Exchanged): CancelOutcome {
  if (exchanged.kind === 'unknown') return { outcome: 'unknown', detail: exchanged.detail };
  const { status, body } = exchanged;
  if (status === 200) return { outcome: 'cancelled' };
  if (status === 422 && CancelRefused.Check(body)) {
    return { outcome: 'refused', reason: body.reason, detail: `the carrier says ${body.reason}` };
  }
  return { outcome: 'unknown', detail: `the carrier answered ${status}` };
}

function trackingOf(exchanged: Exchanged): TrackOutcome {
  const found = bookingOf(exchanged);
  if (found.outcome === 'booked') return { outcome: 'tracked', state: found.state };
  return { outcome: 'unknown', detail: found.outcome === 'unknown' ? found.detail : `the booking is ${found.outcome}` };
}
