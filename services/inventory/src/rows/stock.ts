import type { Instant, Reader, Tx } from '@mercato/kit';
import type { Quantity, Sku, WarehouseId } from '../domain/names.ts';
import { apply, available, empty, type Level, type MovementType, NegativeStock, shortage } from '../domain/stock.ts';

interface LevelRow {
  on_hand: number;
  reserved: number;
  committed: number;
}

const toLevel = (row: LevelRow): Level => ({ onHand: row.on_hand, reserved: row.reserved, committed: row.committed });

/** The level of one SKU in one warehouse; undefined when it never was there. */
export function levelOf(reader: Reader, warehouse: WarehouseId, sku: Sku): Level | undefined {
  const row = reader.get<LevelRow>(
    'SELECT on_hand, reserved, committed FROM stock WHERE sku = ? AND warehouse = ?',
    sku,
    warehouse,
  );
  return row === undefined ? undefined : toLevel(row);
}

/**
 * Makes one movement: counters and log in the transaction at hand. The only way that a counter changes (but for a repair). A movement that
 * promises goods is refused when they are not free, whatever the caller read before.
 * Returns the movement's number, and the level before and after it.
 * @throws NegativeStock when a counter, or what is free, would become negative; then nothing is written.
 */
export function move(
  tx: Tx,
  type: MovementType,
  { warehouse, sku, quantity }: Movement,
  reference: string,
  at: Instant,
): { movement: number; before: Level; after: Level } {
  const known = levelOf(tx, warehouse, sku);
  const before = known ?? empty;
  const after = apply(before, type, quantity);
  if (type === 'reserved' && available(before, 0) < quantity) {
    throw new NegativeStock(`${quantity} of ${sku} are not free in ${warehouse}`);
  }
  if (known === undefined) {
    tx.run('INSERT INTO stock VALUES (?, ?, ?, ?, ?)', sku, warehouse, after.onHand, after.reserved, after.committed);
  } else {
    tx.run(
      'UPDATE stock SET on_hand = ?, reserved = ?, committed = ? WHERE sku = ? AND warehouse = ?',
      after.onHand,
      after.reserved,
      after.committed,
      sku,
      warehouse,
    );
  }
  const { id } = tx.get<{ id: number }>(
    'INSERT INTO movement (at, warehouse, sku, type, quantity, reference) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
    at,
    warehouse,
    sku,
    type,
    quantity,
    reference,
  )!;
  return { movement: id, before, after };
}

/** What moves. Only what is adjusted can be negative. */
export interface Movement {
  readonly warehouse: WarehouseId;
  readonly sku: Sku;
  readonly quantity: number;
}

/** One SKU in one warehouse, as it is shown. */
export interface StockLine {
  readonly sku: Sku;
  readonly onHand: Quantity;
  readonly reserved: Quantity;
  readonly committed: Quantity;
  readonly safetyStock: Quantity;
  readonly reorderPoint: Quantity;
  readonly available: Quantity;
  /** Promised and not there. */
  readonly shortage: Quantity;
}

interface StockRow extends LevelRow {
  sku: string;
  safety_stock: number;
  reorder_point: number;
}

/** A warehouse's SKUs after `cursor`, in their order. `reorderPoint` counts where the SKU has none of its own. */
export function stockLines(
  reader: Reader,
  warehouse: WarehouseId,
  cursor: string,
  limit: number,
  reorderPoint?: number,
): StockLine[] {
  return reader
    .all<StockRow>(
      `SELECT s.sku, s.on_hand, s.reserved, s.committed, coalesce(p.safety_stock, w.safety_stock) AS safety_stock,
         coalesce(p.reorder_point, ?, w.reorder_point) AS reorder_point
       FROM stock s JOIN warehouse w ON w.id = s.warehouse LEFT JOIN sku_policy p ON p.warehouse = s.warehouse AND p.sku = s.sku
       WHERE s.warehouse = ? AND s.sku > ? ORDER BY s.sku LIMIT ?`,
      reorderPoint ?? null,
      warehouse,
      cursor,
      limit,
    )
    .map((row) => {
      const level = toLevel(row);
      return {
        sku: row.sku as Sku,
        onHand: level.onHand as Quantity,
        reserved: level.reserved as Quantity,
        committed: level.committed as Quantity,
        safetyStock: row.safety_stock as Quantity,
        reorderPoint: row.reorder_point as Quantity,
        available: available(level, row.safety_stock) as Quantity,
        shortage: shortage(level) as Quantity,
      };
    });
}
