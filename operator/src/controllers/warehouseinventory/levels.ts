import type { RestockOrder } from '../../api/restockorder.ts';
import type { StockLine } from '../../inventory/port.ts';
import { isOpen, phaseOf } from '../restockorder/resource.ts';
import type { SkuPolicy } from './policy.ts';

/** What there is of one SKU, what comes, and what its policy asks for. Whole units. */
export interface Level {
  readonly sku: string;
  /** What can be promised; never negative. */
  readonly available: number;
  /**
   * As available, but negative by what is promised, or kept back, and is not there. What is ordered is counted from here: counted from
   * `available` the goods that come would not reach the level that was asked for.
   */
  readonly free: number;
  /** Ordered and not received. */
  readonly incoming: number;
  /** Asked for and not approved. */
  readonly proposed: number;
  readonly policy: SkuPolicy;
}

/** Units of each SKU that open restock orders still bring. */
export interface Expected {
  /** Approved or further. */
  readonly incoming: ReadonlyMap<string, number>;
  readonly proposed: ReadonlyMap<string, number>;
}

/**
 * What the open orders of a warehouse still bring. To be taken *before* stock is read: goods that come in between then count twice for a
 * moment, and nothing is ordered too much; the other way round they would not count at all, and would be ordered again.
 */
export function expectedOf(orders: readonly RestockOrder[]): Expected {
  const incoming = new Map<string, number>();
  const proposed = new Map<string, number>();
  for (const order of orders) {
    if (!isOpen(order)) continue;
    const sums = phaseOf(order) === 'Proposed' ? proposed : incoming;
    const received = new Map(order.status?.received?.map(({ sku, quantity }) => [sku, quantity]));
    for (const { sku, quantity } of order.spec.lines) {
      const open = Math.max(0, quantity - (received.get(sku) ?? 0));
      sums.set(sku, (sums.get(sku) ?? 0) + open);
    }
  }
  return { incoming, proposed };
}

/** The level of each SKU that inventory has, or ever had, in the warehouse. */
export function levelsOf(
  lines: readonly StockLine[],
  policyOf: (sku: string) => SkuPolicy,
  { incoming, proposed }: Expected,
): Level[] {
  return lines.map(({ sku, onHand, reserved, committed, available }) => {
    const policy = policyOf(sku);
    return {
      sku,
      available,
      free: onHand - reserved - committed - policy.safetyStock,
      incoming: incoming.get(sku) ?? 0,
      proposed: proposed.get(sku) ?? 0,
      policy,
    };
  });
}

/** Whether a SKU is at or below its reorder point, whatever is on its way. What is sold off is not: nobody wants more of it. */
export function isLow({ available, policy }: Level): boolean {
  return !policy.soldOff && available <= policy.reorderPoint;
}

/** Whether nothing of a SKU can be promised. */
export function isOut({ available }: Level): boolean {
  return available <= 0;
}

/** The shortest first: by how far a SKU is below its reorder point, then by name. */
export function shortestFirst(a: Level, b: Level): number {
  return a.free - a.policy.reorderPoint - (b.free - b.policy.reorderPoint) || (a.sku < b.sku ? -1 : 1);
}
