import type { JsonObject } from '../json.ts';
import type { Migrations } from '../store/migrations.ts';
import type { Reader, Tx } from '../store/port.ts';
import { type Instant, toRfc3339 } from '../units.ts';
import type { Subscriber, Swept, UnsentLimits } from './source.ts';
import { MOST_WAITING } from './waiting.ts';

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
    // Events before a subscriber's place that it does not have: those that it asked to have again, and those behind them of the same order.
    `CREATE TABLE outbox_waiting (url TEXT NOT NULL, position INTEGER NOT NULL, subject TEXT NOT NULL, PRIMARY KEY (url, position)) STRICT, WITHOUT ROWID;`,
    'CREATE INDEX outbox_sequence_at ON outbox_sequence (at);',
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

/** An event where it stands in the outbox. */
interface Placed {
  readonly position: number;
  readonly event: CloudEvent;
  /** It was read before, and is to come again. */
  readonly waits: boolean;
}

/** What was found of a subscriber's events, and how far the reading got. */
export interface OutboxReading {
  readonly events: readonly Placed[];
  /** Read on the way, of subjects that rest: they are to wait as well. */
  readonly behind: readonly { readonly position: number; readonly subject: string }[];
  /** Up to here everything was read: what is neither among `events` nor `behind` is not for this subscriber. Undefined when there was nothing new. */
  readonly upTo: number | undefined;
  readonly more: boolean;
}

/**
 * Reads what waits for a subscriber, and on from where it is. No more new ones are read than could wait.
 * @param resting subjects whose events are not to be sent now
 */
export function readOutbox(
  reader: Reader,
  subscriber: Subscriber,
  limits: UnsentLimits,
  resting: ReadonlySet<string>,
): OutboxReading {
  const waiting = reader.all<{ position: number; subject: string }>(
    'SELECT position, subject FROM outbox_waiting WHERE url = ? ORDER BY position',
    subscriber.url,
  );
  const due = waiting.filter(({ subject }) => !resting.has(subject)).slice(0, limits.events);
  const most = Math.max(0, Math.min(limits.events - due.length, MOST_WAITING - waiting.length));
  const old = due.length === 0 ? [] : eventsAt(reader, due);
  const rows = most === 0 ? [] : eventsFrom(reader, subscriber, most);
  const events: Placed[] = [];
  const behind: { position: number; subject: string }[] = [];
  let bytes = 0;
  let upTo: number | undefined;
  for (const { position, text, waits } of [...old, ...rows]) {
    const event = text === null ? undefined : (JSON.parse(text) as CloudEvent);
    if (event !== undefined && !waits && resting.has(event.subject)) behind.push({ position, subject: event.subject });
    else if (event !== undefined) {
      bytes += Buffer.byteLength(text!) + 1;
      if (events.length > 0 && bytes > limits.bytes) return { events, behind, upTo, more: true };
      events.push({ position, event, waits });
    }
    if (!waits) upTo = position;
  }
  return { events, behind, upTo, more: due.length === limits.events || (most > 0 && rows.length === most) };
}

interface Row {
  readonly position: number;
  /** Null where the subscriber does not want it. */
  readonly text: string | null;
  readonly waits: boolean;
}

function eventsAt(reader: Reader, places: readonly { readonly position: number }[]): readonly Row[] {
  const positions = JSON.stringify(places.map(({ position }) => position));
  const sql =
    'SELECT position, event AS text FROM outbox WHERE position IN (SELECT value FROM json_each(?)) ORDER BY position';
  return reader.all<{ position: number; text: string }>(sql, positions).map((row) => ({ ...row, waits: true }));
}

function eventsFrom(reader: Reader, { url, types }: Subscriber, limit: number): readonly Row[] {
  return reader
    .all<{ position: number; text: string | null }>(
      `SELECT position, CASE WHEN ?2 IS NULL OR instr(?2, ' ' || type || ' ') > 0 THEN event END AS text FROM outbox
       WHERE position > coalesce((SELECT sent FROM outbox_subscriber WHERE url = ?1), 0) ORDER BY position LIMIT ?3`,
      url,
      wanted(types),
      limit,
    )
    .map((row) => ({ ...row, waits: false }));
}

/** Types as one text that a query searches: no type has a space in it. */
const wanted = (types: readonly string[] | undefined): string | null =>
  types === undefined ? null : ` ${types.join(' ')} `;

/** What a subscriber of all types has not been sent yet, what waits first: up to `limit` events. */
export const unsent = (reader: Reader, url: string, limit: number): OutboxReading['events'] =>
  readOutbox(reader, { url }, { events: limit, bytes: Number.POSITIVE_INFINITY }, new Set()).events;

/** Remembers that a subscriber has what was read, without the events at the places `again`: they wait, as does what is behind them. */
export function markRead(
  tx: Tx,
  url: string,
  { events, behind, upTo }: OutboxReading,
  again: ReadonlySet<number> = new Set(),
): void {
  const wait = (position: number, subject: string) =>
    tx.run('INSERT INTO outbox_waiting VALUES (?, ?, ?) ON CONFLICT DO NOTHING', url, position, subject);
  for (const { position, subject } of behind) wait(position, subject);
  for (const [place, { position, event, waits }] of events.entries()) {
    if (again.has(place) && !waits) wait(position, event.subject);
    if (!again.has(place) && waits) tx.run('DELETE FROM outbox_waiting WHERE url = ? AND position = ?', url, position);
  }
  if (upTo === undefined) return;
  tx.run(
    'INSERT INTO outbox_subscriber VALUES (?, ?) ON CONFLICT DO UPDATE SET sent = max(sent, excluded.sent)',
    url,
    upTo,
  );
}

/** Up to so many the events for a subscriber of some types are counted one by one. */
const COUNTED = 10_000;

/** How many events a subscriber has not taken yet. For one that gets some types only, more than 10,000 is an upper bound. */
export function backlog(reader: Reader, subscriber: Subscriber): number {
  const { waiting } = reader.get<{ waiting: number }>(
    'SELECT count(*) AS waiting FROM outbox_waiting WHERE url = ?',
    subscriber.url,
  )!;
  return waiting + ahead(reader, subscriber);
}

/** Events beyond a subscriber's place. */
function ahead(reader: Reader, { url, types }: Subscriber): number {
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

/**
 * Deletes up to `limit` events older than `until` that every one of `subscribers` has, and up to `limit` counters of orders silent since `forgetOrders`.
 *
 * Events lie as good as in the order of their age, so that only the first `limit` that all have are looked at: a search for old ones among all that are kept
 * would read an hour of events each time.
 */
export function sweepOutbox(
  tx: Tx,
  subscribers: readonly Subscriber[],
  until: Instant,
  forgetOrders: Instant,
  limit: number,
): Swept {
  const everyone = subscribers.map(
    ({ url }) => tx.get<{ sent: number }>('SELECT sent FROM outbox_subscriber WHERE url = ?', url)?.sent ?? 0,
  );
  const sent = Math.min(Number.MAX_SAFE_INTEGER, ...everyone);
  const counters = tx.run(
    'DELETE FROM outbox_sequence WHERE stream IN (SELECT stream FROM outbox_sequence WHERE at < ? LIMIT ?)',
    forgetOrders,
    limit,
  );
  const urls = JSON.stringify(subscribers.map(({ url }) => url));
  const isHad = `position NOT IN (SELECT position FROM outbox_waiting WHERE url IN (SELECT value FROM json_each(?)))`;
  const { rows, last } = tx.get<{ rows: number; last: number | null }>(
    `SELECT count(*) AS rows, max(position) AS last FROM
       (SELECT position FROM outbox WHERE position <= ? AND ${isHad} ORDER BY position LIMIT ?)`,
    sent,
    urls,
    limit,
  )!;
  const events = tx.run(`DELETE FROM outbox WHERE position <= ? AND at < ? AND ${isHad}`, last, until, urls);
  // Of somebody who is told no more.
  tx.run(
    'DELETE FROM outbox_waiting WHERE NOT EXISTS (SELECT 1 FROM outbox WHERE outbox.position = outbox_waiting.position)',
  );
  return { events, more: counters === limit || (events > 0 && rows === limit) };
}
