import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT, readManifests } from '@mercato/demo/local/install.ts';
import { migrations as inventoryMigrations, inventoryService } from '@mercato/inventory/service.ts';
import { type Command, type Migrations, openDatabase, SqliteStore } from '@mercato/kit';
import type { Exchange } from '@mercato/kit/exchange.ts';
import type { OrderSagaSpec } from '@mercato/operator/api/ordersaga.ts';
import type { ParticipantSpec } from '@mercato/operator/api/participant.ts';
import { readRequest } from '@mercato/order/domain/terms.ts';
import { simulatedAcquirer } from '@mercato/payment/adapters/simulated-acquirer.ts';
import { migrations as paymentMigrations, paymentService } from '@mercato/payment/service.ts';
import { simulatedCarrier } from '@mercato/shipping/adapters/simulated-carrier.ts';
import { migrations as shippingMigrations, shippingService } from '@mercato/shipping/service.ts';
import { expect } from 'chai';

const storeOf = (migrations: readonly Migrations[]) => new SqliteStore(openDatabase(':memory:'), { migrations });
/** Nothing is carried out here, so nobody is asked. */
const nobody: Exchange = () => Promise.reject(new Error('nobody is asked'));

/** What each service can do, and the business failures that it can answer with. */
function declared(): Record<string, readonly Command[]> {
  return {
    inventory: inventoryService({ store: storeOf(inventoryMigrations) }).commands,
    payment: paymentService({ store: storeOf(paymentMigrations), processor: simulatedAcquirer(nobody) }).commands,
    shipping: shippingService({ store: storeOf(shippingMigrations), carrier: simulatedCarrier(nobody) }).commands,
  };
}

describe('the example participants', () => {
  const services = declared();
  for (const file of ['examples/participants.yaml', 'examples/in-cluster/participants.yaml']) {
    it(`declare the commands and reasons of the services: ${file}`, async () => {
      const manifests = await readManifests(file);
      expect(manifests.map(({ metadata }) => metadata.name)).to.have.members(Object.keys(services));
      for (const { metadata, spec } of manifests) {
        const written = (spec as ParticipantSpec).commands.map(({ name, reasons = [] }) => [name, [...reasons].sort()]);
        const known = services[metadata.name]!.map(({ name, reasons }) => [name, [...reasons].sort()]);
        expect(Object.fromEntries(written), metadata.name).to.deep.equal(Object.fromEntries(known));
      }
    });
  }
});

describe('the example orders', () => {
  it('are taken by the order service, and of goods that the shop of the examples has', async () => {
    const folder = join(ROOT, 'examples');
    const files = (await readdir(folder)).filter((name) => name.startsWith('order-') || name === 'order.json');
    const orders = files.filter((name) => name.endsWith('.json'));
    expect(orders).to.include.members(['order.json', 'order-held.json', 'order-slow.json']);
    const sold = new Set(
      (await readManifests('examples'))
        .filter(({ kind }) => kind === 'StockAdjustment')
        .map(({ spec }) => (spec as { sku: string }).sku),
    );
    for (const name of orders) {
      const read = readRequest(JSON.parse(await readFile(join(folder, name), 'utf8')));
      if (!read.ok) throw new Error(`${name}: ${read.detail}`);
      for (const { sku } of read.request.lines) expect(sold, name).to.include(sku);
    }
  });
});

describe('the example of a protected saga', () => {
  it('names the commands of its participants, a queue and limits among them', async () => {
    const participants = await readManifests('examples/protection/participants.yaml');
    const specs = participants.map(({ spec }) => spec as ParticipantSpec);
    expect(specs.some(({ queue }) => queue !== undefined)).to.equal(true);
    expect(specs.some(({ limits }) => limits?.requestsPerSecond !== undefined)).to.equal(true);
    const known = participants.flatMap(({ metadata, spec }) =>
      (spec as ParticipantSpec).commands.map(({ name }) => `${metadata.name}/${name}`),
    );
    const [saga] = await readManifests('examples/protection/ordersaga-gift.yaml');
    const { steps, maxActive } = saga!.spec as OrderSagaSpec;
    expect(maxActive).to.equal(200);
    for (const { participant, command, compensation } of steps)
      expect(known).to.include.members([`${participant}/${command}`, `${participant}/${compensation}`]);
  });
});
