import { Gauge, Histogram, type Registry } from 'prom-client';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import type { ReadStore } from '../../kube/store.ts';

const REQUEST_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const COUNTERS = ['onHand', 'reserved', 'committed', 'available', 'incoming'] as const;

/** What is measured of talking to inventory. */
export interface InventoryMetrics {
  readonly requests: Histogram<'operation' | 'outcome'>;
}

/**
 * Registers the metrics of stock. Levels are read at each scrape from what the statuses say, so that they are never newer than what kubectl
 * shows, and a warehouse that is gone is gone here too. Labels: the warehouses, which are few; never a SKU.
 */
export function warehouseMetrics(registry: Registry, warehouses: ReadStore<WarehouseInventory>): InventoryMetrics {
  const registers = [registry];
  const each = (set: (labels: { namespace: string; warehouse: string }, warehouse: WarehouseInventory) => void) => {
    for (const warehouse of warehouses.values()) {
      const { namespace = '', name } = warehouse.metadata;
      set({ namespace, warehouse: name }, warehouse);
    }
  };
  const gauge = (
    name: string,
    help: string,
    read: (warehouse: WarehouseInventory) => number | undefined,
  ): Gauge<'namespace' | 'warehouse'> =>
    new Gauge({
      name,
      help,
      labelNames: ['namespace', 'warehouse'],
      registers,
      collect() {
        this.reset();
        each((labels, warehouse) => {
          const value = read(warehouse);
          if (value !== undefined) this.set(labels, value);
        });
      },
    });
  gauge('mercato_stock_low_skus', 'SKUs at or below their reorder point.', ({ status }) => status?.lowCount);
  gauge('mercato_stock_out_skus', 'SKUs of which nothing is available.', ({ status }) => status?.outCount);
  gauge('mercato_warehouse_ready', '1 if inventory answers for the warehouse, 0 if not.', ({ status }) =>
    status === undefined ? undefined : Number(status.phase !== 'NotReady'),
  );
  new Gauge({
    name: 'mercato_stock_units',
    help: 'Units in a warehouse by what they are: onHand, reserved, committed, available, incoming.',
    labelNames: ['namespace', 'warehouse', 'counter'],
    registers,
    collect() {
      this.reset();
      each((labels, { status }) => {
        if (status?.totals === undefined) return;
        for (const counter of COUNTERS) this.set({ ...labels, counter }, status.totals[counter]);
      });
    },
  });
  return {
    requests: new Histogram({
      name: 'mercato_inventory_request_duration_seconds',
      help: 'Requests to the administration of inventory, by operation and how they ended: ok, or why not.',
      labelNames: ['operation', 'outcome'],
      buckets: REQUEST_BUCKETS,
      registers,
    }),
  };
}
