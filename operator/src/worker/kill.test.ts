import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@mercato/controlplane/ports.ts';
import { expect } from 'chai';
import type { AnnouncedEvent } from '../announce/event.ts';
import { eventually, OK, TestCluster } from '../testing/cluster.ts';

const ORDERS = 200;

/** Somebody who is told what becomes of runs. */
class Subscriber {
  readonly events: AnnouncedEvent[] = [];
  readonly authorizations = new Set<string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<Subscriber> {
    const server = createServer();
    const subscriber = new Subscriber(server);
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      subscriber.authorizations.add(String(request.headers.authorization).split(' ')[0] ?? '');
      subscriber.events.push(...(JSON.parse(Buffer.concat(chunks).toString()) as AnnouncedEvent[]));
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return subscriber;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe('a worker of the sqlite journal', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let subscriber: Subscriber;
  let directory: string;
  let token: string;
  let intake: string;
  let flags: string[];

  before(async () => {
    cluster = await TestCluster.create();
    subscriber = await Subscriber.start();
    directory = await mkdtemp(join(tmpdir(), 'mercato-worker-'));
    const account = { namespace: cluster.namespace, name: 'order' };
    await cluster.kubectl('create', 'serviceaccount', 'order');
    ({ token } = await cluster.client.createToken(account, {
      audiences: ['mercato-operator'],
      expirationSeconds: 600,
    }));
    const port = await freePort();
    intake = `http://127.0.0.1:${port}/events`;
    flags = [
      '--journal=sqlite',
      `--journal-path=${join(directory, 'journal.db')}`,
      `--intake-address=127.0.0.1:${port}`,
      `--intake-subjects=system:serviceaccount:${cluster.namespace}:order`,
      `--announce-to=${subscriber.url}`,
    ];
    await cluster.applySaga();
    cluster.allWell();
  });

  after(async () => {
    await cluster.close();
    await subscriber.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const placed = (orderId: string) => ({
    specversion: '1.0',
    id: `${orderId}/1`,
    source: '/mercato/order',
    type: 'dev.mercato.order.placed',
    subject: orderId,
    time: new Date().toISOString(),
    mercatonamespace: cluster.namespace,
    mercatosaga: 'checkout',
    sequence: '1',
    data: {
      customer: 'ada',
      currency: 'GBP',
      lines: [{ sku: 'MUG', quantity: 2, unitPrice: 895 }],
      paymentToken: 'tok_visa',
      shipTo: { country: 'GB' },
    },
  });

  /** As a relay does: again and again until it was taken. */
  const deliver = async (events: readonly object[]): Promise<Record<string, number>> => {
    let answer: Record<string, number> = {};
    let last: unknown;
    await eventually(
      async () => {
        try {
          const response = await fetch(intake, {
            method: 'POST',
            headers: { 'content-type': 'application/cloudevents-batch+json', authorization: `Bearer ${token}` },
            body: JSON.stringify(events),
          });
          last = [response.status, await response.clone().text()];
          if (response.ok) answer = (await response.json()) as Record<string, number>;
          return response.ok;
        } catch (error) {
          last = error;
          return false;
        }
      },
      () => `the delivery was taken: ${String(last)}`,
    );
    return answer;
  };

  it('brings every order to its end once, whatever kills it', async () => {
    const orders = Array.from({ length: ORDERS }, (_, index) => `o-${index}`);
    cluster.shop.on('book', async () => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return OK;
    });
    const first = await cluster.startProcess(...flags);
    for (let at = 0; at < ORDERS; at += 50)
      expect(await deliver(orders.slice(at, at + 50).map(placed))).to.include({ Begun: 50 });
    await eventually(
      async () => cluster.shop.calls.some(({ command }) => command === 'capture'),
      () => `captures begin ${first.output}`,
    );
    await first.kill();
    cluster.takeOut(first);
    await cluster.startProcess(...flags);
    // What was taken before is known, in this life too.
    expect(await deliver([...orders.map(placed), placed('o-new')])).to.include({ Known: ORDERS, Begun: 1 });
    const ended = () => new Set(subscriber.events.map(({ subject }) => subject));
    await eventually(
      async () => ended().size === ORDERS + 1,
      () => `${ended().size} of ${ORDERS + 1} ends were told`,
    );
    for (const order of [...orders, 'o-new']) {
      expect(new Set(cluster.shop.commandsOf(order)), order).to.deep.equal(
        new Set(['reserve', 'pay', 'book', 'capture']),
      );
    }
    const told = new Map(subscriber.events.map((event) => [event.id, event]));
    expect(told).to.have.property('size', ORDERS + 1);
    expect(new Set(subscriber.events.map(({ type }) => type))).to.deep.equal(new Set(['dev.mercato.saga.succeeded']));
    expect(subscriber.authorizations).to.deep.equal(new Set(['Bearer']));
    await cluster.stopOperator();
  });
});
