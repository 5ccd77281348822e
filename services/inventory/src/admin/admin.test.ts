import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createLogger,
  instant,
  type JsonObject,
  JwksTokenCheck,
  openDatabase,
  type RunningService,
  SqliteStore,
  startService,
  VirtualClock,
} from '@mercato/kit';
import { TestClient } from '@mercato/kit/testing/client.ts';
import { TestIssuer, testAudience, testSubject } from '@mercato/kit/testing/issuer.ts';
import { expect } from 'chai';
import { inventoryService, migrations } from '../service.ts';

describe('administration of inventory', () => {
  const clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
  let directory: string;
  let issuer: TestIssuer;
  let service: RunningService;
  let client: TestClient;

  async function start(): Promise<void> {
    const store = new SqliteStore(openDatabase(join(directory, 'inventory.sqlite')), { migrations });
    const { participant, routes, tasks } = inventoryService({ store, clock });
    const tokens = new JwksTokenCheck({
      issuer: issuer.issuer,
      audience: testAudience,
      jwksUrl: issuer.jwksUrl,
      allowedSubjects: [testSubject],
      clock,
    });
    const logger = createLogger('inventory', 'silent');
    service = await startService(
      { name: 'inventory', version: '1', store, clock, tokens, participant, routes, tasks, logger },
      0,
      '127.0.0.1',
    );
    client = new TestClient(service.url, await issuer.mint(), '2026-11-22T12:00:00Z');
  }

  async function restart(): Promise<void> {
    await client.close();
    await service.close();
    await start();
  }

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-admin-'));
    issuer = await TestIssuer.start(clock);
    await start();
    await client.call('PUT', '/warehouses/london', { location: { country: 'GB', lat: 51.5, lon: -0.1 }, priority: 1 });
  });
  afterEach(async () => {
    await client.close();
    await service.close();
    await issuer.close();
    rmSync(directory, { recursive: true });
  });

  const receive = (receiptId: string, lines: Record<string, number>, warehouse = 'london') =>
    client.call('POST', '/receipts', {
      receiptId,
      warehouse,
      restock: 'restock-1',
      lines: Object.entries(lines).map(([sku, quantity]) => ({ sku, quantity })),
    });
  const adjust = (adjustmentId: string, type: string, quantity: number, more: JsonObject = {}) =>
    client.call('POST', '/adjustments', {
      adjustmentId,
      warehouse: 'london',
      sku: 'mug',
      type,
      quantity,
      reason: 'because',
      ...more,
    });
  const mug = async () => {
    const { body } = await client.call('GET', '/warehouses/london/stock?sku=mug');
    return (body['items'] as unknown as JsonObject[])[0]!;
  };
  const order = (orderId: string, quantity: number) =>
    client.single({
      command: 'reserve-stock',
      orderId,
      body: { lines: [{ sku: 'mug', quantity }], shipTo: { country: 'GB' } },
    });

  it('needs a token for each of its routes', async () => {
    const anonymous = { authorization: '' };
    const { body } = await client.call('GET', '/openapi.json');
    const paths = Object.entries(body['paths'] as unknown as Record<string, Record<string, unknown>>);
    let tried = 0;
    for (const [path, methods] of paths) {
      for (const method of Object.keys(methods)) {
        const url = path.replaceAll(/\{\w+\}/g, 'x');
        const answer = await client.call(
          method.toUpperCase() as 'GET',
          url,
          method === 'get' ? undefined : {},
          anonymous,
        );
        expect(answer.status, `${method} ${path}`).to.equal(401);
        tried += 1;
      }
    }
    expect(tried).to.be.at.least(15);
  });

  it('writes a warehouse as often as one likes, and never its stock', async () => {
    await receive('r1', { mug: 5 });
    const body = {
      location: { country: 'GB', lat: 51.5, lon: -0.1 },
      priority: 3,
      policy: { safetyStock: 1, reorderPoint: 4 },
      overrides: [{ sku: 'cup', reorderPoint: 9 }],
    };
    // What the operator's policy says besides is not inventory's.
    const spec = { ...body, policy: { ...body.policy, reorderUpTo: 50, supplier: 'potteries' } };
    for (const _ of ['once', 'twice']) {
      const answer = await client.call('PUT', '/warehouses/london', spec);
      expect(answer.body).to.deep.equal({ id: 'london', ...body });
    }
    expect(await mug()).to.include({ onHand: 5, available: 4, safetyStock: 1, reorderPoint: 4 });
    expect((await client.call('GET', '/warehouses')).body).to.deep.equal({ items: ['london'] });
    expect((await client.call('PUT', '/warehouses/Lon_don', body)).status).to.equal(400);
    const twice = [{ sku: 'cup' }, { sku: 'cup' }];
    expect((await client.call('PUT', '/warehouses/london', { ...body, overrides: twice })).status).to.equal(400);
    expect((await client.call('GET', '/warehouses/leeds')).body).to.include({
      status: 404,
      reason: 'UnknownWarehouse',
    });
  });

  it('books an adjustment once for ever, over a restart too', async () => {
    const first = await adjust('a1', 'received', 7);
    expect(first.status, JSON.stringify(first.body)).to.equal(200);
    expect(first.body).to.include({
      delta: 7,
      before: 0,
      after: 7,
      shortage: 0,
      appliedAt: '2026-11-22T12:00:00.000Z',
    });
    expect(await adjust('a1', 'received', 7)).to.deep.equal(first);
    await restart();
    expect(await adjust('a1', 'received', 7)).to.deep.equal(first);
    expect(await mug()).to.include({ onHand: 7 });
  });

  it('refuses another content under an id that it knows', async () => {
    await adjust('a1', 'received', 7);
    for (const [type, quantity, more] of [
      ['received', 8, {}],
      ['returned', 7, {}],
      ['received', 7, { reason: 'another' }],
    ] as const) {
      expect((await adjust('a1', type, quantity, more)).body).to.include({ status: 409, reason: 'ContentChanged' });
    }
    expect(await mug()).to.include({ onHand: 7 });
  });

  it('books what each type means', async () => {
    await adjust('a1', 'received', 10);
    await adjust('a2', 'damaged', 2);
    await adjust('a3', 'lost', 1);
    await adjust('a4', 'returned', 4);
    expect((await adjust('a5', 'counted', 8)).body).to.include({ delta: -3, before: 11, after: 8 });
    expect((await adjust('a6', 'counted', 8)).body).to.include({ delta: 0 });
    const { totals } = (await client.call('GET', '/conservation')).body as { totals?: JsonObject };
    expect(totals).to.include({ received: 10, adjusted: -6, returned: 4, onHand: 8, shipped: 0 });
  });

  it('refuses to lose what is not there, and does not remember the refusal', async () => {
    expect((await adjust('a1', 'lost', 1)).body).to.include({ status: 422, reason: 'NotOnHand', onHand: 0 });
    await adjust('a2', 'received', 1);
    expect((await adjust('a1', 'lost', 1)).status).to.equal(200);
    expect((await adjust('a3', 'damaged', 0)).body).to.include({ status: 422, reason: 'NothingToBook' });
    expect((await adjust('a4', 'lost', 1, { warehouse: 'leeds' })).body).to.include({
      status: 404,
      reason: 'UnknownWarehouse',
    });
    expect((await adjust('a5', 'stolen', 1)).status).to.equal(400);
  });

  it('says the shortage when a count finds less than was promised, and promises nothing more', async () => {
    await adjust('a1', 'received', 10);
    await order('order-1', 8);
    expect((await adjust('a2', 'counted', 5)).body).to.include({ after: 5, shortage: 3 });
    expect(await mug()).to.include({ onHand: 5, reserved: 8, available: 0, shortage: 3 });
    const { body } = await client.call('GET', '/warehouses/london/summary');
    expect(body).to.include({ shortCount: 1 });
    expect(body['totals']).to.include({ shortage: 3 });
    expect((await order('order-2', 1)).body['reason']).to.equal('OutOfStock');
    expect((await client.call('GET', '/conservation')).body).to.include({ balanced: true });
  });

  it('books up to 500 adjustments at once, an answer each', async () => {
    const item = (adjustmentId: string, quantity: number, warehouse = 'london') => ({
      adjustmentId,
      warehouse,
      sku: 'mug',
      type: 'received',
      quantity,
      reason: 'first stock',
    });
    const items = [
      ...Array.from({ length: 498 }, (_, index) => item(`a${index}`, 1)),
      item('a0', 2),
      item('b', 1, 'leeds'),
    ];
    const { status, body } = await client.call('POST', '/adjustments/batch', { items });
    expect(status).to.equal(200);
    const statuses = (body['items'] as unknown as { status: number }[]).map((answer) => answer.status);
    expect(statuses.slice(-2)).to.deep.equal([409, 404]);
    expect(new Set(statuses.slice(0, 498))).to.deep.equal(new Set([200]));
    expect(await mug()).to.include({ onHand: 498 });
    expect((await client.call('POST', '/adjustments/batch', { items: [...items, item('c', 1)] })).status).to.equal(400);
  });

  it('books a receipt once, in parts if it comes in parts', async () => {
    const first = await receive('r1', { mug: 5, cup: 1 });
    expect(first.body).to.deep.include({ receiptId: 'r1', restock: 'restock-1', warehouse: 'london' });
    expect(await receive('r1', { mug: 5, cup: 1 })).to.deep.equal(first);
    expect((await receive('r1', { mug: 6, cup: 1 })).body).to.include({ status: 409, reason: 'ContentChanged' });
    await receive('r2', { mug: 3 });
    expect(await mug()).to.include({ onHand: 8 });
  });

  it('lists stock in pages, with the totals of the whole warehouse', async () => {
    await receive('r1', { a: 1, b: 2, c: 3, d: 4, e: 5 });
    const seen: string[] = [];
    let cursor: string | undefined = '';
    while (cursor !== undefined) {
      const { body } = await client.call('GET', `/warehouses/london/stock?limit=2&cursor=${cursor}`);
      expect(body['totals']).to.include({ skus: 5, onHand: 15, available: 15 });
      seen.push(...(body['items'] as unknown as { sku: string }[]).map(({ sku }) => sku));
      cursor = body['next'] as string | undefined;
    }
    expect(seen).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
  });

  it('says what is low and what is out: by the SKU, else by the request, else by the policy', async () => {
    await receive('r1', { a: 1, b: 5, c: 5, d: 10 });
    await client.call('PUT', '/warehouses/london', {
      location: { country: 'GB' },
      policy: { reorderPoint: 1 },
      overrides: [{ sku: 'c', reorderPoint: 8 }],
    });
    const low = async (query: string) => {
      const { body } = await client.call('GET', `/warehouses/london/summary${query}`);
      expect(body['lowCount']).to.be.at.least((body['low'] as unknown as []).length);
      return (body['low'] as unknown as { sku: string }[]).map(({ sku }) => sku);
    };
    expect(await low('')).to.deep.equal(['c', 'a']);
    expect(await low('?reorderPoint=5')).to.deep.equal(['a', 'c', 'b']);
    expect(await low('?reorderPoint=5&limit=1')).to.deep.equal(['a']);
    await client.call('POST', '/adjustments', {
      adjustmentId: 'x',
      warehouse: 'london',
      sku: 'a',
      type: 'lost',
      quantity: 1,
      reason: 'r',
    });
    expect((await client.call('GET', '/warehouses/london/summary')).body).to.include({ outCount: 1 });
  });

  it('shows reservations, by state, in pages and by order', async () => {
    await receive('r1', { mug: 50 });
    for (let index = 0; index < 5; index += 1) await order(`order-${index}`, 1);
    const seen: string[] = [];
    let cursor: string | undefined = '';
    while (cursor !== undefined) {
      const { body } = await client.call('GET', `/reservations?state=open&limit=2&cursor=${cursor}`);
      seen.push(...(body['items'] as unknown as { orderId: string }[]).map(({ orderId }) => orderId));
      cursor = body['next'] as string | undefined;
    }
    expect(seen.sort()).to.deep.equal(['order-0', 'order-1', 'order-2', 'order-3', 'order-4']);
    expect((await client.call('GET', '/reservations?state=shipped')).body).to.deep.equal({ items: [] });
    expect((await client.call('GET', '/reservations?state=stolen')).status).to.equal(400);
    const { body } = await client.call('GET', '/orders/shop/checkout/order-0');
    const [reservation] = body['reservations'] as unknown as JsonObject[];
    expect(reservation).to.deep.include({
      state: 'reserved',
      lines: [{ warehouse: 'london', sku: 'mug', quantity: 1 }],
    });
    expect(body['steps']).to.have.length(1);
    expect((await client.call('GET', `/reservations/${reservation!['reservationId']}`)).body).to.deep.equal(
      reservation,
    );
    expect((await client.call('GET', '/reservations/none')).status).to.equal(404);
  });
});
