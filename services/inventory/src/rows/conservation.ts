import type { Instant, Reader, Tx } from '@mercato/kit';
import { effects, type Level, type MovementType } from '../domain/stock.ts';

/** A counter that is not what the movements say. */
export interface Difference {
  readonly warehouse: string;
  readonly sku: string;
  readonly counter: keyof Level;
  readonly stored: number;
  readonly recomputed: number;
}

/** A sum over open reservations that is not what the counters say. */
export interface ReservationDifference {
  readonly warehouse: string;
  readonly sku: string;
  readonly counter: 'reserved' | 'committed';
  readonly stored: number;
  readonly held: number;
}

export interface Conservation {
  /** No differences of either sort, and received + adjusted + returned = on hand + shipped. */
  readonly balanced: boolean;
  /** SKUs times warehouses that were looked at. */
  readonly levels: number;
  readonly movements: number;
  /** Sums over all, of movements and of counters. */
  readonly totals: Readonly<Record<MovementType | keyof Level, number>>;
  readonly differences: readonly Difference[];
  readonly reservations: readonly ReservationDifference[];
}

/** The sum of a counter over the movements at hand, from the one table that says what a movement does. */
const recomputed = (counter: keyof Level): string => {
  const cases = Object.entries(effects)
    .filter(([, effect]) => effect[counter] !== 0)
    .map(([type, effect]) => `WHEN '${type}' THEN ${effect[counter]} * quantity`);
  return `coalesce(sum(CASE type ${cases.join(' ')} ELSE 0 END), 0)`;
};

const fromMovements = `SELECT warehouse, sku, ${recomputed('onHand')} AS on_hand, ${recomputed('reserved')} AS reserved,
  ${recomputed('committed')} AS committed FROM movement GROUP BY warehouse, sku`;

interface Row {
  warehouse: string;
  sku: string;
  on_hand: number;
  reserved: number;
  committed: number;
  m_on_hand: number;
  m_reserved: number;
  m_committed: number;
}

function compare(reader: Reader): Row[] {
  return reader.all<Row>(
    `SELECT coalesce(s.warehouse, m.warehouse) AS warehouse, coalesce(s.sku, m.sku) AS sku,
       coalesce(s.on_hand, 0) AS on_hand, coalesce(s.reserved, 0) AS reserved, coalesce(s.committed, 0) AS committed,
       coalesce(m.on_hand, 0) AS m_on_hand, coalesce(m.reserved, 0) AS m_reserved, coalesce(m.committed, 0) AS m_committed
     FROM stock s FULL JOIN (${fromMovements}) m ON m.warehouse = s.warehouse AND m.sku = s.sku ORDER BY 1, 2`,
  );
}

function differencesOf(row: Row): Difference[] {
  const pairs: [keyof Level, number, number][] = [
    ['onHand', row.on_hand, row.m_on_hand],
    ['reserved', row.reserved, row.m_reserved],
    ['committed', row.committed, row.m_committed],
  ];
  return pairs
    .filter(([, stored, recomputed]) => stored !== recomputed)
    .map(([counter, stored, recomputed]) => ({ warehouse: row.warehouse, sku: row.sku, counter, stored, recomputed }));
}

/** Compares counters with movements, and with what open reservations hold. Changes nothing. Reads the whole log: not for the hot path. */
export function checkConservation(reader: Reader): Conservation {
  const rows = compare(reader);
  const differences = rows.flatMap(differencesOf);
  const sums = reader.all<{ type: MovementType; quantity: number; count: number }>(
    'SELECT type, sum(quantity) AS quantity, count(*) AS count FROM movement GROUP BY type',
  );
  const byType = Object.fromEntries(Object.keys(effects).map((type) => [type, 0])) as Record<MovementType, number>;
  for (const { type, quantity } of sums) byType[type] = quantity;
  const total = (of: (row: Row) => number) => rows.reduce((sum, row) => sum + of(row), 0);
  const totals = {
    ...byType,
    onHand: total((row) => row.on_hand),
    reserved: total((row) => row.reserved),
    committed: total((row) => row.committed),
  };
  const reservations = compareReservations(reader);
  const conserved = byType.received + byType.adjusted + byType.returned === totals.onHand + byType.shipped;
  return {
    balanced: differences.length === 0 && reservations.length === 0 && conserved,
    levels: rows.length,
    movements: sums.reduce((sum, { count }) => sum + count, 0),
    totals,
    differences,
    reservations,
  };
}

function compareReservations(reader: Reader): ReservationDifference[] {
  return (['reserved', 'committed'] as const).flatMap((counter) =>
    reader
      .all<{ warehouse: string; sku: string; stored: number; held: number }>(
        `SELECT coalesce(s.warehouse, h.warehouse) AS warehouse, coalesce(s.sku, h.sku) AS sku, coalesce(s.${counter}, 0) AS stored,
           coalesce(h.held, 0) AS held
         FROM stock s FULL JOIN (
           SELECT l.warehouse, l.sku, sum(l.quantity) AS held FROM reservation r JOIN reservation_line l ON l.reservation = r.id
           WHERE r.state = '${counter}' GROUP BY l.warehouse, l.sku
         ) h ON h.warehouse = s.warehouse AND h.sku = s.sku
         WHERE coalesce(s.${counter}, 0) <> coalesce(h.held, 0) ORDER BY 1, 2`,
      )
      .map((row) => ({ ...row, counter })),
  );
}

/**
 * Sets counters that drifted back to what the movements say, and keeps a record of each. Movements are the truth: they are append-only and
 * written with every change. A level whose movements sum up to less than nothing is left alone, and stays reported.
 * Returns what was set right.
 */
export function repairDrift(tx: Tx, by: string, now: Instant): Difference[] {
  const repaired: Difference[] = [];
  for (const row of compare(tx)) {
    const differences = differencesOf(row);
    if (differences.length === 0 || Math.min(row.m_on_hand, row.m_reserved, row.m_committed) < 0) continue;
    tx.run(
      `INSERT INTO stock VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved, committed = excluded.committed`,
      row.sku,
      row.warehouse,
      row.m_on_hand,
      row.m_reserved,
      row.m_committed,
    );
    const level = (onHand: number, reserved: number, committed: number) =>
      JSON.stringify({ onHand, reserved, committed });
    tx.run(
      'INSERT INTO repair (at, by, warehouse, sku, before, after) VALUES (?, ?, ?, ?, ?, ?)',
      now,
      by,
      row.warehouse,
      row.sku,
      level(row.on_hand, row.reserved, row.committed),
      level(row.m_on_hand, row.m_reserved, row.m_committed),
    );
    repaired.push(...differences);
  }
  return repaired;
}
