import { type Instant, type Outbox, type Reader, type Tx, toRfc3339 } from '@mercato/kit';
import type { Allocation, ReservationId } from '../domain/names.ts';
import type { MovementType } from '../domain/stock.ts';
import { move } from './stock.ts';

/**
 * reserved -> committed -> shipped; reserved -> expired; reserved or committed -> released. What is expired, released or shipped stays so.
 */
export type ReservationState = 'reserved' | 'committed' | 'released' | 'expired' | 'shipped';

export interface Reservation {
  readonly id: ReservationId;
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
  readonly step: string;
  readonly epoch: number;
  readonly state: ReservationState;
  readonly expiresAt: Instant;
  readonly createdAt: Instant;
  readonly changedAt: Instant;
}

interface Row {
  id: string;
  namespace: string;
  saga: string;
  order_id: string;
  step: string;
  epoch: number;
  state: ReservationState;
  expires_at: number;
  created_at: number;
  changed_at: number;
}

const toReservation = (row: Row): Reservation => ({
  id: row.id as ReservationId,
  namespace: row.namespace,
  saga: row.saga,
  orderId: row.order_id,
  step: row.step,
  epoch: row.epoch,
  state: row.state,
  expiresAt: row.expires_at as Instant,
  createdAt: row.created_at as Instant,
  changedAt: row.changed_at as Instant,
});

export function loadReservation(reader: Reader, id: ReservationId): Reservation | undefined {
  const row = reader.get<Row>('SELECT * FROM reservation WHERE id = ?', id);
  return row === undefined ? undefined : toReservation(row);
}

/** A reservation's goods, by SKU and warehouse: always in this order, so that two transactions never wait for each other crosswise. */
export const linesOf = (reader: Reader, id: ReservationId): Allocation[] =>
  reader.all<Allocation>(
    'SELECT warehouse, sku, quantity FROM reservation_line WHERE reservation = ? ORDER BY sku, warehouse',
    id,
  );

export const reservationsOfOrder = (
  reader: Reader,
  { namespace, saga, orderId }: Pick<Reservation, 'namespace' | 'saga' | 'orderId'>,
): Reservation[] =>
  reader
    .all<Row>(
      'SELECT * FROM reservation WHERE namespace = ? AND saga = ? AND order_id = ? ORDER BY created_at, id',
      namespace,
      saga,
      orderId,
    )
    .map(toReservation);

/** Reservations of a state (`open`: reserved or committed) after `cursor`, by id. */
export function listReservations(
  reader: Reader,
  state: ReservationState | 'open' | 'all',
  cursor: string,
  limit: number,
): Reservation[] {
  const where =
    state === 'all' ? '' : state === 'open' ? `AND state IN ('reserved', 'committed')` : `AND state = '${state}'`;
  return reader
    .all<Row>(`SELECT * FROM reservation WHERE id > ? ${where} ORDER BY id LIMIT ?`, cursor, limit)
    .map(toReservation);
}

/** Reservations whose time has run out and whose goods are still held, the oldest first. */
export const dueReservations = (reader: Reader, now: Instant, limit: number): Reservation[] =>
  reader
    .all<Row>(
      `SELECT * FROM reservation WHERE state = 'reserved' AND expires_at <= ? ORDER BY expires_at, id LIMIT ?`,
      now,
      limit,
    )
    .map(toReservation);

export function insertReservation(tx: Tx, reservation: Reservation, lines: readonly Allocation[]): void {
  tx.run(
    'INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    reservation.id,
    reservation.namespace,
    reservation.saga,
    reservation.orderId,
    reservation.step,
    reservation.epoch,
    reservation.state,
    reservation.expiresAt,
    reservation.createdAt,
    reservation.changedAt,
  );
  for (const { sku, warehouse, quantity } of lines) {
    tx.run('INSERT INTO reservation_line VALUES (?, ?, ?, ?)', reservation.id, sku, warehouse, quantity);
  }
}

/** Takes a reservation to another state: a movement of each kind for each of its lines, its row, and the event, in one transaction. */
export function transition(
  tx: Tx,
  outbox: Outbox,
  reservation: Reservation,
  state: ReservationState,
  movements: readonly MovementType[],
  now: Instant,
  traceparent?: string,
): Allocation[] {
  const lines = linesOf(tx, reservation.id);
  for (const type of movements) for (const line of lines) move(tx, type, line, reservation.id, now);
  tx.run('UPDATE reservation SET state = ?, changed_at = ? WHERE id = ?', state, now, reservation.id);
  announce(tx, outbox, { ...reservation, state }, lines, now, traceparent);
  return lines;
}

/** Tells the world what state a reservation has come to. */
export function announce(
  tx: Tx,
  outbox: Outbox,
  { id, namespace, saga, orderId, state, expiresAt }: Reservation,
  lines: readonly Allocation[],
  now: Instant,
  traceparent?: string,
): void {
  outbox.emit(tx, {
    type: `dev.mercato.inventory.${state}`,
    namespace,
    saga,
    orderId,
    time: now,
    data: {
      reservationId: id,
      lines: lines.map(({ warehouse, sku, quantity }) => ({ warehouse, sku, quantity })),
      ...(state === 'reserved' ? { expiresAt: toRfc3339(expiresAt) } : {}),
    },
    ...(traceparent === undefined ? {} : { traceparent }),
  });
}
