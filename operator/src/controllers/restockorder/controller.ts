import { parseDuration } from '../../api/durations.ts';
import type { RestockOrder, RestockPhase } from '../../api/restockorder.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import { InventoryRefused, InventoryUnavailable, isUnknownWarehouse } from '../../inventory/errors.ts';
import { type ReceiptId, warehouseIdOf } from '../../inventory/port.ts';
import type { EventInput, Recorder } from '../../kube/events.ts';
import { keyOf, type NamespacedName, type ObjectKey } from '../../kube/key.ts';
import type { ReadStore } from '../../kube/store.ts';
import type { Clock } from '../../runtime/clock.ts';
import type { ReconcileContext } from '../../runtime/controller.ts';
import { done, type Result, requeueAfter } from '../../runtime/result.ts';
import { sha256 } from '../../saga/canonical.ts';
import { type Delivery, type PlacedOrder, type Supplier, SupplierUnavailable } from '../../suppliers/supplier.ts';
import { type StatusPorts, writeStatus } from '../status.ts';
import type { InventoryDirectory } from '../warehouseinventory/inventories.ts';
import { intentOf, stepOf, unitsOf } from './machine.ts';
import type { RestockMetrics } from './metrics.ts';
import { phaseOf, restockOrders } from './resource.ts';
import { type Block, type Change, isBound, statusOf, withReceipt } from './status.ts';

/**
 * How soon what is blocked is tried again if nothing changes before, in milliseconds. Normally something does: its warehouse becomes ready again
 * with the inventory that it waits for.
 */
const RETRY_MILLIS = 30_000;
/** How often a supplier is asked that does not say when to ask again, and at least. */
const ASK_MILLIS = 60_000;
const SOONEST_MILLIS = 10;

export interface RestockOrderOptions extends StatusPorts {
  readonly warehouses: ReadStore<WarehouseInventory>;
  readonly inventories: InventoryDirectory;
  /** Who delivers for a name that a policy gives. */
  readonly supplierOf: (name: string) => Supplier;
  readonly recorder: Recorder;
  readonly metrics: RestockMetrics;
  readonly clock: Clock;
}

/**
 * One restock order: carries it from phase to phase, one write each, so that whoever takes over goes on from what is written. What is done
 * outside (ordering, booking a delivery) is idempotent under a name that follows from the object's, and done again if the write after it was lost.
 */
export class RestockOrderController {
  readonly #o: RestockOrderOptions;
  /** Orders that goods are bound to, as last seen: what there is to tell when one is deleted. */
  readonly #bound = new Map<ObjectKey, RestockOrder>();

  constructor(options: RestockOrderOptions) {
    this.#o = options;
  }

  async reconcile(order: RestockOrder, { key, signal }: ReconcileContext): Promise<Result> {
    if (isBound(phaseOf(order))) this.#bound.set(key, order);
    else this.#bound.delete(key);
    const { namespace = '' } = order.metadata;
    const warehouse = this.#o.warehouses.get(namespace, order.spec.warehouse);
    const intent = intentOf(order, warehouse?.spec.policy.autoApproveUpTo ?? 0);
    switch (intent.do) {
      case 'nothing':
        // A wish that comes too late is answered all the same.
        return this.#stay(order, undefined);
      case 'propose':
        return this.#enter(order, 'Proposed', {}, `${unitsOf(order)} units from ${order.spec.supplier}`);
      case 'wait':
        return this.#stay(order, warehouse === undefined ? unknownWarehouse(order) : undefined);
      case 'approve':
        return this.#enter(order, 'Approved', { approvedBy: intent.by }, `approved by ${intent.by}`);
      case 'reject':
        return this.#finish(order, 'Rejected', `rejected by ${intent.by}: ${order.spec.approval?.reason ?? ''}`);
      case 'cancel':
        return this.#finish(order, 'Cancelled', `cancelled: ${order.spec.cancel?.reason ?? ''}`);
      case 'place':
        // Goods that nobody could book are not ordered.
        if (warehouse === undefined) return this.#stay(order, unknownWarehouse(order));
        return this.#asking(order, (supplier) => this.#place(order, supplier, signal));
      case 'cancelPlaced':
        return this.#asking(order, async (supplier) =>
          (await supplier.cancel(placedOf(order), this.#o.clock.wall(), signal))
            ? this.#finish(order, 'Cancelled', `cancelled: ${order.spec.cancel?.reason ?? ''}`)
            : this.#follow(order, warehouse, supplier, signal),
        );
      case 'follow':
        return this.#asking(order, (supplier) => this.#follow(order, warehouse, supplier, signal));
    }
  }

  /** The object is gone. If goods were bound to it, somebody should know, since nobody will book them now. */
  gone({ namespace, name }: NamespacedName): Result {
    const key = keyOf(namespace, name);
    const order = this.#bound.get(key);
    this.#bound.delete(key);
    if (order === undefined) return done();
    const open = unitsOf(order) - (order.status?.receivedUnits ?? 0);
    const note = `RestockOrder ${name} was deleted while ${phaseOf(order)}: if its ${open} units from ${order.spec.supplier} come, book them with a StockAdjustment of type Received`;
    const regarding = this.#o.warehouses.get(namespace, order.spec.warehouse) ?? order;
    this.#o.recorder.event(regarding, { type: 'Warning', reason: 'RestockDeleted', action: 'Forget', note });
    return done();
  }

  async #place(order: RestockOrder, supplier: Supplier, signal: AbortSignal): Promise<Result> {
    const now = this.#o.clock.wall();
    const { reference, expectedAt } = await supplier.place(supplyOf(order), now, signal);
    const change = { orderedAt: rfc3339(now), expectedAt: rfc3339(expectedAt), supplierReference: reference };
    const note = `ordered from ${order.spec.supplier} (${supplier.name}) as ${reference}, expected at ${change.expectedAt}`;
    return this.#enter(order, 'Ordered', change, note);
  }

  async #follow(
    order: RestockOrder,
    warehouse: WarehouseInventory | undefined,
    supplier: Supplier,
    signal: AbortSignal,
  ): Promise<Result> {
    const step = stepOf(order, await supplier.progress(placedOf(order), this.#o.clock.wall(), signal));
    switch (step.do) {
      case 'ship':
        return this.#enter(order, 'InTransit', {}, `${order.spec.supplier} has sent the goods`);
      case 'book':
        return this.#book(order, warehouse, step.delivery, signal);
      case 'close': {
        const { receivedUnits = 0 } = order.status ?? {};
        return this.#finish(order, 'Received', `${receivedUnits} of ${unitsOf(order)} units came`);
      }
      case 'wait':
        return this.#stay(order, undefined, this.#wakeAt(order, step.until));
    }
  }

  async #book(
    order: RestockOrder,
    warehouse: WarehouseInventory | undefined,
    { number, lines }: Delivery,
    signal: AbortSignal,
  ): Promise<Result> {
    if (warehouse === undefined) return this.#stay(order, unknownWarehouse(order));
    const { namespace = '', name } = order.metadata;
    const found = this.#o.inventories.find(namespace, warehouse.spec.participant.name);
    if (!found.found) return this.#stay(order, found);
    const receiptId = receiptIdOf(namespace, name, number);
    const id = warehouseIdOf(warehouse.metadata.name);
    try {
      const { receivedAt } = await found.inventory.receive({ receiptId, warehouse: id, restock: name, lines }, signal);
      const change = withReceipt(order, { receiptId, at: receivedAt, lines: [...lines] });
      const units = lines.reduce((sum, { quantity }) => sum + quantity, 0);
      if (!(await this.#write(order, change, undefined))) return done();
      this.#tell(order, 'GoodsReceived', 'Book', `delivery ${number}: ${units} units are booked as ${receiptId}`);
      this.#o.metrics.receivedUnits.inc({ namespace, warehouse: order.spec.warehouse }, units);
      return done();
    } catch (error) {
      const block = blockOf(error);
      if (block === undefined) throw error;
      return this.#stay(order, block);
    }
  }

  /** Talks to the supplier; what goes wrong there is a block, and is tried again. */
  async #asking(order: RestockOrder, ask: (supplier: Supplier) => Promise<Result>): Promise<Result> {
    try {
      return await ask(this.#o.supplierOf(order.spec.supplier));
    } catch (error) {
      if (!(error instanceof SupplierUnavailable)) throw error;
      return this.#stay(order, { reason: 'SupplierUnavailable', message: error.message });
    }
  }

  async #enter(order: RestockOrder, phase: RestockPhase, change: Change, note: string): Promise<Result> {
    if (!(await this.#write(order, { ...change, phase }, undefined))) return done();
    const { namespace = '' } = order.metadata;
    this.#o.metrics.transitions.inc({ namespace, warehouse: order.spec.warehouse, phase });
    const warning = phase === 'Received' && (order.status?.receivedUnits ?? 0) !== unitsOf(order);
    this.#tell(order, phase, 'Move', note, warning ? 'Warning' : 'Normal');
    // The write comes back as a change, and with it the next step.
    return done();
  }

  #finish(order: RestockOrder, phase: RestockPhase, note: string): Promise<Result> {
    return this.#enter(order, phase, { finishedAt: rfc3339(this.#o.clock.wall()) }, note);
  }

  /** Stays in its phase; says what blocks it, if something does. */
  async #stay(order: RestockOrder, block: Block | undefined, wakeAt?: number): Promise<Result> {
    const was = order.status?.conditions?.find(({ type }) => type === 'Blocked');
    await this.#write(order, {}, block);
    if (block !== undefined && (was?.status !== 'True' || was.reason !== block.reason)) {
      this.#tell(order, block.reason, 'Wait', block.message, 'Warning');
    }
    if (block !== undefined) return requeueAfter(RETRY_MILLIS);
    return wakeAt === undefined ? done() : requeueAfter(Math.max(SOONEST_MILLIS, wakeAt - this.#o.clock.wall()));
  }

  /** When to look again: when the supplier says, when it becomes overdue, and not too late to notice a clock that jumped. */
  #wakeAt(order: RestockOrder, until: number | undefined): number {
    const now = this.#o.clock.wall();
    const expectedAt = Date.parse(order.status?.expectedAt ?? '');
    const times = [until ?? Number.NaN, expectedAt + 1].filter((at) => at > now);
    return Math.min(now + ASK_MILLIS, ...times);
  }

  #write(order: RestockOrder, change: Change, block: Block | undefined): Promise<boolean> {
    return writeStatus(this.#o, restockOrders, order, statusOf(order, change, block, this.#o.clock.wall()));
  }

  #tell(order: RestockOrder, reason: string, action: string, note: string, type: EventInput['type'] = 'Normal'): void {
    this.#o.recorder.event(order, { type, reason, action, note });
  }
}

/** The receipt of an order's n-th delivery: the same for ever, also for an object that was restored under another uid and without its status. */
export function receiptIdOf(namespace: string, name: string, number: number): ReceiptId {
  const id = `${namespace}/${name}/${number}`;
  return (id.length <= 128 ? id : `${sha256(`${namespace}/${name}`)}/${number}`) as ReceiptId;
}

function supplyOf({ metadata, spec }: RestockOrder) {
  return {
    orderId: `${metadata.namespace ?? ''}/${metadata.name}`,
    supplier: spec.supplier,
    lines: spec.lines,
    leadTime: parseDuration(spec.leadTime),
  };
}

/** An order as its supplier has it. A status that was edited by hand and lost its dates counts from the object's creation. */
function placedOf(order: RestockOrder): PlacedOrder {
  const { status, metadata } = order;
  const orderedAt = Date.parse(status?.orderedAt ?? metadata.creationTimestamp ?? '');
  return { ...supplyOf(order), reference: status?.supplierReference ?? '', orderedAt };
}

function unknownWarehouse({ spec }: RestockOrder): Block {
  const message = `there is no WarehouseInventory ${spec.warehouse} in this namespace: apply it, and it goes on`;
  return { reason: 'WarehouseNotFound', message };
}

/** What an error of inventory's means for the order; undefined for what is none of its errors. */
function blockOf(error: unknown): Block | undefined {
  if (error instanceof InventoryUnavailable) return { reason: error.reason, message: error.message };
  if (isUnknownWarehouse(error)) return { reason: error.reason, message: 'inventory does not know the warehouse yet' };
  if (error instanceof InventoryRefused) {
    const message = `inventory refuses the receipt: ${error.message}; book the goods with a StockAdjustment, then delete this object`;
    return { reason: error.reason, message };
  }
  return undefined;
}

function rfc3339(wallMillis: number): string {
  return new Date(wallMillis).toISOString();
}
