import type { CloudEvent, Instant, Reader, Tx } from '@mercato/kit';
import { appendEvent } from '@mercato/kit';
import { type CustomerId, firstOrderIdAt, type OrderId } from '../../domain/ids.ts';
import type { Order, Progress } from '../../domain/order.ts';
import { isOver, type OpenState, type OrderState } from '../../domain/states.ts';
import type { MinorUnits, Terms } from '../../domain/terms.ts';
import type { CallersKey, Page, Placement, StoredAnswer } from '../../ports/orders.ts';

interface OrderRow {
  readonly id: OrderId;
  readonly total: MinorUnits;
  readonly placed_at: Instant;
  readonly terms: string;
  readonly progress: string;
}

const parse = ({ id, total, placed_at, terms, progress }: OrderRow): Order => ({
  id,
  terms: JSON.parse(terms) as Terms,
  total,
  placedAt: placed_at,
  progress: JSON.parse(progress) as Progress,
});

/** Neither a subject of a token nor a key has a line break in it. */
const keyOf = ({ caller, key }: CallersKey): string => `${caller}\n${key}`;

export function orderById(reader: Reader, id: OrderId): Order | undefined {
  const row = reader.get<OrderRow>('SELECT id, total, placed_at, terms, progress FROM shop_order WHERE id = ?', id);
  return row === undefined ? undefined : parse(row);
}

/** What changes of an order, without what does not: events need no more. */
export function progressById(
  reader: Reader,
  id: OrderId,
): { readonly customer: string; readonly progress: Progress } | undefined {
  const row = reader.get<{ customer: string; progress: string }>(
    'SELECT customer, progress FROM shop_order WHERE id = ?',
    id,
  );
  return row === undefined ? undefined : { customer: row.customer, progress: JSON.parse(row.progress) as Progress };
}

export function ordersOf(reader: Reader, customer: CustomerId, { before, limit }: Page): Order[] {
  return reader
    .all<OrderRow>(
      `SELECT id, total, placed_at, terms, progress FROM shop_order
       WHERE customer = ? AND id < coalesce(?, 'p') ORDER BY id DESC LIMIT ?`,
      customer,
      before ?? null,
      limit,
    )
    .map(parse);
}

export function insertOrder(tx: Tx, { id, terms, total, placedAt, progress }: Order): void {
  tx.run(
    'INSERT INTO shop_order (id, customer, state, total, placed_at, terms, progress) VALUES (?, ?, ?, ?, ?, ?, ?)',
    id,
    terms.customer,
    progress.state,
    total,
    placedAt,
    JSON.stringify(terms),
    JSON.stringify(progress),
  );
  count(tx, undefined, progress.state);
}

/** Writes an order's progress, and the event that it causes. */
export function saveProgress(tx: Tx, id: OrderId, before: OrderState, after: Progress, event?: CloudEvent): void {
  tx.run('UPDATE shop_order SET state = ?, progress = ? WHERE id = ?', after.state, JSON.stringify(after), id);
  if (after.state !== before) count(tx, before, after.state);
  if (event !== undefined) appendEvent(tx, event, after.updatedAt);
}

function count(tx: Tx, before: OrderState | undefined, after: OrderState): void {
  if (before !== undefined) tx.run('UPDATE order_open SET count = count - 1 WHERE state = ?', before);
  if (!isOver(after)) tx.run('UPDATE order_open SET count = count + 1 WHERE state = ?', after);
}

export const openCounts = (reader: Reader): Map<OpenState, number> =>
  new Map(
    reader
      .all<{ state: OpenState; count: number }>('SELECT state, count FROM order_open')
      .map((row) => [row.state, row.count]),
  );

/** What a key was used for; undefined when it was not. */
export function answerByKey(
  reader: Reader,
  key: CallersKey,
): { readonly fingerprint: string; readonly answer: StoredAnswer } | undefined {
  const row = reader.get<{ fingerprint: string; status: number; order_id: OrderId | null; body: string }>(
    'SELECT fingerprint, status, order_id, body FROM order_key WHERE key = ?',
    keyOf(key),
  );
  if (row === undefined) return undefined;
  const { fingerprint, status, order_id, body } = row;
  return { fingerprint, answer: { status, body, ...(order_id === null ? {} : { orderId: order_id }) } };
}

/** Remembers a key; false if it was used before. */
export function insertKey(tx: Tx, { key, at, fingerprint, answer }: Placement): boolean {
  const { status, orderId, body } = answer;
  const inserted = tx.run(
    `INSERT INTO order_key (key, at, fingerprint, status, order_id, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    keyOf(key),
    at,
    fingerprint,
    status,
    orderId ?? null,
    body,
  );
  return inserted === 1;
}

/** Forgets up to `limit` keys that were used before `until`: the first rows, as far as they are that old. */
export function sweepKeys(tx: Tx, until: Instant, limit: number): number {
  const rows = tx.all<{ row: number; at: Instant }>('SELECT row, at FROM order_key ORDER BY row LIMIT ?', limit);
  const firstKept = rows.find(({ at }) => at >= until)?.row ?? Number.MAX_SAFE_INTEGER;
  const last = rows.findLast(({ row }) => row < firstKept);
  return last === undefined ? 0 : tx.run('DELETE FROM order_key WHERE row <= ?', last.row);
}

/** Forgets up to `limit` orders that were placed before `until` and are over. */
export function sweepOrders(tx: Tx, until: Instant, limit: number): number {
  return tx.run(
    `DELETE FROM shop_order WHERE id IN (
       SELECT id FROM shop_order WHERE id < ? AND state NOT IN ('Placed', 'Cancelling', 'Held') ORDER BY id LIMIT ?)`,
    firstOrderIdAt(until),
    limit,
  );
}
