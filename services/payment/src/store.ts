import type { Migrations } from '@mercato/kit/store/migrations.ts';
import type { Reader, Tx } from '@mercato/kit/store/port.ts';
import type { Currency } from './domain/money.ts';
import { captured, type Payment, refunded } from './domain/payment.ts';
import type { Reference } from './domain/reference.ts';
import type { ProcessorId } from './ports/processor.ts';

/** Our own id of an authorisation, as `au_...`. */
export type AuthorisationId = string & { readonly __brand: 'AuthorisationId' };
/** Our own id of a capture, as `ca_...`. */
export type CaptureId = string & { readonly __brand: 'CaptureId' };

/** The run that a payment belongs to. */
export interface Order {
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
}

/** A payment and what the service must remember about it. */
export interface PaymentRow {
  /** Of the authorisation at the processor; the key. */
  readonly reference: Reference;
  readonly authorisationId: AuthorisationId;
  readonly order: Order;
  readonly payment: Payment;
  /** The processor's id, once it is known. */
  readonly processorId?: ProcessorId;
  /** As `tok_***1234`. */
  readonly tokenMask: string;
  /** When the intent was stored, milliseconds since 1970. */
  readonly createdAt: number;
  /** When the reconciler looks at it again, milliseconds since 1970; absent: never. */
  readonly checkAt?: number;
  /** How often the reconciler has looked at it. */
  readonly checks: number;
  /** By our references, the processor's ids of the captures. */
  readonly captureIds: Readonly<Record<string, ProcessorId>>;
}

/** The tables of the payment service. */
export const paymentMigrations: Migrations = {
  component: 'payment',
  steps: [
    `CREATE TABLE payment (
       position INTEGER PRIMARY KEY AUTOINCREMENT,
       reference TEXT NOT NULL UNIQUE,
       authorisation_id TEXT NOT NULL UNIQUE,
       namespace TEXT NOT NULL, saga TEXT NOT NULL, order_id TEXT NOT NULL,
       amount INTEGER NOT NULL CHECK (amount > 0),
       currency TEXT NOT NULL,
       state TEXT NOT NULL,
       fenced INTEGER NOT NULL CHECK (fenced IN (0, 1)),
       captured INTEGER NOT NULL CHECK (captured >= 0 AND captured <= amount),
       refunded INTEGER NOT NULL CHECK (refunded >= 0 AND refunded <= captured),
       check_at INTEGER,
       document TEXT NOT NULL
     ) STRICT;
     CREATE INDEX payment_order ON payment (namespace, saga, order_id);
     CREATE INDEX payment_check ON payment (check_at) WHERE check_at IS NOT NULL;
     CREATE TABLE capture (
       capture_id TEXT PRIMARY KEY,
       payment_reference TEXT NOT NULL REFERENCES payment (reference),
       reference TEXT NOT NULL UNIQUE
     ) STRICT, WITHOUT ROWID;`,
  ],
};

interface Row {
  readonly position: number;
  readonly document: string;
}

const parse = (row: Row): PaymentRow => JSON.parse(row.document) as PaymentRow;

/** Writes a payment, new or changed. The columns beside the document are for queries, and for the database to check the sums. */
export function savePayment(tx: Tx, row: PaymentRow): void {
  const { payment, order } = row;
  tx.run(
    `INSERT INTO payment (reference, authorisation_id, namespace, saga, order_id, amount, currency, state, fenced, captured, refunded,
       check_at, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (reference) DO UPDATE SET state = excluded.state, fenced = excluded.fenced, captured = excluded.captured,
       refunded = excluded.refunded, check_at = excluded.check_at, document = excluded.document`,
    row.reference,
    row.authorisationId,
    order.namespace,
    order.saga,
    order.orderId,
    payment.amount,
    payment.currency,
    payment.state,
    payment.fenced ? 1 : 0,
    captured(payment),
    refunded(payment),
    row.checkAt ?? null,
    JSON.stringify(row),
  );
}

/** The payment whose authorisation has this reference. */
export function paymentByReference(reader: Reader, reference: Reference): PaymentRow | undefined {
  const row = reader.get<Row>('SELECT * FROM payment WHERE reference = ?', reference);
  return row === undefined ? undefined : parse(row);
}

/** The payment with this authorisation. */
export function paymentByAuthorisation(reader: Reader, id: AuthorisationId): PaymentRow | undefined {
  const row = reader.get<Row>('SELECT * FROM payment WHERE authorisation_id = ?', id);
  return row === undefined ? undefined : parse(row);
}

/** Remembers which payment a capture belongs to. */
export function saveCapture(tx: Tx, captureId: CaptureId, payment: Reference, capture: Reference): void {
  tx.run(
    'INSERT OR IGNORE INTO capture (capture_id, payment_reference, reference) VALUES (?, ?, ?)',
    captureId,
    payment,
    capture,
  );
}

/** The payment that a capture belongs to, and the capture's reference. */
export function paymentByCapture(reader: Reader, id: CaptureId): { row: PaymentRow; capture: Reference } | undefined {
  const found = reader.get<{ payment_reference: string; reference: string }>(
    'SELECT payment_reference, reference FROM capture WHERE capture_id = ?',
    id,
  );
  if (found === undefined) return undefined;
  const row = paymentByReference(reader, found.payment_reference as Reference);
  return row === undefined ? undefined : { row, capture: found.reference as Reference };
}

/** The payments of one order, oldest first. */
export function paymentsOfOrder(reader: Reader, order: Order): PaymentRow[] {
  return reader
    .all<Row>(
      'SELECT * FROM payment WHERE namespace = ? AND saga = ? AND order_id = ? ORDER BY position',
      order.namespace,
      order.saga,
      order.orderId,
    )
    .map(parse);
}

/** Payments after a position, oldest first, and the position to go on from. */
export function paymentsFrom(reader: Reader, cursor: number, limit: number): { rows: PaymentRow[]; next: number } {
  const rows = reader.all<Row>('SELECT * FROM payment WHERE position > ? ORDER BY position LIMIT ?', cursor, limit);
  return { rows: rows.map(parse), next: rows.at(-1)?.position ?? cursor };
}

/** Payments that the reconciler is due to look at, the longest due first. */
export function paymentsToCheck(reader: Reader, now: number, limit: number): PaymentRow[] {
  return reader.all<Row>('SELECT * FROM payment WHERE check_at <= ? ORDER BY check_at LIMIT ?', now, limit).map(parse);
}

/** A sum in minor units: a decimal string where a number would not be exact, above 2^53-1. */
export type Sum = number | string;

/** Sums of one currency, in minor units. */
export interface Sums {
  readonly currency: Currency;
  readonly payments: number;
  /** Held, not captured. */
  readonly open: number;
  readonly openAmount: Sum;
  readonly captured: Sum;
  readonly refunded: Sum;
  /** Fenced, and not known to be closed at the processor. */
  readonly unresolved: number;
}

/** What our own books say, by currency; the acquirer's log is what it is held against. */
export function sums(reader: Reader): Sums[] {
  const rows = reader.all<Sums & Record<'openAmount' | 'captured' | 'refunded', string>>(
    `SELECT currency, count(*) AS payments,
       sum(state IN ('requested', 'authorised')) AS open,
       CAST(sum(CASE WHEN state IN ('requested', 'authorised') THEN amount ELSE 0 END) AS TEXT) AS openAmount,
       CAST(sum(captured) AS TEXT) AS captured, CAST(sum(refunded) AS TEXT) AS refunded,
       sum(fenced = 1 AND state IN ('requested', 'authorised')) AS unresolved
     FROM payment GROUP BY currency ORDER BY currency`,
  );
  return rows.map((row) => ({
    ...row,
    openAmount: exact(row.openAmount),
    captured: exact(row.captured),
    refunded: exact(row.refunded),
  }));
}

function exact(digits: string): Sum {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : digits;
}
