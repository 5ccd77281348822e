import type { Reader, Tx } from '@mercato/kit';
import type { Line, Sku, WarehouseId } from '../domain/names.ts';
import type { Location, Offer } from '../domain/sourcing.ts';
import { available, empty } from '../domain/stock.ts';
import { levelsOf } from './stock.ts';

/** What applies to all SKUs of a warehouse that have nothing of their own. */
export interface Policy {
  readonly safetyStock: number;
  readonly reorderPoint: number;
}

export interface Warehouse {
  readonly id: WarehouseId;
  readonly location: Location;
  /** The lowest is preferred. */
  readonly priority: number;
  readonly policy: Policy;
  readonly overrides: readonly ({ readonly sku: Sku } & { readonly [Name in keyof Policy]?: number | undefined })[];
}

/** Writes a warehouse as it is to be; its stock is not touched. */
export function saveWarehouse(tx: Tx, { id, location, priority, policy, overrides }: Warehouse): void {
  tx.run(
    `INSERT INTO warehouse VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET country = excluded.country, lat = excluded.lat, lon = excluded.lon, priority = excluded.priority,
       safety_stock = excluded.safety_stock, reorder_point = excluded.reorder_point`,
    id,
    location.country,
    location.lat ?? null,
    location.lon ?? null,
    priority,
    policy.safetyStock,
    policy.reorderPoint,
  );
  tx.run('DELETE FROM sku_policy WHERE warehouse = ?', id);
  for (const { sku, safetyStock, reorderPoint } of overrides) {
    tx.run('INSERT INTO sku_policy VALUES (?, ?, ?, ?)', id, sku, safetyStock ?? null, reorderPoint ?? null);
  }
}

interface WarehouseRow {
  id: string;
  country: string;
  lat: number | null;
  lon: number | null;
  priority: number;
  safety_stock: number;
  reorder_point: number;
}

const toLocation = (row: Pick<WarehouseRow, 'country' | 'lat' | 'lon'>): Location => ({
  country: row.country,
  ...(row.lat === null || row.lon === null ? {} : { lat: row.lat, lon: row.lon }),
});

export function loadWarehouse(reader: Reader, id: WarehouseId): Warehouse | undefined {
  const row = reader.get<WarehouseRow>('SELECT * FROM warehouse WHERE id = ?', id);
  if (row === undefined) return undefined;
  const overrides = reader.all<{ sku: string; safety_stock: number | null; reorder_point: number | null }>(
    'SELECT sku, safety_stock, reorder_point FROM sku_policy WHERE warehouse = ? ORDER BY sku',
    id,
  );
  return {
    id,
    location: toLocation(row),
    priority: row.priority,
    policy: { safetyStock: row.safety_stock, reorderPoint: row.reorder_point },
    overrides: overrides.map((override) => ({
      sku: override.sku as Sku,
      ...(override.safety_stock === null ? {} : { safetyStock: override.safety_stock }),
      ...(override.reorder_point === null ? {} : { reorderPoint: override.reorder_point }),
    })),
  };
}

/** All warehouses, by id. */
export const warehouseIds = (reader: Reader): WarehouseId[] =>
  reader.all<{ id: WarehouseId }>('SELECT id FROM warehouse ORDER BY id').map(({ id }) => id);

/** What each warehouse can give of the wanted SKUs, and which of them no warehouse has ever had. */
export function loadOffers(tx: Tx, wanted: readonly Line[]): { offers: Offer[]; unknown: Sku[] } {
  const offers = new Map<
    string,
    { warehouse: WarehouseId; priority: number; location: Location; available: Map<Sku, number> }
  >();
  const unknown: Sku[] = [];
  const levels = levelsOf(tx);
  for (const { sku } of wanted) {
    const rows = tx.all<WarehouseRow>(
      `SELECT w.id, w.country, w.lat, w.lon, w.priority, w.reorder_point, coalesce(p.safety_stock, w.safety_stock) AS safety_stock
       FROM stock s JOIN warehouse w ON w.id = s.warehouse LEFT JOIN sku_policy p ON p.warehouse = s.warehouse AND p.sku = s.sku
       WHERE s.sku = ? ORDER BY s.warehouse`,
      sku,
    );
    if (rows.length === 0) unknown.push(sku);
    for (const row of rows) {
      let offer = offers.get(row.id);
      if (offer === undefined) {
        offer = {
          warehouse: row.id as WarehouseId,
          priority: row.priority,
          location: toLocation(row),
          available: new Map(),
        };
        offers.set(row.id, offer);
      }
      offer.available.set(sku, available(levels.at(row.id as WarehouseId, sku) ?? empty, row.safety_stock));
    }
  }
  return { offers: [...offers.values()], unknown };
}
