import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EventOptions, migrations as inventoryMigrations, inventoryService } from '@mercato/inventory/service.ts';
import {
  type CloudEvent,
  createLogger,
  JwksTokenCheck,
  milliseconds,
  openDatabase,
  type Receipt,
  type RunningService,
  SqliteStore,
  startService,
  systemClock,
} from '@mercato/kit';
import { unsent } from '@mercato/kit/outbox/outbox.ts';
import { memoryLog } from '@mercato/kit/simulator/append-log.ts';
import { inProcessExchange } from '@mercato/kit/simulator/backend.ts';
import { TestClient } from '@mercato/kit/testing/client.ts';
import { TestIssuer, testSubject } from '@mercato/kit/testing/issuer.ts';
import { simulatedCarrier } from '@mercato/shipping/adapters/simulated-carrier.ts';
import { SimulatedCarrier } from '@mercato/shipping/carrier/backend.ts';
import type { CarrierEntry } from '@mercato/shipping/carrier/ledger.ts';
import { migrations as shippingMigrations, shippingService } from '@mercato/shipping/service.ts';
import { expect } from 'chai';

const SHIPPING = 'system:serviceaccount:mercato-system:mercato-shipping';
/** The relay's longest pause is ten seconds. */
const PATIENCE_MS = 60_000;

/** Inventory and shipping as in a cluster: each behind its token check, shipping's events over HTTP with a token from a file. */
class Pair {
  readonly folder = mkdtempSync(join(tmpdir(), 'mercato-pick-up-'));
  readonly tokenFile = join(this.folder, 'relay.token');
  /** What inventory logged of events that changed nothing. */
  readonly ignored: string[] = [];
  readonly receipts: Receipt[] = [];
  readonly #issuer: TestIssuer;
  readonly #clients: TestClient[] = [];
  #inventory: RunningService | undefined;
  #shipping: RunningService | undefined;
  #shippingStore: SqliteStore | undefined;
  inventory!: TestClient;
  shipping!: TestClient;

  private constructor(issuer: TestIssuer) {
    this.#issuer = issuer;
  }

  static async start(): Promise<Pair> {
    const pair = new Pair(await TestIssuer.start());
    await pair.writeToken({});
    const url = await pair.startInventory();
    pair.inventory = await pair.#client(url, 'inventory');
    const shippingUrl = await pair.#startShipping(`${url}/events`);
    pair.shipping = await pair.#client(shippingUrl, 'shipping');
    await pair.inventory.call('PUT', '/warehouses/leeds', { location: { country: 'GB' } });
    const receipt = { receiptId: 'first', warehouse: 'leeds', restock: 'r', lines: [{ sku: 'MUG', quantity: 100 }] };
    await pair.inventory.call('POST', '/receipts', receipt);
    return pair;
  }

  /** Writes what shipping sends its events with. */
  async writeToken(wish: { subject?: string; audience?: string }): Promise<void> {
    writeFileSync(this.tokenFile, await this.#issuer.mint({ subject: SHIPPING, audience: 'inventory', ...wish }));
  }

  /** Starts inventory on what it had, on the port it had. */
  async startInventory(): Promise<string> {
    const store = new SqliteStore(openDatabase(join(this.folder, 'inventory.sqlite')), {
      migrations: inventoryMigrations,
    });
    const events: EventOptions = {
      onIgnored: ({ orderId }, why) => this.ignored.push(`${orderId}: ${why}`),
      onReceived: (receipt) => this.receipts.push(receipt),
    };
    const service = inventoryService({ store, eventSenders: [SHIPPING], events });
    const port = this.inventory === undefined ? 0 : Number(new URL(this.inventory.url).port);
    const parts = { name: 'inventory', version: '1', store, logger: createLogger('inventory', 'silent') };
    this.#inventory = await startService({ ...parts, ...service, tokens: this.#check('inventory') }, port, '127.0.0.1');
    return this.#inventory.url;
  }

  async stopInventory(): Promise<void> {
    await this.#inventory?.close();
  }

  /** Takes an order from its reservation to its booking; by `line1` the carrier decides when it comes. */
  async book(orderId: string, line1?: string): Promise<void> {
    await this.commit(orderId);
    await this.ship(orderId, line1);
  }

  /** Reserves three mugs and commits them. */
  async commit(orderId: string): Promise<void> {
    const body = { lines: [{ sku: 'MUG', quantity: 3 }], shipTo: { country: 'GB' } };
    const reserved = await this.inventory.single({ command: 'reserve-stock', step: 'reserve', orderId, body });
    const { reservationId } = reserved.body;
    await this.inventory.single({ command: 'commit-stock', step: 'commit', orderId, body: { reservationId } });
    expect(await this.states(orderId)).to.deep.equal(['committed']);
  }

  /** Books a carrier for three mugs. */
  async ship(orderId: string, line1 = 'sim:quick_pickup'): Promise<void> {
    const shipTo = { line1, city: 'Leeds', country: 'GB' };
    const body = { lines: [{ sku: 'MUG', quantity: 3 }], shipTo, warehouses: 'leeds' };
    const { status } = await this.shipping.single({ command: 'book-shipment', step: 'ship', orderId, body });
    expect(status).to.equal(200);
  }

  /** The states of an order's reservations. */
  async states(orderId: string): Promise<string[]> {
    const { body } = await this.inventory.call('GET', `/orders/shop/checkout/${orderId}`);
    return (body['reservations'] as { state: string }[]).map(({ state }) => state);
  }

  async level(): Promise<unknown> {
    const { body } = await this.inventory.call('GET', '/warehouses/leeds/stock');
    const { onHand, reserved, committed } = body['totals'] as Record<string, number>;
    return { onHand, reserved, committed };
  }

  /** The last event that shipping has of an order. */
  async lastEvent(orderId: string): Promise<CloudEvent> {
    const all = await this.#shippingStore!.read((reader) => unsent(reader, 'nobody', 1000));
    return all.map(({ event }) => event).findLast(({ subject }) => subject === orderId)!;
  }

  /** Sends events past the relay. */
  async post(events: CloudEvent | CloudEvent[], wish: { subject?: string } = {}) {
    const token = await this.#issuer.mint({ subject: SHIPPING, audience: 'inventory', ...wish });
    const mode = Array.isArray(events) ? 'cloudevents-batch' : 'cloudevents';
    const headers = { authorization: `Bearer ${token}`, 'content-type': `application/${mode}+json; charset=utf-8` };
    const { status, body } = await this.inventory.call('POST', '/events', events, headers);
    return { status, body };
  }

  async end(): Promise<void> {
    await this.#shipping?.close();
    await this.#inventory?.close();
    for (const client of this.#clients) await client.close();
    await this.#issuer.close();
    rmSync(this.folder, { recursive: true });
  }

  async #startShipping(subscriber: string): Promise<string> {
    const store = new SqliteStore(openDatabase(join(this.folder, 'shipping.sqlite')), {
      migrations: shippingMigrations,
    });
    this.#shippingStore = store;
    const log = memoryLog<CarrierEntry>();
    const backend = new SimulatedCarrier({ clock: systemClock });
    const carrier = simulatedCarrier(inProcessExchange({ backend, log, clock: systemClock }));
    const parts = { name: 'shipping', version: '1', store, logger: createLogger('shipping', 'silent') };
    const relay = { subscribers: [subscriber], relayTokenFile: this.tokenFile };
    this.#shipping = await startService(
      { ...parts, ...relay, ...shippingService({ store, carrier }), tokens: this.#check('shipping') },
      0,
      '127.0.0.1',
    );
    return this.#shipping.url;
  }

  #check(audience: string): JwksTokenCheck {
    const { issuer, jwksUrl } = this.#issuer;
    const rate = { jwksCooldown: milliseconds(0) };
    return new JwksTokenCheck({ issuer, jwksUrl, audience, allowedSubjects: [testSubject], ...rate });
  }

  async #client(url: string, audience: string): Promise<TestClient> {
    const client = new TestClient(url, await this.#issuer.mint({ audience }), new Date().toISOString());
    this.#clients.push(client);
    return client;
  }
}

async function eventually(isSo: () => Promise<boolean> | boolean, what: () => string): Promise<void> {
  for (const deadline = performance.now() + PATIENCE_MS; !(await isSo()); ) {
    if (performance.now() > deadline) throw new Error(`not so after ${PATIENCE_MS / 1000} s: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('what the carrier picks up leaves the stock', function () {
  this.timeout(2 * PATIENCE_MS);
  let pair: Pair;

  beforeEach(async () => {
    pair = await Pair.start();
  });
  afterEach(() => pair.end());

  const isIn = async (orderId: string, state: string) => (await pair.states(orderId)).join() === state;
  const untilShipped = (orderId: string) =>
    eventually(
      () => isIn(orderId, 'shipped'),
      () => `${orderId} is shipped`,
    );

  it('once the pick-up is told, and not before', async () => {
    await pair.book('waits', '1 High Street');
    await pair.book('leaves');
    await untilShipped('leaves');
    expect(await pair.states('waits'), 'booked, and told before the other').to.deep.equal(['committed']);
    expect(await pair.level()).to.deep.equal({ onHand: 97, reserved: 0, committed: 3 });
    const { body } = await pair.inventory.call('GET', '/conservation');
    expect(body).to.include({ balanced: true });
    expect(body['totals']).to.include({ received: 100, onHand: 97, shipped: 3 });
  });

  it('once, however often it is told, alone or in a batch', async () => {
    await pair.book('o');
    await untilShipped('o');
    const event = await pair.lastEvent('o');
    const once = { applied: 0, duplicate: 1, stale: 0, ignored: 0, unsubscribed: 0 };
    expect(await pair.post(event)).to.deep.equal({ status: 200, body: once });
    expect(await pair.post([event, event])).to.deep.equal({ status: 200, body: { ...once, duplicate: 2 } });
    expect(await pair.level()).to.deep.equal({ onHand: 97, reserved: 0, committed: 0 });
  });

  it('by whichever of its events comes first; an older one that comes later is stale', async () => {
    await pair.book('o', '1 High Street');
    const booked = await pair.lastEvent('o');
    const later = (type: string, sequence: number): CloudEvent => ({
      ...booked,
      id: `shop/checkout/o/${sequence}`,
      type: `dev.mercato.shipping.${type}`,
      sequence: String(sequence),
    });
    expect((await pair.post(later('delivered', 3))).body).to.include({ applied: 1 });
    expect((await pair.post(later('picked-up', 2))).body).to.include({ applied: 0, stale: 1 });
    expect(await pair.states('o')).to.deep.equal(['shipped']);
    expect(await pair.level()).to.deep.equal({ onHand: 97, reserved: 0, committed: 0 });
  });

  it('when inventory is back, if it was down when the carrier came', async () => {
    await pair.book('before', '1 High Street');
    await pair.commit('o');
    await pair.stopInventory();
    await pair.ship('o');
    await pair.startInventory();
    await untilShipped('o');
    expect(await pair.level()).to.deep.equal({ onHand: 97, reserved: 0, committed: 3 });
  });

  it('when the token is right again; nobody else may say it', async () => {
    await pair.writeToken({ subject: 'system:serviceaccount:mercato-system:somebody' });
    await pair.book('o');
    const event = await pair.lastEvent('o');
    expect((await pair.post(event, { subject: testSubject })).status, 'not even who may send commands').to.equal(403);
    expect(await pair.states('o')).to.deep.equal(['committed']);
    expect(pair.receipts).to.deep.equal([]);
    await pair.writeToken({});
    await untilShipped('o');
    expect((await pair.inventory.call('POST', '/events', [], { authorization: '' })).status).to.equal(401);
  });

  it('and what has nothing to ship is acknowledged and logged, and holds up nothing', async () => {
    await pair.ship('stranger');
    await pair.book('o');
    await untilShipped('o');
    expect(pair.ignored).to.deep.equal(['stranger: nothing of stranger is committed: it has no reservation here']);
    expect((await pair.post(await pair.lastEvent('stranger'))).body).to.include({ duplicate: 1, ignored: 0 });
  });
});
