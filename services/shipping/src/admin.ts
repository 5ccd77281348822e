import { listingRoutes, type Route, route, type Store } from '@mercato/kit';
import { type Static, Type } from '@sinclair/typebox';
import { type BookingRow, bookingsFrom, bookingsOfOrder, countBookings } from './store.ts';

const BookingView = Type.Object({
  bookingId: Type.String(),
  reference: Type.String(),
  namespace: Type.String(),
  saga: Type.String(),
  orderId: Type.String(),
  state: Type.String(),
  fenced: Type.Boolean(),
  country: Type.String(),
  warehouses: Type.Array(Type.String()),
  units: Type.Integer(),
  createdAt: Type.String(),
  carrier: Type.Optional(Type.String()),
  trackingCode: Type.Optional(Type.String()),
  refusal: Type.Optional(Type.String()),
  checkAt: Type.Optional(Type.String()),
});

/** What people and the conservation check may ask the shipping service. All of it needs a token. */
export function adminRoutes(store: Store): Route[] {
  return [
    ...listingRoutes<BookingRow>({
      store,
      path: '/bookings',
      name: 'bookings',
      item: BookingView,
      view,
      from: bookingsFrom,
      ofOrder: bookingsOfOrder,
    }),
    route({
      method: 'get',
      path: '/conservation',
      summary: "How many bookings are in each state, to hold against the carrier's log",
      response: Type.Object({
        states: Type.Array(Type.Object({ state: Type.String(), bookings: Type.Integer(), fenced: Type.Integer() })),
      }),
      handle: async () => ({ states: await store.read(countBookings) }),
    }),
  ];
}

function view(row: BookingRow): Static<typeof BookingView> {
  const { booking, order, carrier, trackingCode } = row;
  return {
    bookingId: row.bookingId,
    reference: row.reference,
    ...order,
    state: booking.state,
    fenced: booking.fenced,
    country: row.country,
    warehouses: [...row.warehouses],
    units: row.units,
    createdAt: new Date(row.createdAt).toISOString(),
    ...(carrier === undefined ? {} : { carrier }),
    ...(trackingCode === undefined ? {} : { trackingCode }),
    ...(booking.refusal === undefined ? {} : { refusal: booking.refusal }),
    ...(row.checkAt === undefined ? {} : { checkAt: new Date(row.checkAt).toISOString() }),
  };
}
