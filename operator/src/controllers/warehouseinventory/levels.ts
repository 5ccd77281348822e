import type { RestockOrder } from '../../api/restockorder.ts';
import type { StockLine } from '../../inventory/port.ts';
import { phaseOf } from '../restockorder/resource.ts';
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
  /** Asked for, and rejected or cancelled by a person not long ago. */
  readonly declined: number;
  readonly policy: SkuPolicy;
}

/** A person's no stands for so long, or until its RestockOrder is deleted: proposed again at once, it would not be worth saying. */
export const DECLINED_MILLIS = 86_400_000;

/** Units of each SKU that restock orders bring, or would have brought. */
export interface Expected {
  /** Approved or further, and not received. */
  readonly incoming: ReadonlyMap<string, number>;
  readonly proposed: ReadonlyMap<string, number>;
  /** Rejected or cancelled within {@link DECLINED_MILLIS}. */
  readonly declined: ReadonlyMap<string, number>;
}

/**
 * What the orders of a warehouse bring. To be taken *before* stock is read: goods that come in between then count twice for a moment, and
 * nothing is ordered too much; the other way round they would not count at all, and would be ordered again.
 */
export function expectedOf(orders: readonly RestockOrder[], wallMillis: number): Expected {
  const expected = {
    incoming: new Map<string, number>(),
    proposed: new Map<string, number>(),
    declined: new Map<string, number>(),
  };
  for (const order of orders) {
    const share = shareOf(order, wallMillis);
    if (share === undefined) continue;
    const received = new Map(order.status?.received?.map(({ sku, quantity }) => [sku, quantity]));
    for (const { sku, quantity } of order.spec.lines) {
      const open = Math.max(0, quantity - (received.get(sku) ?? 0));
      expected[share].set(sku, (expected[share].get(sku) ?? 0) + open);
    }
  }
  return expected;
}

/** What an order counts as; undefined when it does not count any more. */
export function shareOf(order: RestockOrder, wallMillis: number): keyof Expected | undefined {
  switch (phaseOf(order)) {
    case 'Proposed':
      return 'proposed';
    case 'Approved':
    case 'Ordered':
    case 'InTransit':
      return 'incoming';
    case 'Rejected':
    case 'Cancelled':
      return Date.parse(order.status?.finishedAt ?? '') + DECLINED_MILLIS > wallMillis ? 'declined' : undefined;
    case 'Received':
      return undefined;
  }
}

/** The level of each SKU that inventory has, or ever had, in the warehouse. */
export function levelsOf(
  lines: readonly StockLine[],
  policyOf: (sku: string) => SkuPolicy,
  { incoming, proposed, declined }: Expected,
): Level[] {
  return lines.map(({ sku, onHand, reserved, committed, available }) => {
    const policy = policyOf(sku);
    return {
      sku,
      available,
      free: onHand - reserved - committed - policy.safetyStock,
      incoming: incoming.get(sku) ?? 0,
      proposed: proposed.get(sku) ?? 0,
      declined: declined.get(sku) ?? 0,
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
