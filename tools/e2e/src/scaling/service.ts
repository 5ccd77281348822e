import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chartFiles } from '@mercato/cdk8s/backends/charts.ts';
import { serviceChart } from '@mercato/cdk8s/charts/service-chart.ts';
import { mercato } from '@mercato/cdk8s/model/mercato.ts';
import type { Service } from '@mercato/cdk8s/model/types.ts';
import { writeFiles } from '@mercato/cdk8s/testing/helm.ts';

/**
 * One more entry of the model: a service without state, which the shop of today has none of (each keeps its own books, docs/adr/embedded-stores.md). What is
 * proven with it holds for the next one that is added.
 */
export const quote: Service = {
  name: 'quote',
  description: 'Spends processor time, for tests of scaling and rollouts.',
  component: 'service',
  zone: 'shop',
  image: 'tools',
  program: 'tools/demo/src/load/target.ts',
  resources: { cpu: '100m', memory: '96Mi' },
  scale: { from: 2, to: 5, cpuPercent: 60 },
  state: { kind: 'none' },
  objective: { availability: 99.9, latency: { milliseconds: 100, percent: 99 }, throughput: 100, source: 'a test' },
  calls: [],
  cardData: false,
};

/** The model with it. */
export const withQuote = { services: [...mercato.services, quote] };

/** Writes its chart to a folder of its own, and gives the folder. */
export async function quoteChart(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mercato-quote-'));
  await writeFiles(folder, chartFiles({ definition: serviceChart(withQuote, quote), dependencies: [] }));
  return folder;
}
