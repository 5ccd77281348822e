import { Counter, type Registry } from 'prom-client';

/** What is counted of adjustments. */
export interface AdjustmentMetrics {
  readonly settled: Counter<'namespace' | 'warehouse' | 'type' | 'outcome'>;
}

/** Registers the metrics of adjustments. */
export function adjustmentMetrics(registry: Registry): AdjustmentMetrics {
  return {
    settled: new Counter({
      name: 'mercato_stock_adjustments_total',
      help: 'StockAdjustments that were booked or refused.',
      labelNames: ['namespace', 'warehouse', 'type', 'outcome'],
      registers: [registry],
    }),
  };
}
