import { clip } from '../../api/clip.ts';
import { type Condition, setCondition } from '../../api/conditions.ts';
import type { StockAdjustment, StockAdjustmentStatus } from '../../api/stockadjustment.ts';
import { InventoryRefused, InventoryUnavailable, isUnknownWarehouse } from '../../inventory/errors.ts';
import type { Adjustment, AdjustmentBooked, AdjustmentType } from '../../inventory/port.ts';
import { warehouseIdOf } from '../../inventory/port.ts';

/** What came of an attempt to book an adjustment. */
export type Outcome =
  | { readonly kind: 'Applied'; readonly booked: AdjustmentBooked }
  /** Not booked, and never will be by this object. */
  | { readonly kind: 'Refused'; readonly reason: string; readonly message: string }
  /** Not booked yet, or nobody can say: it is tried again. */
  | { readonly kind: 'Pending'; readonly reason: string; readonly message: string };

const TYPES: Readonly<Record<StockAdjustment['spec']['type'], AdjustmentType>> = {
  Counted: 'counted',
  Received: 'received',
  Damaged: 'damaged',
  Lost: 'lost',
  Returned: 'returned',
};

/** An adjustment in inventory's words. */
export function adjustmentOf({ spec }: StockAdjustment): Adjustment {
  const { adjustmentId, warehouse, sku, type, quantity, reason } = spec;
  return { adjustmentId, warehouse: warehouseIdOf(warehouse), sku, type: TYPES[type], quantity, reason };
}

/** What an error of inventory's means for an adjustment; undefined for what is none of its errors. */
export function outcomeOf(error: unknown, { spec }: StockAdjustment): Outcome | undefined {
  if (error instanceof InventoryUnavailable) return { kind: 'Pending', reason: error.reason, message: error.message };
  if (isUnknownWarehouse(error)) {
    const message = `inventory does not know warehouse ${spec.warehouse} yet: look at its WarehouseInventory`;
    return { kind: 'Pending', reason: 'WarehouseNotRegistered', message };
  }
  if (!(error instanceof InventoryRefused)) return undefined;
  if (error.reason === 'ContentChanged') {
    const message = `adjustmentId ${spec.adjustmentId} was booked before with another content: if this is another adjustment, delete this object and create it with a new adjustmentId`;
    return { kind: 'Refused', reason: 'AdjustmentIdReused', message };
  }
  const message = `${error.message}: delete this object, and create it again if the quantity is right after all`;
  return { kind: 'Refused', reason: error.reason, message };
}

/** Whether there is nothing left to do. */
export function isSettled({ status }: StockAdjustment): boolean {
  return status?.phase === 'Applied' || status?.phase === 'Refused';
}

/** The status that shows an outcome. `wall` is the wall clock in milliseconds. */
export function statusOf(adjustment: StockAdjustment, outcome: Outcome, wall: number): StockAdjustmentStatus {
  const { generation = 0 } = adjustment.metadata;
  const conditions = setCondition(
    adjustment.status?.conditions,
    { type: 'Applied', observedGeneration: generation, ...verdict(adjustment, outcome) },
    new Date(wall).toISOString(),
  );
  const base = { observedGeneration: generation, phase: outcome.kind, conditions: [...conditions] };
  if (outcome.kind === 'Applied') {
    const { before, after, movement, appliedAt } = outcome.booked;
    return { ...base, before, after, movement, appliedAt, nextAction: 'nothing: it is booked, once for ever' };
  }
  const next =
    outcome.kind === 'Refused'
      ? 'nothing happens by itself'
      : 'it is tried again when its warehouse is ready, and every 30 s';
  return { ...base, nextAction: clip(`${next}: ${outcome.message}`, 256) };
}

function verdict(adjustment: StockAdjustment, outcome: Outcome): Pick<Condition, 'status' | 'reason' | 'message'> {
  if (outcome.kind !== 'Applied') return { status: 'False', reason: outcome.reason, message: outcome.message };
  const { before, after, shortage, appliedAt } = outcome.booked;
  const short = shortage > 0 ? `; ${shortage} units are promised to orders and not there: somebody must act` : '';
  if (isFromBefore(adjustment, appliedAt)) {
    const message = `it was booked at ${appliedAt}, before this object was created, and was not booked again: on hand ${before} -> ${after} then`;
    return { status: 'True', reason: 'AppliedBefore', message };
  }
  return { status: 'True', reason: 'Booked', message: `on hand ${before} -> ${after}${short}` };
}

/** Object times are whole seconds, and two machines' clocks may differ by as much. */
const SAME_TIME_MILLIS = 1000;

/** Whether inventory booked the adjustment for an earlier object than this: one re-applied from Git, or restored. */
function isFromBefore({ metadata }: StockAdjustment, appliedAt: string): boolean {
  return Date.parse(appliedAt) + SAME_TIME_MILLIS <= Date.parse(metadata.creationTimestamp ?? '');
}
