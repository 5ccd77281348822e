import type { JsonObject } from '../json.ts';
import type { Migrations } from '../store/migrations.ts';
import type { Reader, Tx } from '../store/port.ts';
import { type Instant, toRfc3339 } from '../units.ts';

/** What a service says about one order. */
export interface OrderEvent {
  /** Reverse-DNS name of what happened, as `dev.mercato.inventory.reserved`. */
  readonly type: string;
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
  readonly data: JsonObject;
  readonly time: Instant;
  readonly traceparent?: string;
}

/** A CloudEvents 1.0 event in its JSON form. `id` is unique per `source`; `sequence` counts the order's events of this source from 1. */
export interface CloudEvent extends JsonObject {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
  readonly sequence: string;
  readonly datacontenttype: 'application/json';
  readonly data: JsonObject;
}

export const outboxMigrations: Migrations = {
  component: 'kit.outbox',
  steps: [
    `CREATE TABLE outbox (position INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, event TEXT NOT NULL) STRICT;
     CREATE TABLE outbox_sequence (stream TEXT PRIMARY KEY, last INTEGER NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     CREATE TABLE outbox_subscriber (url TEXT PRIMARY KEY, sent INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
  ],
};

/**
 * Writes events in the transaction of the change that they tell of, so that neither is without the other.
 * The sequence is a string of digits, as CloudEvents' sequence extension has it; compare it as a number.
 */
export class Outbox {
  readonly #source: string;

  /** `source` is a URI reference, as `/mercato/inventory`. */
  constructor(source: string) {
    this.#source = source;
  }

  emit(tx: Tx, event: OrderEvent): void {
    const stream = `${event.namespace}/${event.saga}/${event.orderId}`;
    const { last } = tx.get<{ last: number }>(
      `INSERT INTO outbox_sequence VALUES (?, 1, ?)
       ON CONFLICT DO UPDATE SET last = last + 1, at = excluded.at RETURNING last`,
      stream,
      event.time,
    )!;
    const cloudEvent: CloudEvent = {
      specversion: '1.0',
      id: `${stream}/${last}`,
      source: this.#source,
      type: event.type,
      subject: event.orderId,
      time: toRfc3339(event.time),
      sequence: String(last),
      mercatonamespace: event.namespace,
      mercatosaga: event.saga,
      datacontenttype: 'application/json',
      data: event.data,
      ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
    };
    tx.run('INSERT INTO outbox (at, event) VALUES (?, ?)', event.time, JSON.stringify(cloudEvent));
  }
}

/** What a subscriber has not been sent yet, oldest first: up to `limit` events of together up to `maxBytes`, but at least one. */
export function unsent(
  reader: Reader,
  subscriber: string,
  limit: number,
  maxBytes = Number.POSITIVE_INFINITY,
): { position: number; event: CloudEvent }[] {
  let bytes = 0;
  return reader
    .all<{ position: number; event: string }>(
      `SELECT position, event FROM outbox
       WHERE position > coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?), 0) ORDER BY position LIMIT ?`,
      subscriber,
      limit,
    )
    .filter((row, index) => {
      bytes += Buffer.byteLength(row.event) + 1;
      return index === 0 || bytes <= maxBytes;
    })
    .map((row) => ({ position: row.position, event: JSON.parse(row.event) as CloudEvent }));
}

/** Remembers that a subscriber has everything up to `position`. */
export function markSent(tx: Tx, subscriber: string, position: number): void {
  tx.run(
    'INSERT INTO outbox_subscriber VALUES (?, ?) ON CONFLICT DO UPDATE SET sent = max(sent, excluded.sent)',
    subscriber,
    position,
  );
}

/** How many events a subscriber has not taken yet. */
export const backlog = (reader: Reader, subscriber: string): number =>
  reader.get<{ count: number }>(
    `SELECT max(0, coalesce((SELECT max(position) FROM outbox), 0) - coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?),
       (SELECT min(position) - 1 FROM outbox), 0)) AS count`,
    subscriber,
  )!.count;

/**
 * Deletes up to `limit` events older than `until` that every one of `subscribers` has, and counters of orders silent since `forgetOrders`.
 * A counter must outlive anything that could still happen to its order: a restarted count would look like old news to consumers.
 */
export function sweepOutbox(
  tx: Tx,
  subscribers: readonly string[],
  until: Instant,
  forgetOrders: Instant,
  limit: number,
): number {
  const everyone = subscribers.map(
    (url) => tx.get<{ sent: number }>('SELECT sent FROM outbox_subscriber WHERE url = ?', url)?.sent ?? 0,
  );
  const sent = Math.min(Number.MAX_SAFE_INTEGER, ...everyone);
  tx.run(
    'DELETE FROM outbox_sequence WHERE stream IN (SELECT stream FROM outbox_sequence WHERE at < ? LIMIT ?)',
    forgetOrders,
    limit,
  );
  return tx.run(
    'DELETE FROM outbox WHERE position IN (SELECT position FROM outbox WHERE at < ? AND position <= ? ORDER BY position LIMIT ?)',
    until,
    sent,
    limit,
  );
}
