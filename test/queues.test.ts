import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientConfig } from '@mercato/aws-emulators';
import { sharedElasticMq } from '@mercato/aws-emulators/testing.ts';
import { inventoryService, migrations } from '@mercato/inventory/service.ts';
import {
  createLogger,
  JwksTokenCheck,
  openDatabase,
  type RunningService,
  SqliteStore,
  startService,
} from '@mercato/kit';
import type { CommandQueue } from '@mercato/kit/queue/consumer.ts';
import { TestClient } from '@mercato/kit/testing/client.ts';
import { TestIssuer, testAudience, testSubject } from '@mercato/kit/testing/issuer.ts';
import { testQueues } from '@mercato/kit/testing/queue-client.ts';
import { ParticipantRegistry } from '@mercato/operator/participants/registry.ts';
import { effectOf, patient, runOf } from '@mercato/operator/participants/testing/commands.ts';
import { expect } from 'chai';

const body = { lines: [{ sku: 'mug', quantity: 1 }], shipTo: { country: 'GB' } };

describe('the operator and inventory over queues', function () {
  this.timeout(180_000);
  let folder: string;
  let sqs: ClientConfig;
  let commandQueue: CommandQueue;
  let issuer: TestIssuer;
  let inventory: RunningService;
  let registry: ParticipantRegistry;

  before(async () => {
    sqs = (await sharedElasticMq()).client;
    folder = await mkdtemp(join(tmpdir(), 'mercato-queues-'));
    commandQueue = await testQueues(sqs);
    issuer = await TestIssuer.start();
    inventory = await startInventory();
    const token = await issuer.mint();
    const admin = new TestClient(inventory.url, token, new Date().toISOString());
    await admin.call('PUT', '/warehouses/london', { location: { country: 'GB' } });
    const lines = [{ sku: 'mug', quantity: 100 }];
    await admin.call('POST', '/receipts', { receiptId: 'r-1', warehouse: 'london', restock: 'restock', lines });
    await admin.close();
    registry = new ParticipantRegistry({ tokens: async () => token, sqs: { config: sqs } });
    registry.set('shop', 'inventory', {
      queue: commandQueue,
      audience: testAudience,
      reasons: { 'reserve-stock': ['OutOfStock', 'UnknownSku'], 'release-stock': ['AlreadyShipped'] },
    });
  });

  after(async () => {
    await registry.close();
    await inventory.close();
    await issuer.close();
    await rm(folder, { recursive: true });
  });

  function startInventory(): Promise<RunningService> {
    const store = new SqliteStore(openDatabase(join(folder, 'inventory.sqlite')), { migrations });
    const { participant, routes } = inventoryService({ store });
    const tokens = new JwksTokenCheck({
      issuer: issuer.issuer,
      audience: testAudience,
      jwksUrl: issuer.jwksUrl,
      allowedSubjects: [testSubject],
    });
    const logger = createLogger('inventory', 'silent');
    const parts = { name: 'inventory', version: '1', store, participant, routes, tokens, logger, commandQueue };
    return startService(parts, 0, '127.0.0.1');
  }

  const send = (orderId: string, over: Parameters<typeof effectOf>[1] = {}) =>
    registry.send(
      runOf(orderId),
      effectOf(orderId, { timeout: 60_000, begunAt: Date.now(), body, ...over }),
      patient(),
    );

  it('reserves, answers a repeat as it did, fails as declared, and undoes', async () => {
    const ids = Array.from({ length: 40 }, (_, i) => `order-${i}`);
    const answers = await Promise.all(ids.map((id) => send(id)));
    expect(new Set(answers.map(({ type }) => type))).to.deep.equal(new Set(['Success']));
    expect(await send('order-0', { send: 2 })).to.deep.equal(answers[0]);
    const greedy = { ...body, lines: [{ sku: 'mug', quantity: 1000 }] };
    expect(await send('order-greedy', { body: greedy })).to.include({ type: 'BusinessFailure', reason: 'OutOfStock' });
    const undo = { kind: 'compensation', command: 'release-stock' } as const;
    expect(await send('order-0', { ...undo, key: 'shop/checkout/order-0/reserve/compensation' })).to.include({
      type: 'Success',
    });
    expect(await send('order-0', { send: 3 })).to.include({ type: 'Refused', reason: 'Fenced' });
  });

  it('loses no command that comes while the participant is away', async () => {
    await inventory.close();
    const waiting = Promise.all(['late-1', 'late-2'].map((id) => send(id)));
    inventory = await startInventory();
    expect((await waiting).map(({ type }) => type)).to.deep.equal(['Success', 'Success']);
  });
});
