import type { JsonObject } from '../json.ts';
import type { Migrations } from '../store/migrations.ts';
import type { Reader, Tx } from '../store/port.ts';
import { type Instant, toRfc3339 } from '../units.ts';
import type { Subscriber, UnsentLimits } from './source.ts';

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
    `ALTER TABLE outbox ADD COLUMN type TEXT NOT NULL DEFAULT '';
     UPDATE outbox SET type = json_extract(event, '$.type');`,
  ],
};

const streamOf = ({ namespace, saga, orderId }: Pick<OrderEvent, 'namespace' | 'saga' | 'orderId'>): string =>
  `${namespace}/${saga}/${orderId}`;

/**
 * The event as it travels, under a sequence that the caller counts: per order and source, rising, from 1; gaps are allowed.
 * The sequence is a string of digits, as CloudEvents' sequence extension has it; compare it as a number.
 */
export function cloudEventOf(source: string, event: OrderEvent, sequence: number): CloudEvent {
  return {
    specversion: '1.0',
    id: `${streamOf(event)}/${sequence}`,
    source,
    type: event.type,
    subject: event.orderId,
    time: toRfc3339(event.time),
    sequence: String(sequence),
    mercatonamespace: event.namespace,
    mercatosaga: event.saga,
    datacontenttype: 'application/json',
    data: event.data,
    ...(event.traceparent === undefined ? {} : { traceparent: event.traceparent }),
  };
}

/** Puts an event into the outbox, in the transaction of the change that it tells of, so that neither is without the other. */
export function appendEvent(tx: Tx, event: CloudEvent, at: Instant): void {
  tx.run('INSERT INTO outbox (at, event, type) VALUES (?, ?, ?)', at, JSON.stringify(event), event.type);
}

/** Writes events in the transaction of the change that they tell of, and counts each order's. */
export class Outbox {
  readonly #source: string;
  readonly #heard: boolean;

  /**
   * @param source a URI reference, as `/mercato/inventory`
   * @param heard false where nobody subscribes: then nothing is written. It was a quarter of all rows of an order, and swept unread after an hour. Who
   * subscribes later hears of what happens from then on.
   */
  constructor(source: string, heard = true) {
    this.#source = source;
    this.#heard = heard;
  }

  emit(tx: Tx, event: OrderEvent): void {
    if (!this.#heard) return;
    const { last } = tx.get<{ last: number }>(
      `INSERT INTO outbox_sequence VALUES (?, 1, ?)
       ON CONFLICT DO UPDATE SET last = last + 1, at = excluded.at RETURNING last`,
      streamOf(event),
      event.time,
    )!;
    appendEvent(tx, cloudEventOf(this.#source, event, last), event.time);
  }
}

/** What was found of a subscriber's events, and how far the reading got. */
export interface OutboxReading {
  readonly events: readonly { readonly position: number; readonly event: CloudEvent }[];
  /** Up to here everything was read: what is not among `events` is not for this subscriber. Undefined when there was nothing. */
  readonly upTo: number | undefined;
  readonly more: boolean;
}

/** Reads on from where a subscriber is. */
export function readOutbox(reader: Reader, { url, types }: Subscriber, limits: UnsentLimits): OutboxReading {
  const rows = reader.all<{ position: number; event: string | null }>(
    `SELECT position, CASE WHEN ?2 IS NULL OR instr(?2, ' ' || type || ' ') > 0 THEN event END AS event FROM outbox
     WHERE position > coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?1), 0) ORDER BY position LIMIT ?3`,
    url,
    wanted(types),
    limits.events,
  );
  const events: { position: number; event: CloudEvent }[] = [];
  let bytes = 0;
  let upTo: number | undefined;
  for (const { position, event } of rows) {
    if (event !== null) {
      bytes += Buffer.byteLength(event) + 1;
      if (events.length > 0 && bytes > limits.bytes) return { events, upTo, more: true };
      events.push({ position, event: JSON.parse(event) as CloudEvent });
    }
    upTo = position;
  }
  return { events, upTo, more: rows.length === limits.events };
}

/** Types as one text that a query searches: no type has a space in it. */
const wanted = (types: readonly string[] | undefined): string | null =>
  types === undefined ? null : ` ${types.join(' ')} `;

/** What a subscriber of all types has not been sent yet, oldest first: up to `limit` events. */
export const unsent = (reader: Reader, url: string, limit: number): OutboxReading['events'] =>
  readOutbox(reader, { url }, { events: limit, bytes: Number.POSITIVE_INFINITY }).events;

/** Remembers that a subscriber has everything up to `position`. */
export function markSent(tx: Tx, subscriber: string, position: number): void {
  tx.run(
    'INSERT INTO outbox_subscriber VALUES (?, ?) ON CONFLICT DO UPDATE SET sent = max(sent, excluded.sent)',
    subscriber,
    position,
  );
}

/** Up to so many the events for a subscriber of some types are counted one by one. */
const COUNTED = 10_000;

/** How many events a subscriber has not taken yet. For one that gets some types only, more than 10,000 is an upper bound. */
export function backlog(reader: Reader, { url, types }: Subscriber): number {
  const { count } = reader.get<{ count: number }>(
    `SELECT max(0, coalesce((SELECT max(position) FROM outbox), 0) - coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?),
       (SELECT min(position) - 1 FROM outbox), 0)) AS count`,
    url,
  )!;
  if (types === undefined || count > COUNTED) return count;
  return reader.get<{ count: number }>(
    `SELECT count(*) AS count FROM outbox
     WHERE position > coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?1), 0) AND instr(?2, ' ' || type || ' ') > 0`,
    url,
    wanted(types),
  )!.count;
}

/** Deletes up to `limit` events older than `until` that every one of `subscribers` has, and counters of orders silent since `forgetOrders`. */
export function sweepOutbox(
  tx: Tx,
  subscribers: readonly Subscriber[],
  until: Instant,
  forgetOrders: Instant,
  limit: number,
): number {
  const everyone = subscribers.map(
    ({ url }) => tx.get<{ sent: number }>('SELECT sent FROM outbox_subscriber WHERE url = ?', url)?.sent ?? 0,
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
