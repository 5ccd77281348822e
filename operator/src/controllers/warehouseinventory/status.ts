import { clip } from '../../api/clip.ts';
import { type Condition, findCondition, type Observation, setCondition } from '../../api/conditions.ts';
import type { RestockOrder } from '../../api/restockorder.ts';
import type { StockLevel, WarehouseInventory, WarehouseInventoryStatus } from '../../api/warehouseinventory.ts';
import type { StockTotals } from '../../inventory/port.ts';
import { isOpen, phaseOf } from '../restockorder/resource.ts';
import { isLow, isOut, type Level, shortestFirst } from './levels.ts';

/** How many SKUs a status names before it only counts. */
const TOP = 20;

/** What was seen when a warehouse was looked at. */
export interface Seen {
  readonly seen: true;
  readonly totals: StockTotals;
  readonly levels: readonly Level[];
  /** Units ordered and not received, also of SKUs that were never here. */
  readonly incoming: number;
  /** Of this warehouse, those just proposed among them. */
  readonly orders: readonly RestockOrder[];
}

/** Why nothing was seen. */
export interface Unseen {
  readonly seen: false;
  /** `False`: something in the objects has to be put right. `Unknown`: inventory did not answer, and may any moment. */
  readonly ready: 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** What came of looking at a warehouse. */
export type Look = Seen | Unseen;

/** The status after a look. What an earlier look saw stays when this one saw nothing: old numbers beside `Ready` not being True tell more than none. */
export function statusOf(warehouse: WarehouseInventory, look: Look, now: string): WarehouseInventoryStatus {
  return look.seen ? seen(warehouse, look, now) : unseen(warehouse, look, now);
}

function unseen(
  warehouse: WarehouseInventory,
  { ready, reason, message }: Unseen,
  now: string,
): WarehouseInventoryStatus {
  const { generation = 0 } = warehouse.metadata;
  let conditions = observe(warehouse, generation, now, [{ type: 'Ready', status: ready, reason, message }]);
  if (findCondition(conditions, 'StockLow')?.status !== 'True') {
    const unknown = { status: 'Unknown', reason, message: 'the stock could not be read' } as const;
    conditions = setCondition(conditions, { type: 'StockLow', observedGeneration: generation, ...unknown }, now);
  }
  const next = ready === 'Unknown' ? 'it is asked again every 10 s' : 'nothing happens until this is put right';
  return {
    ...warehouse.status,
    observedGeneration: generation,
    phase: 'NotReady',
    conditions: [...conditions],
    nextAction: clip(`${next}: ${message}`, 256),
  };
}

function seen(
  warehouse: WarehouseInventory,
  { totals, levels, incoming, orders }: Seen,
  now: string,
): WarehouseInventoryStatus {
  const { generation = 0 } = warehouse.metadata;
  const low = levels.filter(isLow).sort(shortestFirst);
  const out = levels.filter(isOut).sort(shortestFirst);
  const { skus, onHand, reserved, committed, available } = totals;
  const conditions = observe(warehouse, generation, now, [
    {
      type: 'Ready',
      status: 'True',
      reason: 'InventoryAnswers',
      message: 'it is registered with inventory, which says what it has',
    },
    stockLow(low, out),
  ]);
  return {
    observedGeneration: generation,
    phase: low.length > 0 ? 'StockLow' : 'Ready',
    conditions: [...conditions],
    totals: { skus, onHand, reserved, committed, available, incoming },
    low: low.slice(0, TOP).map(shown),
    lowCount: low.length,
    out: out.slice(0, TOP).map(shown),
    outCount: out.length,
    nextAction: narrate(low, orders),
  };
}

function stockLow(low: readonly Level[], out: readonly Level[]): Omit<Observation, 'observedGeneration'> {
  if (low.length === 0) {
    return {
      type: 'StockLow',
      status: 'False',
      reason: 'StockSufficient',
      message: 'every SKU that is to be kept in stock is above its reorder point',
    };
  }
  const names = low.slice(0, 3).map(({ sku }) => sku);
  const more = low.length > names.length ? ` and ${low.length - names.length} more` : '';
  const gone = out.filter(isLow).length;
  return {
    type: 'StockLow',
    status: 'True',
    reason: gone > 0 ? 'OutOfStock' : 'BelowReorderPoint',
    message: `at or below the reorder point: ${names.join(', ')}${more}${gone > 0 ? `; of ${gone} nothing is available` : ''}`,
  };
}

function shown({ sku, available, incoming, policy }: Level): StockLevel {
  return { sku, available, incoming, reorderPoint: policy.reorderPoint };
}

function narrate(low: readonly Level[], orders: readonly RestockOrder[]): string {
  const waiting = orders.filter((order) => isOpen(order) && phaseOf(order) === 'Proposed').map(nameOf);
  if (waiting.length > 0) {
    const which = waiting.length === 1 ? `RestockOrder ${waiting[0]} waits` : `${waiting.length} RestockOrders wait`;
    return `${which} for approval: kubectl get rso`;
  }
  const expected = orders
    .filter(isOpen)
    .flatMap(({ status }) => status?.expectedAt ?? [])
    .sort()[0];
  if (expected !== undefined) return `goods are expected at ${expected}`;
  if (orders.some(isOpen)) return 'goods are being ordered';
  const declined = low.filter(isDeclined).length;
  if (declined > 0) {
    return `${declined} low SKUs are proposed again a day after their RestockOrder was rejected or cancelled: delete it to have it sooner`;
  }
  const unordered = low.filter(({ policy }) => policy.reorderUpTo === 0 || policy.supplier === undefined).length;
  if (unordered > 0) {
    return `${unordered} low SKUs have no reorderUpTo and are not ordered: create a RestockOrder, or set reorderUpTo and supplier`;
  }
  return 'goods are ordered when a SKU falls to its reorder point';
}

function isDeclined({ declined }: Level): boolean {
  return declined > 0;
}

function nameOf({ metadata }: RestockOrder): string {
  return metadata.name;
}

function observe(
  warehouse: WarehouseInventory,
  observedGeneration: number,
  now: string,
  observations: readonly Omit<Observation, 'observedGeneration'>[],
): readonly Condition[] {
  return observations.reduce<readonly Condition[]>(
    (list, observation) => setCondition(list, { observedGeneration, ...observation }, now),
    warehouse.status?.conditions ?? [],
  );
}
