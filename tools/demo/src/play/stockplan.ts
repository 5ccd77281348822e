import type { PlannedOrder } from './order.ts';
import { unitHash } from './random.ts';

/** Goods that are brought in before the day begins, under an id that inventory remembers for ever. */
export interface OpeningStock {
  readonly adjustmentId: string;
  readonly warehouse: string;
  readonly sku: string;
  readonly quantity: number;
}

/** A warehouse that gets goods. */
export interface StockedWarehouse {
  readonly id: string;
  /** Its part of the stock, beside those of the others. */
  readonly share: number;
  /** What its policy keeps back of each SKU: it gets so much more. @default 0 */
  readonly safetyStock?: number;
}

/** How the opening stock is spread and how scarce it is. */
export interface StockPlan {
  readonly warehouses: readonly StockedWarehouse[];
  /** Share of the SKUs of which there is not enough, from 0 to 1. @default 0.04 */
  readonly scarce?: number;
}

/** Of a scarce SKU there is so much of what is ordered. */
const SCARCE_PART = 0.6;
/** Of every other there is so much more than is ordered. */
const SPARE_PART = 1.1;

/**
 * The opening stock for a day of orders: a little more of each SKU than is ordered, and of a few deliberately too little, so that
 * some orders find nothing left. Which ones are scarce follows from the seed. Pure.
 */
export function openingStock(seed: string, orders: readonly PlannedOrder[], plan: StockPlan): OpeningStock[] {
  const demand = new Map<string, number>();
  for (const { input } of orders)
    for (const { sku, quantity } of input.lines) demand.set(sku, (demand.get(sku) ?? 0) + quantity);
  return [...demand].flatMap(([sku, ordered]) => {
    const isScarce = unitHash(`${seed}\nscarce\n${sku}`) < (plan.scarce ?? 0.04);
    return spread(sku, Math.ceil(ordered * (isScarce ? SCARCE_PART : SPARE_PART)), plan);
  });
}

/** Shares a quantity out, the last warehouse taking what rounding leaves. */
function spread(sku: string, quantity: number, { warehouses }: StockPlan): OpeningStock[] {
  const shares = warehouses.reduce((sum, { share }) => sum + share, 0);
  let left = quantity;
  return warehouses.flatMap(({ id, share, safetyStock = 0 }, i) => {
    const part = i === warehouses.length - 1 ? left : Math.min(left, Math.round((quantity * share) / shares));
    left -= part;
    const adjustmentId = `opening.${id}.${sku.replaceAll(' ', '_')}`;
    return part === 0 ? [] : [{ adjustmentId, warehouse: id, sku, quantity: part + safetyStock }];
  });
}
