import { expect } from 'chai';
import { findCondition } from '../../api/conditions.ts';
import type { Participant } from '../../api/participant.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import { InventoryUnavailable } from '../../inventory/errors.ts';
import type { Inventory, Stock } from '../../inventory/port.ts';
import { Cache } from '../../kube/cache.ts';
import { Fence } from '../../kube/fence.ts';
import { keyOfObject } from '../../kube/key.ts';
import { Store } from '../../kube/store.ts';
import { VirtualClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { TestCluster } from '../../testing/cluster.ts';
import { BY_WAREHOUSE, restockOrders, warehouseKeys } from '../restockorder/resource.ts';
import { LOOK_EVERY_MILLIS, WarehouseInventoryController } from './controller.ts';
import { InventoryDirectory } from './inventories.ts';
import { warehouseInventories } from './resource.ts';

describe('WarehouseInventory controller', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  before(async () => {
    cluster = await TestCluster.create();
  });
  after(() => cluster.close());

  const apply = (displayName: string) =>
    cluster.apply({
      kind: 'WarehouseInventory',
      metadata: { name: 'leeds' },
      spec: { displayName, participant: { name: 'queue' }, location: { country: 'GB' } },
    });
  const read = (): Promise<WarehouseInventory> =>
    cluster.client.get(warehouseInventories, { namespace: cluster.namespace, name: 'leeds' });

  const bench = (inventories: Pick<InventoryDirectory, 'find'>) => {
    const { client } = cluster;
    const clock = new VirtualClock();
    const told: string[] = [];
    const controller = new WarehouseInventoryController({
      client,
      fence: new Fence(),
      inventories,
      orders: new Cache({ client, resource: restockOrders, indexes: { [BY_WAREHOUSE]: warehouseKeys } }),
      ordersFence: new Fence(),
      recorder: { event: (_, { reason }) => told.push(reason) },
      clock,
    });
    const reconcile = async () => {
      const warehouse = await read();
      const { namespace = '', name } = warehouse.metadata;
      const { signal } = new AbortController();
      const context = { key: keyOfObject(warehouse), namespace, name, signal, retries: 0, logger: silentLogger };
      return controller.reconcile(warehouse, context);
    };
    const ready = async () => {
      const { status } = await read();
      return findCondition(status?.conditions, 'Ready')?.reason;
    };
    return { clock, told, reconcile, ready };
  };

  it('looks at a warehouse every 10 s and not sooner, but at once when its spec changed', async () => {
    const shelf = new Shelf();
    const { clock, reconcile, ready } = bench({
      find: () => ({ found: true, inventory: shelf, address: 'http://inventory' }),
    });
    await apply('Leeds');
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    expect([shelf.looks, await ready()]).to.deep.equal([1, 'InventoryAnswers']);

    clock.advance(3000);
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: 7000 });
    expect(shelf.looks, 'it is not due').to.equal(1);

    await apply('Leeds, the old one');
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    expect(shelf.looks).to.equal(2);
    expect((await read()).status?.observedGeneration).to.equal((await read()).metadata.generation);

    clock.advance(LOOK_EVERY_MILLIS);
    shelf.isDown = true;
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    expect(await ready()).to.equal('Unreachable');
    shelf.isDown = false;
    clock.advance(1000);
    await reconcile();
    expect([shelf.looks, await ready()], 'a look that failed puts none off').to.deep.equal([4, 'InventoryAnswers']);
  });

  it('looks at once when the Participant that was missing comes', async () => {
    const participants = new Store<Participant>();
    const directory = new InventoryDirectory(participants, { tokens: () => Promise.reject(new Error('not asked')) });
    const { told, reconcile, ready } = bench(directory);
    await cluster.client.delete(warehouseInventories, { namespace: cluster.namespace, name: 'leeds' });
    await apply('Leeds');
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    expect(await ready()).to.equal('ParticipantNotFound');

    participants.upsert({
      apiVersion: 'mercato.dev/v1alpha1',
      kind: 'Participant',
      metadata: { name: 'queue', namespace: cluster.namespace },
      spec: {
        queue: { url: 'https://sqs.example.com/1/commands', answersUrl: 'https://sqs.example.com/1/answers' },
        audience: 'inventory',
        commands: [],
        limits: { maxInFlight: 1, maxAnswerBytes: 1024 },
      },
    });
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    expect(await ready()).to.equal('QueueNotSupported');
    expect(told).to.deep.equal(['ParticipantNotFound', 'QueueNotSupported']);
    await directory.close();
  });
});

/** An inventory with nothing in it that counts how often it is looked at. */
class Shelf implements Inventory {
  looks = 0;
  isDown = false;

  async register(): Promise<void> {}

  async stock(): Promise<Stock> {
    this.looks += 1;
    if (this.isDown) throw new InventoryUnavailable('Unreachable', 'cannot be reached');
    return { lines: [], totals: { skus: 0, onHand: 0, reserved: 0, committed: 0, available: 0 } };
  }

  adjust(): Promise<never> {
    return Promise.reject(new Error('nothing is adjusted here'));
  }

  receive(): Promise<never> {
    return Promise.reject(new Error('nothing comes in here'));
  }
}
