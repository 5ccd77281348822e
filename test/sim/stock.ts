import type { DatabaseSync } from 'node:sqlite';

/** Goods that are held for an order. */
export interface Reserved {
  readonly state: string;
  readonly units: number;
}

/** Goods that are held for orders, by order. */
export function openReservations(inventory: DatabaseSync): Map<string, Reserved[]> {
  const rows = inventory
    .prepare(
      `SELECT namespace || '/' || saga || '/' || order_id AS key, state, sum(quantity) AS units
       FROM reservation JOIN reservation_line ON reservation = id WHERE state IN ('reserved', 'committed') GROUP BY id`,
    )
    .all() as unknown as (Reserved & { key: string })[];
  const found = new Map<string, Reserved[]>();
  for (const row of rows) found.set(row.key, [...(found.get(row.key) ?? []), row]);
  return found;
}

/** Counters against the movements, and against the reservations that are open. */
export function stockProblems(inventory: DatabaseSync): string[] {
  const rows = inventory
    .prepare(
      `SELECT sku, warehouse, on_hand, reserved, committed,
         (SELECT coalesce(sum(CASE WHEN type IN ('received', 'adjusted', 'returned') THEN quantity WHEN type = 'shipped' THEN -quantity ELSE 0 END), 0)
            FROM movement m WHERE m.sku = s.sku AND m.warehouse = s.warehouse) AS moved,
         (SELECT coalesce(sum(quantity), 0) FROM reservation_line l JOIN reservation r ON r.id = l.reservation
            WHERE l.sku = s.sku AND l.warehouse = s.warehouse AND r.state = 'reserved') AS held,
         (SELECT coalesce(sum(quantity), 0) FROM reservation_line l JOIN reservation r ON r.id = l.reservation
            WHERE l.sku = s.sku AND l.warehouse = s.warehouse AND r.state = 'committed') AS promised
       FROM stock s`,
    )
    .all() as unknown as Record<
    'sku' | 'warehouse' | 'on_hand' | 'reserved' | 'committed' | 'moved' | 'held' | 'promised',
    never
  >[];
  const problems: string[] = [];
  for (const row of rows) {
    const where = `${row.sku} in ${row.warehouse}`;
    if (row.on_hand !== row.moved) problems.push(`${where}: ${row.on_hand} on hand, ${row.moved} by its movements`);
    if (row.reserved !== row.held) problems.push(`${where}: ${row.reserved} reserved, ${row.held} by its reservations`);
    if (row.committed !== row.promised)
      problems.push(`${where}: ${row.committed} committed, ${row.promised} by its reservations`);
    if (row.reserved + row.committed > row.on_hand) problems.push(`${where}: more is promised than is there`);
  }
  return problems;
}
