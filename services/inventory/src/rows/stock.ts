import type { Gathered, Instant, Reader, Shared, Tx } from '@mercato/kit';
import { type Movement, RunningLevels } from '../domain/levels.ts';
import type { Quantity, Sku, WarehouseId } from '../domain/names.ts';
import { available, type Level, type MovementType, shortage } from '../domain/stock.ts';

interface LevelRow {
  on_hand: number;
  reserved: number;
  committed: number;
}

const toLevel = (row: LevelRow): Level => ({ onHand: row.on_hand, reserved: row.reserved, committed: row.committed });

const readLevel = (reader: Reader, warehouse: WarehouseId, sku: Sku): Level | undefined => {
  const row = reader.get<LevelRow>(
    'SELECT on_hand, reserved, committed FROM stock WHERE sku = ? AND warehouse = ?',
    sku,
    warehouse,
  );
  return row === undefined ? undefined : toLevel(row);
};

/** The stock rows of one commit: written at its end, one write for each, in one order. */
class StockRows implements Shared {
  readonly levels: RunningLevels;

  constructor(tx: Tx) {
    this.levels = new RunningLevels((warehouse, sku) => readLevel(tx, warehouse, sku));
  }

  keep(): void {
    this.levels.keep();
  }

  undo(): void {
    this.levels.undo();
  }

  flush(tx: Tx): Gathered {
    const changes = this.levels.changes();
    for (const { sku, warehouse, after } of changes) {
      tx.run(
        `INSERT INTO stock VALUES (?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET on_hand = excluded.on_hand, reserved = excluded.reserved, committed = excluded.committed`,
        sku,
        warehouse,
        after.onHand,
        after.reserved,
        after.committed,
      );
    }
    return { of: 'stock', changes: this.levels.movements, rows: changes.length };
  }
}

const stockRows = (tx: Tx): StockRows => new StockRows(tx);

/**
 * The levels as the operation at hand sees them. Within a transaction, nothing else says how much is there: the table is behind until the commit's
 * end, except for which rows there are.
 */
export const levelsOf = (tx: Tx): RunningLevels => tx.shared(stockRows).levels;

/** The level of one SKU in one warehouse; undefined when it never was there. */
export const levelOf = (tx: Tx, warehouse: WarehouseId, sku: Sku): Level | undefined => levelsOf(tx).at(warehouse, sku);

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
  if (levelOf(tx, warehouse, sku) === undefined) insertRow(tx, warehouse, sku);
  const { before, after } = levelsOf(tx).move(type, { warehouse, sku, quantity });
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

/** Sets a level without a movement: for a repair, and for nothing else. */
export function setLevel(tx: Tx, warehouse: WarehouseId, sku: Sku, level: Level): void {
  if (levelOf(tx, warehouse, sku) === undefined) insertRow(tx, warehouse, sku);
  levelsOf(tx).set(warehouse, sku, level);
}

/** A row is there from its first movement on, so that whoever looks for what there is finds it, also within the same commit. */
function insertRow(tx: Tx, warehouse: WarehouseId, sku: Sku): void {
  tx.run('INSERT INTO stock (sku, warehouse) VALUES (?, ?)', sku, warehouse);
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
