import { createHash } from 'node:crypto';
import type { CloudEvent, Instant, Milliseconds } from '@mercato/kit';
import type { OrderId } from '../../domain/ids.ts';
import type { Order, Progress } from '../../domain/order.ts';
import { isOver, type OpenState } from '../../domain/states.ts';
import type { MinorUnits, Terms } from '../../domain/terms.ts';
import type { CallersKey, Placement, StoredAnswer } from '../../ports/orders.ts';
import { type Item, N, S, textOf } from './store.ts';
import { SHARDS } from './table.ts';

/** How long things are kept: what TTL deletes after. */
export interface Retention {
  readonly keys: Milliseconds;
  /** Orders that are over, from when they were placed. */
  readonly orders: Milliseconds;
}

/** An order, and what the table knows of it besides. */
export interface KeptOrder {
  readonly order: Order;
  /** The part of the outbox that its events go to, for good: so they keep their order. */
  readonly shard: number;
  /** The transaction that wrote it last. */
  readonly write: string;
}

export const orderKey = (id: OrderId): Item => ({ pk: S(`order#${id}`), sk: S('order') });

/** The index partition of open orders in a state. */
export const openPart = (state: OpenState, shard: number): string => `${state}#${shard}`;

/** Spreads orders evenly over the parts; an id has 80 random bits. */
export const shardOf = (id: OrderId): number => createHash('sha256').update(id).digest().readUInt32BE() % SHARDS;

/** A new order. */
export function orderItem({ id, terms, total, placedAt, progress }: Order, shard: number, write: string): Item {
  const { state } = progress;
  return {
    ...orderKey(id),
    id: S(id),
    customer: S(terms.customer),
    total: N(total),
    placedAt: N(placedAt),
    shard: N(shard),
    terms: S(JSON.stringify(terms)),
    progress: S(JSON.stringify(progress)),
    version: N(progress.version),
    write: S(write),
    ...(isOver(state) ? {} : { open: S(openPart(state as OpenState, shard)) }),
  };
}

/** Changes what changes of an order: only where its version is what was seen. */
export function progressChange(
  { order, shard }: KeptOrder,
  after: Progress,
  write: string,
  retention: Retention,
): { readonly update: string; readonly when: string; readonly values: Item } {
  const { state } = after;
  const common = 'SET #progress = :progress, #version = :version, #write = :write';
  const values = {
    ':progress': S(JSON.stringify(after)),
    ':version': N(after.version),
    ':write': S(write),
    ':seen': N(order.progress.version),
  };
  const when = '#version = :seen';
  if (!isOver(state)) {
    const open = S(openPart(state as OpenState, shard));
    return { update: `${common}, #open = :open REMOVE #expires`, when, values: { ...values, ':open': open } };
  }
  const expires = N(secondsUntil(order.placedAt, retention.orders));
  return { update: `${common}, #expires = :expires REMOVE #open`, when, values: { ...values, ':expires': expires } };
}

export function orderOf(item: Item): KeptOrder {
  const order: Order = {
    id: textOf(item, 'id') as OrderId,
    terms: JSON.parse(textOf(item, 'terms')) as Terms,
    total: Number(item['total']?.N) as MinorUnits,
    placedAt: Number(item['placedAt']?.N) as Instant,
    progress: JSON.parse(textOf(item, 'progress')) as Progress,
  };
  return { order, shard: Number(item['shard']?.N), write: textOf(item, 'write') };
}

/** A key, with its answer. It counts until it expires, whether or not DynamoDB has deleted it by then. */
export function keyItem({ key, at, fingerprint, answer }: Placement, write: string, retention: Retention): Item {
  const { status, orderId, body } = answer;
  return {
    ...keyKey(key),
    fingerprint: S(fingerprint),
    status: N(status),
    body: S(body),
    ...(orderId === undefined ? {} : { orderId: S(orderId) }),
    write: S(write),
    expires: N(secondsUntil(at, retention.keys)),
  };
}

/** Neither a subject of a token nor a key has a line break in it. */
const keyKey = ({ caller, key }: CallersKey): Item => ({ pk: S(`key#${caller}\n${key}`), sk: S('key') });

/** That no key is there that still counts. */
export const keyIsFree = (at: Instant) => ({
  when: 'attribute_not_exists(#pk) OR #expires <= :now',
  values: { ':now': N(Math.floor(at / 1000)) },
});

export function keptAnswer(item: Item): {
  readonly fingerprint: string;
  readonly write: string;
  readonly answer: StoredAnswer;
} {
  const orderId = item['orderId']?.S as OrderId | undefined;
  const answer = { status: Number(item['status']?.N), body: textOf(item, 'body') };
  return {
    fingerprint: textOf(item, 'fingerprint'),
    write: textOf(item, 'write'),
    answer: orderId === undefined ? answer : { ...answer, orderId },
  };
}

/** The partition of the events that wait for somebody, of a part of the orders. */
export const outboxPart = (audience: string, shard: number): string => `outbox#${audience}#${shard}`;

/** An event that waits for somebody. Those of one order stand together, in their sequence. @param expires seconds since 1970 */
export function entryItem(audience: string, shard: number, event: CloudEvent, expires: number | undefined): Item {
  return {
    pk: S(outboxPart(audience, shard)),
    sk: S(`${event.subject}#${event.sequence.padStart(15, '0')}`),
    event: S(JSON.stringify(event)),
    ...(expires === undefined ? {} : { expires: N(expires) }),
  };
}

/** The order that an item of {@link entryItem} is of. */
export const subjectOf = (item: Item): string => {
  const sk = textOf(item, 'sk');
  return sk.slice(0, sk.lastIndexOf('#'));
};

/** Seconds since 1970: the first whole one at which all of `span` has passed. */
export const secondsUntil = (at: Instant, span: Milliseconds): number => Math.ceil((at + span) / 1000);
