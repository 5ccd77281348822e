import { expect } from 'chai';
import { findCondition } from '../../api/conditions.ts';
import type { Participant } from '../../api/participant.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
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
  this.timeout(60_000);
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

  it('looks at a warehouse every 10 s and not sooner, but at once when its spec changed', async () => {
    const { client } = cluster;
    const clock = new VirtualClock();
    const participants = new Store<Participant>();
    const told: string[] = [];
    const inventories = new InventoryDirectory(participants, { tokens: () => Promise.reject(new Error('not asked')) });
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

    await apply('Leeds');
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    const first = await read();
    expect(findCondition(first.status?.conditions, 'Ready')?.reason).to.equal('ParticipantNotFound');

    // What it would see has changed, but it is not due.
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
    clock.advance(3000);
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: 7000 });
    expect((await read()).metadata.resourceVersion).to.equal(first.metadata.resourceVersion);

    await apply('Leeds, the old one');
    expect(await reconcile()).to.deep.equal({ kind: 'requeueAfter', ms: LOOK_EVERY_MILLIS });
    const second = await read();
    expect(findCondition(second.status?.conditions, 'Ready')?.reason).to.equal('QueueNotSupported');
    expect(second.status?.observedGeneration).to.equal(2);
    expect(told).to.deep.equal(['ParticipantNotFound', 'QueueNotSupported']);
    await inventories.close();
  });
});
