import type { RestockOrderSpec } from '../../api/restockorder.ts';
import { MAX_STOCK } from '../../api/warehouseinventory.ts';
import type { Level } from './levels.ts';

/** At most so many lines in one RestockOrder, as its schema has it. */
export const MAX_LINES = 100;

/** At most one RestockOrder (of up to {@link MAX_LINES} lines) is proposed for a warehouse and supplier in this time; see {@link orderName}. */
export const SLOT_MILLIS = 60_000;

/** A RestockOrder to be made. */
export interface Proposal {
  readonly name: string;
  readonly spec: Pick<RestockOrderSpec, 'warehouse' | 'supplier' | 'lines' | 'leadTime'>;
}

/**
 * How many units of a SKU to ask for: none while what is free and what was asked for exceed the reorder point, otherwise as many as bring both
 * to the reorder-up-to level exactly. (The order-point, order-up-to-level policy, known as (s, S).) What a person declined counts as asked for.
 */
export function quantityOf({ free, incoming, proposed, declined, policy }: Level): number {
  const position = free + incoming + proposed + declined;
  if (policy.reorderUpTo === 0 || policy.supplier === undefined || position > policy.reorderPoint) return 0;
  return Math.min(MAX_STOCK, policy.reorderUpTo - position);
}

/** The RestockOrders that bring every SKU up to its level: one for each supplier and lead time, lines by SKU, 100 lines at most in each. */
export function proposalsFor(warehouse: string, levels: readonly Level[], wallMillis: number): Proposal[] {
  const wanted = levels
    .flatMap((level) => {
      const { supplier, leadTime } = level.policy;
      const quantity = quantityOf(level);
      return quantity > 0 && supplier !== undefined ? [{ sku: level.sku, quantity, supplier, leadTime }] : [];
    })
    .sort((a, b) => (a.sku < b.sku ? -1 : 1));
  return [...Map.groupBy(wanted, ({ supplier }) => supplier)].flatMap(([supplier, goods]) =>
    [...Map.groupBy(goods, ({ leadTime }) => leadTime)]
      .flatMap(([leadTime, lines]) => chunks(lines).map((chunk) => ({ leadTime, lines: chunk })))
      .map(({ leadTime, lines }, index) => ({
        name: orderName(warehouse, supplier, wallMillis, index),
        spec: {
          warehouse,
          supplier,
          leadTime,
          lines: lines.map(({ sku, quantity }) => ({ sku, quantity })),
        },
      })),
  );
}

/**
 * The name of a proposal: warehouse, supplier, and the minute. Two proposals for the same need have the same name, so that the second is
 * refused by the API server, whoever makes it: a process that crashed after the create and begins anew, one whose cache is behind, or a former
 * leader that has not noticed. And a name is never used for other goods later, because receipts are booked once for ever under it.
 *
 * @param index which one of those made together for the supplier
 */
export function orderName(warehouse: string, supplier: string, wallMillis: number, index: number): string {
  const minute = new Date(Math.floor(wallMillis / SLOT_MILLIS) * SLOT_MILLIS).toISOString();
  const [date, time] = [minute.slice(0, 10).replaceAll('-', ''), minute.slice(11, 16).replace(':', '')];
  return `${warehouse}-${supplier}-${date}-${time}${index === 0 ? '' : `-${index + 1}`}`;
}

function chunks<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / MAX_LINES) }, (_, index) =>
    items.slice(index * MAX_LINES, (index + 1) * MAX_LINES),
  );
}
