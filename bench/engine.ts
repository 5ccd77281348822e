import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@mercato/controlplane/ports.ts';
import { applyManifest, SYSTEM_NAMESPACE } from '@mercato/demo/local/install.ts';
import { OPERATOR_IDENTITY } from '@mercato/demo/local/programs.ts';
import { clientOf } from '@mercato/demo/local/shop.ts';
import { WORKER_NODE_OPTIONS } from '@mercato/operator/node-options.ts';
import { Pool } from 'undici';
import { BenchCluster } from './cluster.ts';
import { Fleet } from './fleet.ts';
import { INPUT } from './order.ts';

const SENDER = 'mercato-order';
const AUDIENCE = 'mercato-operator';
const BATCH = 100;

/**
 * The operator with the sqlite journal and participants that do nothing, over HTTP: orders come in as events and their ends are told to a subscriber. No
 * order service, no stores but the journal: what the engine itself is worth.
 */
export class BenchEngine {
  readonly #cluster: BenchCluster;
  readonly #fleet: Fleet;
  readonly #subscriber: Subscriber;
  readonly #intake: Pool;
  readonly #token: string;

  private constructor(cluster: BenchCluster, fleet: Fleet, subscriber: Subscriber, intake: Pool, token: string) {
    this.#cluster = cluster;
    this.#fleet = fleet;
    this.#subscriber = subscriber;
    this.#intake = intake;
    this.#token = token;
  }

  static async start(): Promise<BenchEngine> {
    const cluster = await BenchCluster.start({});
    const fleet = new Fleet(await mkdtemp(join(tmpdir(), 'mercato-engine-')));
    try {
      const kubeconfig = join(fleet.directory, 'operator.kubeconfig');
      await writeFile(kubeconfig, await cluster.plane.kubeconfigYaml(OPERATOR_IDENTITY), { mode: 0o600 });
      const token = await senderToken(cluster);
      const subscriber = await Subscriber.listen();
      const [health, intake] = [await freePort(), await freePort()];
      const flags: Record<string, string> = {
        kubeconfig,
        namespace: SYSTEM_NAMESPACE,
        'health-address': `127.0.0.1:${health}`,
        journal: 'sqlite',
        'journal-path': join(fleet.directory, 'operator', 'journal.sqlite'),
        'intake-address': `127.0.0.1:${intake}`,
        'intake-subjects': `system:serviceaccount:${SYSTEM_NAMESPACE}:${SENDER}`,
        'announce-to': subscriber.url,
        'log-level': 'warn',
      };
      await fleet.start({
        name: 'operator',
        script: 'operator/src/main.ts',
        args: Object.entries(flags).flatMap(([flag, value]) => [`--${flag}`, value]),
        env: { NODE_OPTIONS: WORKER_NODE_OPTIONS },
        port: health,
        readyPath: '/readyz',
      });
      const pool = new Pool(`http://127.0.0.1:${intake}`, { connections: 4 });
      return new BenchEngine(cluster, fleet, subscriber, pool, token);
    } catch (error) {
      await fleet.stop();
      await cluster.stop();
      throw error;
    }
  }

  /** Carries `count` orders with at most `width` under way. @returns completed runs per second */
  async play(prefix: string, count: number, width: number): Promise<number> {
    const began = performance.now();
    const before = this.#subscriber.succeeded;
    for (let next = 0; next < count; ) {
      const room = width - (next - (this.#subscriber.succeeded - before));
      if (room < BATCH) {
        await this.#subscriber.news();
        continue;
      }
      const size = Math.min(BATCH, count - next);
      await this.#send(Array.from({ length: size }, (_, n) => orderOf(`${prefix}-${next + n}`)));
      next += size;
    }
    while (this.#subscriber.succeeded - before < count) await this.#subscriber.news();
    return count / ((performance.now() - began) / 1_000);
  }

  async #send(events: readonly object[]): Promise<void> {
    const { statusCode, body } = await this.#intake.request({
      method: 'POST',
      path: '/events',
      headers: { 'content-type': 'application/cloudevents-batch+json', authorization: `Bearer ${this.#token}` },
      body: JSON.stringify(events),
    });
    const text = await body.text();
    if (statusCode >= 300) throw new Error(`the intake answered ${statusCode}: ${text.slice(0, 300)}`);
  }

  async stop(): Promise<void> {
    await this.#fleet.stop();
    await this.#intake.destroy();
    await this.#subscriber.close();
    await this.#cluster.stop();
  }
}

async function senderToken(cluster: BenchCluster): Promise<string> {
  const client = await clientOf(cluster.plane);
  const metadata = { namespace: SYSTEM_NAMESPACE, name: SENDER };
  await applyManifest(client, { apiVersion: 'v1', kind: 'ServiceAccount', metadata }, SYSTEM_NAMESPACE);
  const { token } = await client.createToken(metadata, { audiences: [AUDIENCE], expirationSeconds: 3_600 });
  await client.transport.close();
  return token;
}

function orderOf(orderId: string): object {
  return {
    specversion: '1.0',
    id: `default/checkout/${orderId}/1`,
    source: '/mercato/order',
    type: 'dev.mercato.order.placed',
    subject: orderId,
    time: new Date().toISOString(),
    sequence: '1',
    mercatonamespace: 'default',
    mercatosaga: 'checkout',
    datacontenttype: 'application/json',
    data: INPUT,
  };
}

/** Hears of the ends of runs. */
class Subscriber {
  succeeded = 0;
  readonly #server: Server;
  #wake = Promise.withResolvers<void>();

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        for (const { type } of JSON.parse(String(Buffer.concat(chunks))) as { type: string }[]) {
          if (type === 'dev.mercato.saga.succeeded') this.succeeded++;
          else process.stderr.write(`a run was ${type.split('.').at(-1)}\n`);
        }
        response.writeHead(204).end();
        this.#wake.resolve();
        this.#wake = Promise.withResolvers();
      });
    });
  }

  static async listen(): Promise<Subscriber> {
    const subscriber = new Subscriber();
    subscriber.#server.listen(0, '127.0.0.1');
    await once(subscriber.#server, 'listening');
    return subscriber;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
  }

  /** Resolves with the next events. @throws Error when none come for a minute */
  news(): Promise<void> {
    const late = AbortSignal.timeout(60_000);
    return Promise.race([
      this.#wake.promise,
      once(late, 'abort').then(() => {
        throw new Error(`no run ended for a minute; ${this.succeeded} had succeeded`);
      }),
    ]);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
