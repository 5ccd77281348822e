import { ProblemError, type Reader, type Route, route } from '@mercato/kit';
import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';
import { SkuSchema, WarehouseSchema } from '../commands/schemas.ts';
import type { Sku, WarehouseId } from '../domain/names.ts';
import { type StockLine, stockLines } from '../rows/stock.ts';
import { loadWarehouse, saveWarehouse, type Warehouse, warehouseIds } from '../rows/warehouses.ts';
import type { AdminPorts } from './ports.ts';

const units = Type.Integer({ minimum: 0, maximum: 1_000_000_000 });

const WarehouseBody = Type.Object({
  location: Type.Object({
    country: Type.String({ pattern: '^[A-Z]{2}$' }),
    lat: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
    lon: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
  }),
  priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000, default: 100 })),
  policy: Type.Optional(Type.Object({ safetyStock: Type.Optional(units), reorderPoint: Type.Optional(units) })),
  overrides: Type.Optional(
    Type.Array(Type.Object({ sku: SkuSchema, safetyStock: Type.Optional(units), reorderPoint: Type.Optional(units) }), {
      maxItems: 500,
    }),
  ),
});

const StockLineSchema = Type.Object({
  sku: Type.String(),
  onHand: units,
  reserved: units,
  committed: units,
  safetyStock: units,
  reorderPoint: units,
  available: units,
  shortage: units,
});
const TotalsSchema = Type.Object({
  skus: units,
  onHand: units,
  reserved: units,
  committed: units,
  available: units,
  shortage: units,
});

/** The warehouse, or the problem that says that there is none. */
export function knownWarehouse(reader: Reader, id: string): Warehouse {
  const found = loadWarehouse(reader, id as WarehouseId);
  if (found === undefined)
    throw new ProblemError(404, 'UnknownWarehouse', `there is no warehouse ${id}: PUT /warehouses/${id} first`);
  return found;
}

function totalsOf(lines: readonly StockLine[]) {
  const sum = (of: (line: StockLine) => number) => lines.reduce((total, line) => total + of(line), 0);
  return {
    skus: lines.length,
    onHand: sum((line) => line.onHand),
    reserved: sum((line) => line.reserved),
    committed: sum((line) => line.committed),
    available: sum((line) => line.available),
    shortage: sum((line) => line.shortage),
  };
}

const all = Number.MAX_SAFE_INTEGER;

/** Warehouses: what the operator's WarehouseInventory controller writes and reads. */
export const warehouseRoutes = ({ store }: AdminPorts): Route[] => [
  route({
    method: 'get',
    path: '/warehouses',
    summary: 'Lists the ids of all warehouses',
    response: Type.Object({ items: Type.Array(Type.String()) }),
    handle: () => store.read((reader) => ({ items: warehouseIds(reader) })),
  }),
  route({
    method: 'put',
    path: '/warehouses/{id}',
    summary: 'Writes a warehouse as it is to be. Repeating it changes nothing; stock is not touched.',
    body: WarehouseBody,
    response: WarehouseBody,
    handle({ params, body }) {
      const id = params['id']!;
      if (!Value.Check(WarehouseSchema, id)) {
        throw new ProblemError(
          400,
          'BadRequest',
          `"${id}" is no warehouse: use a lower-case DNS label of at most 40 characters`,
        );
      }
      const overrides = body.overrides ?? [];
      if (new Set(overrides.map(({ sku }) => sku)).size < overrides.length) {
        throw new ProblemError(400, 'BadRequest', 'two overrides have the same sku: keep one');
      }
      const { country, lat, lon } = body.location;
      const warehouse: Warehouse = {
        id: id as WarehouseId,
        location: { country, lat, lon },
        priority: body.priority ?? 100,
        policy: { safetyStock: body.policy?.safetyStock ?? 0, reorderPoint: body.policy?.reorderPoint ?? 0 },
        overrides: overrides.map((override) => ({ ...override, sku: override.sku as Sku })),
      };
      return store.transact((tx) => {
        saveWarehouse(tx, warehouse);
        return loadWarehouse(tx, warehouse.id);
      });
    },
  }),
  route({
    method: 'get',
    path: '/warehouses/{id}',
    summary: 'Reads a warehouse as it was written',
    response: WarehouseBody,
    handle: ({ params }) => store.read((reader) => knownWarehouse(reader, params['id']!)),
  }),
  route({
    method: 'get',
    path: '/warehouses/{id}/stock',
    summary: 'Lists the SKUs of a warehouse in order. `next` is the cursor of what follows; absent at the end.',
    query: Type.Object({
      cursor: Type.Optional(Type.String()),
      limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000 })),
      sku: Type.Optional(Type.String()),
    }),
    response: Type.Object({
      items: Type.Array(StockLineSchema),
      totals: TotalsSchema,
      next: Type.Optional(Type.String()),
    }),
    handle: ({ params, query: { cursor = '', limit = 500, sku } }) =>
      store.read((reader) => {
        const { id } = knownWarehouse(reader, params['id']!);
        const lines = stockLines(reader, id, '', all);
        if (sku !== undefined) return { items: lines.filter((line) => line.sku === sku), totals: totalsOf(lines) };
        const items = lines.filter((line) => line.sku > cursor).slice(0, limit);
        const last = items.at(-1)?.sku;
        const more = last !== undefined && last !== lines.at(-1)?.sku;
        return { items, totals: totalsOf(lines), ...(more ? { next: last } : {}) };
      }),
  }),
  route({
    method: 'get',
    path: '/warehouses/{id}/summary',
    summary:
      'Sums of a warehouse, and its SKUs that are low (available at or below the reorder point), out, or short (promised and not there)',
    query: Type.Object({
      reorderPoint: Type.Optional(units),
      limit: Type.Optional(Type.Integer({ minimum: 0, maximum: 5000 })),
    }),
    response: Type.Object({
      warehouse: Type.String(),
      totals: TotalsSchema,
      low: Type.Array(StockLineSchema),
      lowCount: units,
      out: Type.Array(StockLineSchema),
      outCount: units,
      short: Type.Array(StockLineSchema),
      shortCount: units,
    }),
    handle: ({ params, query: { reorderPoint, limit = 20 } }) =>
      store.read((reader) => {
        const { id } = knownWarehouse(reader, params['id']!);
        const lines = stockLines(reader, id, '', all, reorderPoint);
        const shortestFirst = (a: StockLine, b: StockLine) =>
          a.available - a.reorderPoint - (b.available - b.reorderPoint);
        const low = lines.filter((line) => line.available <= line.reorderPoint).sort(shortestFirst);
        const out = lines.filter((line) => line.available === 0);
        const short = lines.filter((line) => line.shortage > 0).sort((a, b) => b.shortage - a.shortage);
        return {
          warehouse: id,
          totals: totalsOf(lines),
          low: low.slice(0, limit),
          lowCount: low.length,
          out: out.slice(0, limit),
          outCount: out.length,
          short: short.slice(0, limit),
          shortCount: short.length,
        };
      }),
  }),
];
