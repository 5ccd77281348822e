import type { Registry } from 'prom-client';
import type { Participant } from '../api/participant.ts';
import type { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import type { Recorder } from '../kube/events.ts';
import type { NamespacedName } from '../kube/key.ts';
import type { KubeObject } from '../kube/types.ts';
import type { TokenSource } from '../participants/tokens.ts';
import type { Clock } from '../runtime/clock.ts';
import { watches } from '../runtime/controller.ts';
import type { Manager } from '../runtime/manager.ts';
import { SimulatedSupplier } from '../suppliers/simulator.ts';
import type { Supplier } from '../suppliers/supplier.ts';
import { RestockOrderController } from './restockorder/controller.ts';
import { restockMetrics } from './restockorder/metrics.ts';
import { BY_WAREHOUSE, isOpen, restockOrders, warehouseKey, warehouseKeys } from './restockorder/resource.ts';
import { StockAdjustmentController } from './stockadjustment/controller.ts';
import { adjustmentMetrics } from './stockadjustment/metrics.ts';
import { isSettled } from './stockadjustment/outcome.ts';
import { stockAdjustments } from './stockadjustment/resource.ts';
import { WarehouseInventoryController } from './warehouseinventory/controller.ts';
import { InventoryDirectory } from './warehouseinventory/inventories.ts';
import { warehouseMetrics } from './warehouseinventory/metrics.ts';
import { warehouseInventories } from './warehouseinventory/resource.ts';

/** Reconciles at a time, per kind; each waits for inventory. */
const WORKERS = 4;

export interface WarehouseControllersOptions {
  readonly client: KubeClient;
  readonly participants: Cache<Participant>;
  readonly tokens: TokenSource;
  readonly recorder: Recorder;
  readonly registry: Registry;
  readonly clock: Clock;
  /** Who delivers for a name that a policy gives. @default a simulator for every name */
  readonly supplierOf?: (name: string) => Supplier;
  /** How often a warehouse is looked at, in milliseconds. @default 10000 */
  readonly lookEveryMillis?: number;
}

/**
 * Adds the controllers of WarehouseInventory, RestockOrder and StockAdjustment to a manager.
 * @returns what closes their connections, to be called once the manager has stopped.
 */
export function addWarehouseControllers(manager: Manager, options: WarehouseControllersOptions): () => Promise<void> {
  const { client, participants, tokens, recorder, registry, clock, lookEveryMillis } = options;
  const simulator = new SimulatedSupplier();
  const indexes = { [BY_WAREHOUSE]: warehouseKeys };
  const warehouses = manager.cache(warehouseInventories);
  const orders = manager.cache(restockOrders, { indexes });
  const adjustments = manager.cache(stockAdjustments, { indexes });
  const { requests } = warehouseMetrics(registry, warehouses);
  const inventories = new InventoryDirectory(participants, {
    tokens,
    observer: (operation, outcome, seconds) => requests.observe({ operation, outcome }, seconds),
  });
  const ordersFence = orders.fence();
  const shared = { client, inventories, warehouses, recorder, clock };

  const usersOf = ({ metadata }: KubeObject): NamespacedName[] =>
    warehouses
      .list(metadata.namespace)
      .filter(({ spec }) => spec.participant.name === metadata.name)
      .map(placeOf);
  const keyOf = ({ metadata }: KubeObject): string => warehouseKey(metadata.namespace ?? '', metadata.name);

  const warehouseFence = warehouses.fence();
  const warehouse = new WarehouseInventoryController({
    ...shared,
    fence: warehouseFence,
    orders,
    ordersFence,
    ...(lookEveryMillis === undefined ? {} : { lookEveryMillis }),
  });
  manager.controller({
    name: 'warehouseinventory',
    for: warehouses,
    fence: warehouseFence,
    // Its own status is no news: it is looked at by the clock.
    filter: (change) =>
      change.type !== 'updated' || change.old.metadata.generation !== change.object.metadata.generation,
    reconcile: (object, context) => warehouse.reconcile(object, context),
    reconcileAbsent: (context) => warehouse.forget(context),
    maxConcurrentReconciles: WORKERS,
    watches: [watches(participants, usersOf)],
  });

  const restock = new RestockOrderController({
    ...shared,
    fence: ordersFence,
    supplierOf: options.supplierOf ?? (() => simulator),
    metrics: restockMetrics(registry, orders),
  });
  manager.controller({
    name: 'restockorder',
    for: orders,
    fence: ordersFence,
    reconcile: (object, context) => restock.reconcile(object, context),
    reconcileAbsent: (context) => restock.gone(context),
    maxConcurrentReconciles: WORKERS,
    watches: [watches(warehouses, (object) => orders.byIndex(BY_WAREHOUSE, keyOf(object)).filter(isOpen).map(placeOf))],
  });

  const adjustmentFence = adjustments.fence();
  const adjustment = new StockAdjustmentController({
    ...shared,
    fence: adjustmentFence,
    metrics: adjustmentMetrics(registry),
  });
  manager.controller({
    name: 'stockadjustment',
    for: adjustments,
    fence: adjustmentFence,
    reconcile: (object, context) => adjustment.reconcile(object, context),
    maxConcurrentReconciles: WORKERS,
    watches: [
      watches(warehouses, (object) =>
        adjustments
          .byIndex(BY_WAREHOUSE, keyOf(object))
          .filter((each) => !isSettled(each))
          .map(placeOf),
      ),
    ],
  });
  return () => inventories.close();
}

function placeOf({ metadata }: KubeObject): NamespacedName {
  return { namespace: metadata.namespace ?? '', name: metadata.name };
}
