import type { Migrations, Reader, Tx } from '@mercato/kit';
import type { Booking } from './domain/booking.ts';
import type { Reference } from './domain/reference.ts';
import type { CarrierBookingId } from './ports/carrier.ts';

/** Our own id of a booking, as `bk_...`. */
export type BookingId = string & { readonly __brand: 'BookingId' };

/** The run that a shipment belongs to. */
export interface Order {
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
}

/** A booking and what the service must remember about it. The address is not kept: the carrier has it, and it is personal. */
export interface BookingRow {
  /** Of the booking at the carrier; the key. */
  readonly reference: Reference;
  readonly bookingId: BookingId;
  readonly order: Order;
  readonly booking: Booking;
  readonly country: string;
  readonly warehouses: readonly string[];
  readonly units: number;
  /** The carrier's id, once it is known. */
  readonly carrierId?: CarrierBookingId;
  readonly carrier?: string;
  readonly trackingCode?: string;
  /** When the intent was stored, milliseconds since 1970. */
  readonly createdAt: number;
  /** When the tracker looks at it again, milliseconds since 1970; absent: never. */
  readonly checkAt?: number;
  /** How often the tracker has looked since the last news. */
  readonly checks: number;
}

/** The table of the shipping service. */
export const shippingMigrations: Migrations = {
  component: 'shipping',
  steps: [
    `CREATE TABLE booking (
       position INTEGER PRIMARY KEY AUTOINCREMENT,
       reference TEXT NOT NULL UNIQUE,
       booking_id TEXT NOT NULL UNIQUE,
       namespace TEXT NOT NULL, saga TEXT NOT NULL, order_id TEXT NOT NULL,
       state TEXT NOT NULL CHECK (state IN ('requested', 'booked', 'picked-up', 'delivered', 'cancelled', 'refused')),
       fenced INTEGER NOT NULL CHECK (fenced IN (0, 1)),
       check_at INTEGER,
       document TEXT NOT NULL
     ) STRICT;
     CREATE INDEX booking_order ON booking (namespace, saga, order_id);
     CREATE INDEX booking_check ON booking (check_at) WHERE check_at IS NOT NULL;`,
  ],
};

interface Row {
  readonly position: number;
  readonly document: string;
}

const parse = (row: Row): BookingRow => JSON.parse(row.document) as BookingRow;

/** Writes a booking, new or changed. */
export function saveBooking(tx: Tx, row: BookingRow): void {
  const { booking, order } = row;
  tx.run(
    `INSERT INTO booking (reference, booking_id, namespace, saga, order_id, state, fenced, check_at, document)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (reference) DO UPDATE SET state = excluded.state, fenced = excluded.fenced, check_at = excluded.check_at,
       document = excluded.document`,
    row.reference,
    row.bookingId,
    order.namespace,
    order.saga,
    order.orderId,
    booking.state,
    booking.fenced ? 1 : 0,
    row.checkAt ?? null,
    JSON.stringify(row),
  );
}

/** The booking of this reference. */
export function bookingByReference(reader: Reader, reference: Reference): BookingRow | undefined {
  const row = reader.get<Row>('SELECT * FROM booking WHERE reference = ?', reference);
  return row === undefined ? undefined : parse(row);
}

/** The bookings of one order, oldest first. */
export function bookingsOfOrder(reader: Reader, order: Order): BookingRow[] {
  return reader
    .all<Row>(
      'SELECT * FROM booking WHERE namespace = ? AND saga = ? AND order_id = ? ORDER BY position',
      order.namespace,
      order.saga,
      order.orderId,
    )
    .map(parse);
}

/** Bookings after a position, oldest first, and the position to go on from. */
export function bookingsFrom(reader: Reader, cursor: number, limit: number): { rows: BookingRow[]; next: number } {
  const rows = reader.all<Row>('SELECT * FROM booking WHERE position > ? ORDER BY position LIMIT ?', cursor, limit);
  return { rows: rows.map(parse), next: rows.at(-1)?.position ?? cursor };
}

/** Bookings that the tracker is due to look at, the longest due first. */
export function bookingsToCheck(reader: Reader, now: number, limit: number): BookingRow[] {
  return reader.all<Row>('SELECT * FROM booking WHERE check_at <= ? ORDER BY check_at LIMIT ?', now, limit).map(parse);
}

/** How many bookings are in each state, and how many of them are fenced. */
export function countBookings(reader: Reader): { state: string; bookings: number; fenced: number }[] {
  return reader.all(
    'SELECT state, count(*) AS bookings, sum(fenced) AS fenced FROM booking GROUP BY state ORDER BY state',
  );
}
