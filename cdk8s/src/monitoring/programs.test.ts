import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { BoundaryProgram } from '@mercato/boundary/boundary.ts';
import { parseOptions } from '@mercato/boundary/options.ts';
import { freePort } from '@mercato/controlplane/ports.ts';
import { Program } from '@mercato/kit/testing/program.ts';
import { TestCluster } from '@mercato/operator/testing/cluster.ts';
import { expect } from 'chai';
import { serviceOf } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import type { Service } from '../model/types.ts';
import { indicatorsOf } from './indicators.ts';
import { WELL_KNOWN } from './testing/exported.ts';
import { expressionsOf } from './testing/expressions.ts';
import { parse } from './testing/promql.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PATIENCE_MILLIS = 30_000;

/** The names of all series that rules and dashboards ask a service's program for. */
function wantedOf(service: Service): string[] {
  const asked = expressionsOf(service).flatMap(({ expr }) => parse(expr).selected.map(({ metric }) => metric));
  return [...new Set(asked)].filter((metric) => !metric.startsWith('mercato:') && !WELL_KNOWN.has(metric)).sort();
}

/** Which of them a scrape does not have, not even without samples. */
function missingIn(scrape: string, wanted: readonly string[]): string[] {
  const exported = new Map([...scrape.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
  return wanted.filter((metric) => {
    const histogram = metric.replace(/_(bucket|count|sum)$/, '');
    return !(exported.has(metric) || (histogram !== metric && exported.get(histogram) === 'histogram'));
  });
}

/** Scrapes until the program answers. */
async function scrape(url: string): Promise<string> {
  for (const deadline = Date.now() + PATIENCE_MILLIS; ; ) {
    try {
      return await (await fetch(url)).text();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const QUEUE_OF_EVENTS = {
  MERCATO_EVENT_QUEUE: 'http://127.0.0.1:9/123456789012/events',
  AWS_ENDPOINT_URL_SQS: 'http://127.0.0.1:9',
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'none',
  AWS_SECRET_ACCESS_KEY: 'none',
};

describe('What rules and dashboards ask for', () => {
  for (const service of mercato.services.filter(({ component }) => component === 'service')) {
    const { name, program } = service;
    it(`is what ${name} exports when it runs`, async function () {
      this.timeout(30_000);
      const folder = await mkdtemp(join(tmpdir(), `mercato-${name}-`));
      const env = {
        PORT: '0',
        DATA_DIR: folder,
        MERCATO_INSECURE_NO_AUTH: 'true',
        ACQUIRER: 'embedded',
        CARRIER: 'embedded',
        MERCATO_INTAKE_URL: 'http://127.0.0.1:9/events',
        // A queue that is not there: what is read from it is counted from the start.
        ...((service.events?.consumes ?? []).length > 0 && QUEUE_OF_EVENTS),
      };
      const running = await Program.start(pathToFileURL(join(ROOT, program)), env);
      try {
        const wanted = wantedOf(service);
        expect(wanted).to.include(`${indicatorsOf(service)?.histogram}_bucket`);
        expect(missingIn(await scrape(`${running.url}/metrics`), wanted)).to.deep.equal([]);
      } finally {
        await running.end('SIGTERM');
        await rm(folder, { recursive: true });
      }
    });
  }

  it('is missed if it is not there', () => {
    const text = '# TYPE a_total counter\n# TYPE b_seconds histogram\n';
    const wanted = ['a_total', 'b_seconds_bucket', 'a_bucket', 'b_seconds_max', 'c_total'];
    expect(missingIn(text, wanted)).to.deep.equal(['a_bucket', 'b_seconds_max', 'c_total']);
  });

  describe('of controllers', () => {
    let cluster: TestCluster;

    before(async function () {
      this.timeout(120_000);
      cluster = await TestCluster.create();
    });
    after(() => cluster.close());

    it('is what the operator exports when it runs', async function () {
      this.timeout(60_000);
      const orders = ['--intake-address', '127.0.0.1:0', '--intake-subjects', 'system:serviceaccount:shop:order'];
      const subscriber = ['--announce-to', 'http://127.0.0.1:9/events'];
      const folder = await mkdtemp(join(tmpdir(), 'mercato-operator-'));
      const journals = [[], ['--journal', 'sqlite', '--journal-path', join(folder, 'journal.db')]];
      const wanted = wantedOf(serviceOf(mercato, 'mercato-operator'));
      const missing: string[][] = [];
      try {
        for (const journal of journals) {
          const { metricsUrl } = await cluster.startOperator(...orders, ...subscriber, ...journal);
          missing.push(missingIn(await scrape(metricsUrl), wanted));
          await cluster.stopOperator();
        }
      } finally {
        await rm(folder, { recursive: true });
      }
      // Some are of runs that are driven as objects, some of workers and Views: no process has all.
      const [ofKubernetes = [], ofSqlite = []] = missing;
      expect(ofKubernetes.filter((metric) => ofSqlite.includes(metric))).to.deep.equal([]);
      expect(ofSqlite).to.deep.equal(['mercato_run_shards_unheld']);
    });

    it("is what the boundary's controller exports when it runs", async function () {
      this.timeout(60_000);
      const port = await freePort();
      const flags = {
        kubeconfig: cluster.plane.kubeconfigPath,
        namespace: cluster.system,
        'health-address': `127.0.0.1:${port}`,
        'log-level': 'error',
      };
      const options = parseOptions(
        Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
        {},
      );
      if (options === 'help') throw new Error('no help here');
      const stop = new AbortController();
      const ended = new BoundaryProgram(options, {}).run(stop.signal);
      try {
        const text = await Promise.race([scrape(`http://127.0.0.1:${port}/metrics`), ended.then(() => 'it ended')]);
        expect(missingIn(text, wantedOf(serviceOf(mercato, 'mercato-boundary')))).to.deep.equal([]);
      } finally {
        stop.abort(new Error('the test stops it'));
        await ended;
      }
    });
  });
});
