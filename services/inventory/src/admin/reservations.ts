import {
  type Instant,
  type Outbox,
  ProblemError,
  type Reader,
  type Route,
  recordsOfOrder,
  route,
  type Tx,
  toRfc3339,
} from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import type { ReservationId } from '../domain/names.ts';
import { NegativeStock } from '../domain/stock.ts';
import {
  linesOf,
  listReservations,
  loadReservation,
  type Reservation,
  reservationsOfOrder,
  transition,
} from '../rows/reservations.ts';
import type { AdminPorts } from './ports.ts';

const ReservationSchema = Type.Object({
  reservationId: Type.String(),
  namespace: Type.String(),
  saga: Type.String(),
  orderId: Type.String(),
  step: Type.String(),
  state: Type.String(),
  expiresAt: Type.String({ format: 'date-time' }),
  createdAt: Type.String({ format: 'date-time' }),
  changedAt: Type.String({ format: 'date-time' }),
  lines: Type.Array(Type.Object({ warehouse: Type.String(), sku: Type.String(), quantity: Type.Integer() })),
});

const shown = (reader: Reader, { id, epoch, expiresAt, createdAt, changedAt, ...rest }: Reservation) => ({
  reservationId: id,
  ...rest,
  epoch,
  expiresAt: toRfc3339(expiresAt),
  createdAt: toRfc3339(createdAt),
  changedAt: toRfc3339(changedAt),
  lines: linesOf(reader, id),
});

/** The carrier has picked the goods up: they leave on hand. Once; a repeat answers the same. */
function ship(tx: Tx, outbox: Outbox, reservation: Reservation, now: Instant) {
  const { id, state } = reservation;
  if (state === 'shipped') return shown(tx, reservation);
  if (state !== 'committed') {
    throw new ProblemError(409, 'NotCommitted', `${id} is ${state}: only committed goods can be picked up`);
  }
  try {
    transition(tx, outbox, reservation, 'shipped', ['shipped'], now);
  } catch (error) {
    if (!(error instanceof NegativeStock)) throw error;
    throw new ProblemError(409, 'NotOnHand', `${id} cannot be shipped: ${error.message}; count the stock`);
  }
  return shown(tx, loadReservation(tx, id)!);
}

/** Reservations: for the warehouse floor, the operator, and the conservation check. */
export const reservationRoutes = ({ store, outbox, clock }: AdminPorts): Route[] => [
  route({
    method: 'get',
    path: '/reservations',
    summary: 'Lists reservations by id. `open` are those that hold goods: reserved or committed.',
    query: Type.Object({
      state: Type.Optional(
        Type.Union(
          ['open', 'all', 'reserved', 'committed', 'released', 'expired', 'shipped'].map((state) =>
            Type.Literal(state),
          ),
        ),
      ),
      cursor: Type.Optional(Type.String()),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
    }),
    response: Type.Object({ items: Type.Array(ReservationSchema), next: Type.Optional(Type.String()) }),
    handle: ({ query: { state = 'open', cursor = '', limit = 200 } }) =>
      store.read((reader) => {
        const found = listReservations(reader, state as Reservation['state'] | 'open' | 'all', cursor, limit + 1);
        const items = found.slice(0, limit).map((reservation) => shown(reader, reservation));
        return { items, ...(found.length > limit ? { next: items.at(-1)!.reservationId } : {}) };
      }),
  }),
  route({
    method: 'get',
    path: '/reservations/{id}',
    summary: 'Reads one reservation',
    response: ReservationSchema,
    handle: ({ params }) => store.read((reader) => shown(reader, known(reader, params['id']!))),
  }),
  route({
    method: 'post',
    path: '/reservations/{id}/ship',
    summary: 'The carrier picked the goods up: committed goods leave on hand. A repeat changes nothing.',
    response: ReservationSchema,
    handle: ({ params }) => store.transact((tx) => ship(tx, outbox, known(tx, params['id']!), clock.now())),
  }),
  route({
    method: 'get',
    path: '/orders/{namespace}/{saga}/{orderId}',
    summary: 'All that is known of an order: its reservations, and what its steps were answered',
    response: Type.Object({ reservations: Type.Array(ReservationSchema), steps: Type.Array(Type.Object({})) }),
    handle: ({ params }) =>
      store.read((reader) => {
        const order = orderOf(params);
        const steps = recordsOfOrder(reader, order).map(({ step, record }) => ({ step, ...record }));
        return {
          reservations: reservationsOfOrder(reader, order).map((reservation) => shown(reader, reservation)),
          steps,
        };
      }),
  }),
  route({
    method: 'post',
    path: '/orders/{namespace}/{saga}/{orderId}/ship',
    summary: 'As /reservations/{id}/ship, for whatever the order has committed',
    response: Type.Object({ reservations: Type.Array(ReservationSchema) }),
    handle: ({ params }) =>
      store.transact((tx) => {
        const ready = reservationsOfOrder(tx, orderOf(params)).filter(
          ({ state }) => state === 'committed' || state === 'shipped',
        );
        if (ready.length === 0) throw new ProblemError(409, 'NotCommitted', 'the order has no committed goods');
        return { reservations: ready.map((reservation) => ship(tx, outbox, reservation, clock.now())) };
      }),
  }),
];

const orderOf = (params: Readonly<Record<string, string>>) => ({
  namespace: params['namespace']!,
  saga: params['saga']!,
  orderId: params['orderId']!,
});

function known(reader: Reader, id: string): Reservation {
  const found = loadReservation(reader, id as ReservationId);
  if (found === undefined) throw new ProblemError(404, 'ReservationUnknown', `there is no reservation ${id}`);
  return found;
}
