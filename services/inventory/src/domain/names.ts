import type { Brand } from '@mercato/kit';

/** What is sold, as the catalogue names it. */
export type Sku = Brand<string, 'Sku'>;
/** A warehouse: the name of its WarehouseInventory, a DNS label. */
export type WarehouseId = Brand<string, 'WarehouseId'>;
/** Goods held for one order, possibly in several warehouses. */
export type ReservationId = Brand<string, 'ReservationId'>;
/** Whole units; never negative where this type stands. */
export type Quantity = Brand<number, 'Quantity'>;

/** So much of one SKU. */
export interface Line {
  readonly sku: Sku;
  readonly quantity: Quantity;
}

/** So much of one SKU in one warehouse. */
export interface Allocation extends Line {
  readonly warehouse: WarehouseId;
}

/**
 * Sums lines of one SKU, sorted by SKU. Checked one by one, two lines of an order could each find the same last unit free (Medusa #16502);
 * and rows that are always taken in one order cannot deadlock.
 */
export function sumLines(lines: readonly Line[]): Line[] {
  const sums = new Map<Sku, number>();
  for (const { sku, quantity } of lines) sums.set(sku, (sums.get(sku) ?? 0) + quantity);
  return [...sums]
    .map(([sku, quantity]) => ({ sku, quantity: quantity as Quantity }))
    .sort((a, b) => (a.sku < b.sku ? -1 : 1));
}
