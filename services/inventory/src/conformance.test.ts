import { join } from 'node:path';
import { sharedElasticMq } from '@mercato/aws-emulators/testing.ts';
import { createLogger, type JsonObject, openDatabase, SqliteStore, startService } from '@mercato/kit';
import { type ConformancePorts, describeParticipant } from '@mercato/kit/conformance.ts';
import type { TestClient } from '@mercato/kit/testing/client.ts';
import { inventoryService, migrations } from './service.ts';

function start({ dataDir, clock, tokens, commandQueue }: ConformancePorts) {
  const store = new SqliteStore(openDatabase(join(dataDir, 'inventory.sqlite')), { migrations });
  const service = inventoryService({ store, clock });
  const { participant, routes, tasks } = service;
  const logger = createLogger('inventory', 'silent');
  return startService(
    { name: 'inventory', version: '1', store, clock, tokens, commandQueue, participant, routes, tasks, logger },
    0,
    '127.0.0.1',
  );
}

const receive = (client: TestClient, receiptId: string, quantity: number) =>
  client.call('POST', '/receipts', {
    receiptId,
    warehouse: 'london',
    restock: 'restock',
    lines: [{ sku: 'mug', quantity }],
  });

async function prepare(client: TestClient): Promise<void> {
  await client.call('PUT', '/warehouses/london', { location: { country: 'GB' } });
  await receive(client, 'receipt-1', 10);
}

const order = (quantity: number) => ({ lines: [{ sku: 'mug', quantity }], shipTo: { country: 'GB' } });

/** Reservations of an order in one of the states, as the stock's own rows have them. */
const inState =
  (...states: string[]) =>
  async (client: TestClient, orderId: string) => {
    const { body } = await client.call('GET', `/orders/shop/checkout/${orderId}`);
    return (body['reservations'] as unknown as { state: string }[]).filter(({ state }) => states.includes(state))
      .length;
  };

describeParticipant(
  'inventory: reserve-stock',
  {
    start,
    prepare,
    action: 'reserve-stock',
    compensation: 'release-stock',
    body: () => order(2),
    otherBody: () => order(3),
    badBody: order(0),
    failing: {
      body: () => order(11),
      reason: 'OutOfStock',
      repair: async (client) => void (await receive(client, 'receipt-2', 10)),
    },
    effects: inState('reserved', 'committed'),
  },
  { sqs: sharedElasticMq },
);

const reserved = async (client: TestClient, orderId: string): Promise<JsonObject> => {
  const { body } = await client.single({ command: 'reserve-stock', orderId, step: 'reserve', body: order(2) });
  return { reservationId: body['reservationId'] };
};

describeParticipant('inventory: commit-stock', {
  start,
  prepare,
  action: 'commit-stock',
  compensation: 'release-stock',
  body: reserved,
  otherBody: () => ({ reservationId: 'rsv-another' }),
  badBody: { reservationId: 7 },
  effects: inState('committed'),
});
