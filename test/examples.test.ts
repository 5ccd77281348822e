import { readManifests } from '@mercato/demo/local/install.ts';
import { migrations as inventoryMigrations, inventoryService } from '@mercato/inventory/service.ts';
import { type Command, type Migrations, openDatabase, SqliteStore } from '@mercato/kit';
import type { Exchange } from '@mercato/kit/exchange.ts';
import type { ParticipantSpec } from '@mercato/operator/api/participant.ts';
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
