import type { StockAdjustment } from '../../api/stockadjustment.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import type { Recorder } from '../../kube/events.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { done, type Result, requeueAfter } from '../../runtime/result.ts';
import { type StatusPorts, writeStatus } from '../status.ts';
import type { InventoryDirectory } from '../warehouseinventory/inventories.ts';
import type { AdjustmentMetrics } from './metrics.ts';
import { adjustmentOf, isSettled, type Outcome, outcomeOf, statusOf } from './outcome.ts';
import { stockAdjustments } from './resource.ts';

/**
 * How soon what is blocked is tried again if nothing changes before, in milliseconds. Normally something does: its warehouse becomes ready again
 * with the inventory that it waits for.
 */
const RETRY_MILLIS = 30_000;

export interface StockAdjustmentOptions extends StatusPorts {
  readonly warehouses: ReadStore<WarehouseInventory>;
  readonly inventories: InventoryDirectory;
  readonly recorder: Recorder;
  readonly metrics: AdjustmentMetrics;
  readonly clock: Clock;
}

/**
 * One stock adjustment: has inventory book it and shows what came of it. That it is booked once is inventory's promise, kept by the
 * adjustmentId: nothing here depends on this object's status, uid or age.
 */
export class StockAdjustmentController {
  readonly #o: StockAdjustmentOptions;

  constructor(options: StockAdjustmentOptions) {
    this.#o = options;
  }

  async reconcile(adjustment: StockAdjustment, { signal }: ReconcileContext): Promise<Result> {
    if (adjustment.metadata.deletionTimestamp !== undefined || isSettled(adjustment)) return done();
    const outcome = await this.#book(adjustment, signal);
    const was = adjustment.status?.conditions?.find(({ type }) => type === 'Applied')?.reason;
    const status = statusOf(adjustment, outcome, this.#o.clock.wall());
    if (!(await writeStatus(this.#o, stockAdjustments, adjustment, status))) return done();
    const { reason = '', message = '' } = status.conditions?.find(({ type }) => type === 'Applied') ?? {};
    if (reason !== was) this.#tell(adjustment, outcome, reason, message);
    return outcome.kind === 'Pending' ? requeueAfter(RETRY_MILLIS) : done();
  }

  async #book(adjustment: StockAdjustment, signal: AbortSignal): Promise<Outcome> {
    const { namespace = '' } = adjustment.metadata;
    const { warehouse: name } = adjustment.spec;
    const warehouse = this.#o.warehouses.get(namespace, name);
    if (warehouse === undefined) {
      const message = `there is no WarehouseInventory ${name} in this namespace: apply it, or create the adjustment for another warehouse`;
      return { kind: 'Pending', reason: 'WarehouseNotFound', message };
    }
    const found = this.#o.inventories.find(namespace, warehouse.spec.participant.name);
    if (!found.found) return { kind: 'Pending', reason: found.reason, message: found.message };
    try {
      return { kind: 'Applied', booked: await found.inventory.adjust(adjustmentOf(adjustment), signal) };
    } catch (error) {
      const outcome = outcomeOf(error, adjustment);
      if (outcome === undefined) throw error;
      return outcome;
    }
  }

  #tell(adjustment: StockAdjustment, outcome: Outcome, reason: string, note: string): void {
    const { namespace = '' } = adjustment.metadata;
    const { warehouse, type } = adjustment.spec;
    const short = outcome.kind === 'Applied' && outcome.booked.shortage > 0;
    this.#o.recorder.event(adjustment, {
      type: outcome.kind === 'Applied' && !short ? 'Normal' : 'Warning',
      reason,
      action: 'Book',
      note,
    });
    if (outcome.kind !== 'Pending') {
      this.#o.metrics.settled.inc({ namespace, warehouse, type, outcome: outcome.kind });
    }
  }
}
