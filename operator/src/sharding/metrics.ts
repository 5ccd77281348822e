import { Gauge, type Registry } from 'prom-client';
import type { Sharding } from './sharding.ts';

/** Registers what is measured of shards; asked at each scrape. */
export function shardMetrics(registry: Registry, sharding: Pick<Sharding, 'open' | 'unheld'>): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
  gauge('mercato_run_shards_open', 'Shards whose runs this process drives.', () => sharding.open);
  gauge(
    'mercato_run_shards_unheld',
    'Shards that no replica drives, as far as this process sees: their runs stand still.',
    () => sharding.unheld,
  );
}
