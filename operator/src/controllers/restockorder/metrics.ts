import { Counter, Gauge, type Registry } from 'prom-client';
import type { RestockOrder } from '../../api/restockorder.ts';
import type { ReadStore } from '../../kube/store.ts';
import { phaseOf } from './resource.ts';

/** What is counted of restock orders as they move. */
export interface RestockMetrics {
  readonly transitions: Counter<'namespace' | 'warehouse' | 'phase'>;
  readonly receivedUnits: Counter<'namespace' | 'warehouse'>;
}

/** Registers the metrics of restock orders; how many are in each phase is read at each scrape. */
export function restockMetrics(registry: Registry, orders: ReadStore<RestockOrder>): RestockMetrics {
  const registers = [registry];
  new Gauge({
    name: 'mercato_restock_orders',
    help: 'RestockOrders by warehouse and phase.',
    labelNames: ['namespace', 'warehouse', 'phase'],
    registers,
    collect() {
      this.reset();
      for (const order of orders.values()) {
        const { namespace = '' } = order.metadata;
        this.inc({ namespace, warehouse: order.spec.warehouse, phase: phaseOf(order) });
      }
    },
  });
  return {
    transitions: new Counter({
      name: 'mercato_restock_transitions_total',
      help: 'Phases that RestockOrders entered.',
      labelNames: ['namespace', 'warehouse', 'phase'],
      registers,
    }),
    receivedUnits: new Counter({
      name: 'mercato_restock_received_units_total',
      help: 'Units that came with RestockOrders.',
      labelNames: ['namespace', 'warehouse'],
      registers,
    }),
  };
}
