import { findCondition } from '@mercato/operator/api/conditions.ts';
import type { RestockOrder } from '@mercato/operator/api/restockorder.ts';
import { restockOrders } from '@mercato/operator/controllers/restockorder/resource.ts';
import { stockAdjustments } from '@mercato/operator/controllers/stockadjustment/resource.ts';
import { warehouseInventories } from '@mercato/operator/controllers/warehouseinventory/resource.ts';
import { eventually } from '@mercato/operator/testing/cluster.ts';
import { expect } from 'chai';
import { APPROVER, WarehouseBench } from './bench.ts';

const approval = JSON.stringify({ spec: { approval: { decision: 'Approve', by: APPROVER } } });

describe('stock on a real API server with a real inventory', function () {
  this.timeout(180_000);
  let bench: WarehouseBench;

  before(async () => {
    bench = await WarehouseBench.create();
    bench.startControllers();
  });
  after(() => bench.close());

  const onHand = (name: string, units: number) =>
    bench.warehouse(name, ({ status }) => status?.totals?.onHand === units && status.phase !== 'NotReady');
  /** Waits until the controllers know of a warehouse that it is ready, or with undefined, that it is gone. */
  const untilReady = (warehouse: string, ready: number | undefined) =>
    eventually(
      async () => {
        const labels = `namespace="${bench.cluster.namespace}",warehouse="${warehouse}"`;
        return (await bench.metric(`mercato_warehouse_ready{${labels}}`)) === ready;
      },
      () => `${warehouse} is not ${ready === undefined ? 'gone' : 'ready'} for the controllers`,
    );
  const onlyOrderOf = async (warehouse: string): Promise<RestockOrder> => {
    let orders: RestockOrder[] = [];
    await eventually(
      async () => {
        orders = await bench.ordersOf(warehouse);
        return orders.length > 0;
      },
      () => `${warehouse} ordered nothing`,
    );
    expect(orders).to.have.length(1);
    return orders[0] as RestockOrder;
  };

  it('shows what a warehouse has, after adjustments are booked', async () => {
    await bench.applyWarehouse('york', { safetyStock: 5 });
    await bench.applyAdjustment('york-1', { warehouse: 'york', sku: 'MUG', quantity: 30 });
    const booked = await bench.adjustment('york-1', ({ status }) => status?.phase === 'Applied');
    expect(booked.status).to.include({ before: 0, after: 30 });
    const { status } = await onHand('york', 30);
    expect(status?.totals).to.deep.equal({
      skus: 1,
      onHand: 30,
      reserved: 0,
      committed: 0,
      available: 25,
      incoming: 0,
    });
    expect(status?.phase).to.equal('Ready');
    expect(findCondition(status?.conditions, 'StockLow')?.status).to.equal('False');
    expect(await bench.eventsOf('york-1', 'Booked')).to.deep.equal(['Booked']);
  });

  it('orders goods that run low, which a person approves and which come in parts', async () => {
    const policy = { reorderPoint: 20, reorderUpTo: 100, supplier: 'potteries-parts', leadTime: '1s' };
    await bench.applyWarehouse('leeds', policy);
    await bench.applyAdjustment('leeds-1', { warehouse: 'leeds', sku: 'MUG', quantity: 50 });
    await onHand('leeds', 50);
    await bench.applyAdjustment('leeds-2', { warehouse: 'leeds', sku: 'MUG', type: 'Lost', quantity: 35 });

    const proposed = await onlyOrderOf('leeds');
    expect(proposed.spec).to.deep.include({ supplier: 'potteries-parts', leadTime: '1s' });
    expect(proposed.spec.lines).to.deep.equal([{ sku: 'MUG', quantity: 85 }]);
    expect(proposed.metadata.ownerReferences).to.equal(undefined);
    const low = await bench.warehouse('leeds', ({ status }) => status?.phase === 'StockLow');
    expect(low.status?.low).to.deep.equal([{ sku: 'MUG', available: 15, incoming: 0, reorderPoint: 20 }]);
    expect(low.status?.nextAction).to.contain(proposed.metadata.name);
    await bench.eventsOf('leeds', 'RestockProposed');
    await bench.order(proposed.metadata.name, ({ status }) => status?.phase === 'Proposed');
    const labels = `namespace="${bench.cluster.namespace}",warehouse="leeds"`;
    await eventually(
      async () => (await bench.metric(`mercato_stock_low_skus{${labels}}`)) === 1,
      () => 'the metric does not say that one SKU is low',
    );

    await bench.kubectl(APPROVER, 'patch', 'rso', proposed.metadata.name, '--type', 'merge', '-p', approval);
    const order = await bench.order(proposed.metadata.name, ({ status }) => status?.phase === 'Received');
    expect(order.status).to.include({ approvedBy: APPROVER, receivedUnits: 85, totalUnits: 85, receiptCount: 3 });
    expect(findCondition(order.status?.conditions, 'Received')?.reason).to.equal('Complete');
    const reasons = await bench.eventsOf(proposed.metadata.name, 'Received');
    expect(reasons).to.include.members(['Proposed', 'Approved', 'Ordered', 'InTransit', 'GoodsReceived', 'Received']);
    await onHand('leeds', 100);
    await bench.warehouse('leeds', ({ status }) => status?.totals?.incoming === 0);
    expect(await bench.ordersOf('leeds')).to.have.length(1);
    await bench.warehouse('leeds', ({ status }) => status?.phase === 'Ready');
  });

  it('approves by policy what is small enough', async () => {
    await bench.applyWarehouse('hull', {
      reorderPoint: 5,
      reorderUpTo: 20,
      supplier: 'potteries',
      leadTime: '500ms',
      autoApproveUpTo: 20,
    });
    await bench.applyAdjustment('hull-1', { warehouse: 'hull', sku: 'MUG', quantity: 4 });
    const { metadata } = await onlyOrderOf('hull');
    const order = await bench.order(metadata.name, ({ status }) => status?.phase === 'Received');
    expect(order.status?.approvedBy).to.equal('policy:hull');
    await onHand('hull', 20);
  });

  it('books an adjustment once, however often its object is created', async () => {
    await bench.applyWarehouse('ripon', {});
    const lost = { warehouse: 'ripon', sku: 'MUG', type: 'Counted', quantity: 12 };
    await bench.applyAdjustment('ripon-1', lost);
    const first = await bench.adjustment('ripon-1', ({ status }) => status?.phase === 'Applied');
    await bench.applyAdjustment('ripon-2', { warehouse: 'ripon', sku: 'MUG', type: 'Damaged', quantity: 2 });
    await onHand('ripon', 10);

    await bench.remove(stockAdjustments, 'ripon-1');
    await eventually(
      () => Date.now() > Date.parse(first.status?.appliedAt ?? '') + 2000,
      () => 'the clock stands still',
    );
    await bench.applyAdjustment('ripon-1', lost);
    const again = await bench.adjustment('ripon-1', ({ status }) => status?.phase === 'Applied');
    expect(again.metadata.uid).not.to.equal(first.metadata.uid);
    expect(again.status?.movement).to.equal(first.status?.movement);
    expect(findCondition(again.status?.conditions, 'Applied')?.reason).to.equal('AppliedBefore');
    await onHand('ripon', 10);
  });

  it('refuses an adjustmentId that was used for something else, and says what to do', async () => {
    await bench.applyWarehouse('otley', {});
    await bench.applyAdjustment('otley-1', { warehouse: 'otley', sku: 'MUG', quantity: 3 });
    await bench.applyAdjustment('otley-2', { warehouse: 'otley', sku: 'MUG', quantity: 4, adjustmentId: 'otley-1' });
    const refused = await bench.adjustment('otley-2', ({ status }) => status?.phase === 'Refused');
    const applied = findCondition(refused.status?.conditions, 'Applied');
    expect(applied).to.include({ status: 'False', reason: 'AdjustmentIdReused' });
    expect(applied?.message).to.contain('new adjustmentId');
    await onHand('otley', 3);
    await bench.eventsOf('otley-2', 'AdjustmentIdReused');
  });

  it('keeps an adjustment for a warehouse that is not there yet', async () => {
    await bench.applyAdjustment('selby-1', { warehouse: 'selby', sku: 'MUG', quantity: 7 });
    const waiting = await bench.adjustment('selby-1', ({ status }) => status?.phase === 'Pending');
    expect(findCondition(waiting.status?.conditions, 'Applied')?.reason).to.equal('WarehouseNotFound');
    await bench.applyWarehouse('selby', {});
    await bench.adjustment('selby-1', ({ status }) => status?.phase === 'Applied');
  });

  it('cancels an order that has not left the supplier, and receives one that has', async () => {
    await bench.applyWarehouse('thirsk', {});
    const spec = { warehouse: 'thirsk', supplier: 'potteries', lines: [{ sku: 'MUG', quantity: 5 }] };
    const cancel = JSON.stringify({ spec: { cancel: { reason: 'not needed' } } });
    const patch = (name: string, what: string) =>
      bench.kubectl(APPROVER, 'patch', 'rso', name, '--type', 'merge', '-p', what);

    await bench.apply('RestockOrder', 'thirsk-early', { ...spec, leadTime: '1h' });
    await patch('thirsk-early', approval);
    await bench.order('thirsk-early', ({ status }) => status?.phase === 'Ordered');
    await patch('thirsk-early', cancel);
    await bench.order('thirsk-early', ({ status }) => status?.phase === 'Cancelled');

    bench.held.passed = 0.5;
    await bench.apply('RestockOrder', 'thirsk-late', { ...spec, supplier: 'held', leadTime: '1s' });
    await patch('thirsk-late', approval);
    await bench.order('thirsk-late', ({ status }) => status?.phase === 'InTransit');
    await patch('thirsk-late', cancel);
    const isRefused = ({ status }: RestockOrder) =>
      findCondition(status?.conditions, 'Cancelled')?.reason === 'AlreadyInTransit';
    await bench.order('thirsk-late', isRefused);
    bench.held.passed = 1;
    await bench.order('thirsk-late', (order) => order.status?.phase === 'Received' && isRefused(order));
    await onHand('thirsk', 5);
  });

  it('keeps goods in transit when their warehouse is deleted, and books them when it is back', async () => {
    bench.held.passed = 0;
    await bench.applyWarehouse('malton', {});
    await untilReady('malton', 1);
    const spec = { warehouse: 'malton', supplier: 'held', leadTime: '1s', lines: [{ sku: 'MUG', quantity: 5 }] };
    await bench.apply('RestockOrder', 'malton-1', spec);
    await bench.kubectl(APPROVER, 'patch', 'rso', 'malton-1', '--type', 'merge', '-p', approval);
    await bench.order('malton-1', ({ status }) => status?.phase === 'Ordered');
    await bench.remove(warehouseInventories, 'malton');
    await untilReady('malton', undefined);
    bench.held.passed = 1;
    const waits = await bench.order(
      'malton-1',
      ({ status }) => findCondition(status?.conditions, 'Blocked')?.status === 'True',
    );
    expect(findCondition(waits.status?.conditions, 'Blocked')?.reason).to.equal('WarehouseNotFound');
    await bench.applyWarehouse('malton', {});
    await bench.order('malton-1', ({ status }) => status?.phase === 'Received');
    await onHand('malton', 5);
  });

  it('says it when an order with goods on their way is deleted', async () => {
    await bench.applyWarehouse('settle', {});
    const spec = { warehouse: 'settle', supplier: 'potteries', leadTime: '1h', lines: [{ sku: 'MUG', quantity: 5 }] };
    await bench.apply('RestockOrder', 'settle-1', spec);
    await bench.kubectl(APPROVER, 'patch', 'rso', 'settle-1', '--type', 'merge', '-p', approval);
    await bench.order('settle-1', ({ status }) => status?.phase === 'Ordered');
    await bench.remove(restockOrders, 'settle-1');
    await bench.eventsOf('settle', 'RestockDeleted');
  });

  it('goes on where it was when the operator is started again, and orders nothing twice', async () => {
    const policy = { reorderPoint: 20, reorderUpTo: 50, supplier: 'potteries-parts', leadTime: '2s' };
    await bench.applyWarehouse('wetherby', { ...policy, autoApproveUpTo: 100 });
    await bench.applyAdjustment('wetherby-1', { warehouse: 'wetherby', sku: 'MUG', quantity: 10 });
    const { metadata } = await onlyOrderOf('wetherby');
    const before = await bench.order(metadata.name, ({ status }) => (status?.receiptCount ?? 0) > 0);
    await bench.stopControllers();
    bench.startControllers();
    const after = await bench.order(metadata.name, ({ status }) => status?.phase === 'Received');
    expect(after.status?.expectedAt).to.equal(before.status?.expectedAt);
    expect(after.status).to.include({ receivedUnits: 40, receiptCount: 3 });
    await onHand('wetherby', 50);
    expect(await bench.ordersOf('wetherby')).to.have.length(1);
  });

  it('books nothing a second time for an order that comes back from a backup without its status', async () => {
    await bench.applyWarehouse('skipton', {});
    const spec = {
      warehouse: 'skipton',
      supplier: 'potteries',
      leadTime: '400ms',
      lines: [{ sku: 'MUG', quantity: 6 }],
    };
    const round = async () => {
      await bench.apply('RestockOrder', 'skipton-1', spec);
      await bench.kubectl(APPROVER, 'patch', 'rso', 'skipton-1', '--type', 'merge', '-p', approval);
      return bench.order('skipton-1', ({ status }) => status?.phase === 'Received');
    };
    const first = await round();
    await onHand('skipton', 6);
    await bench.remove(restockOrders, 'skipton-1');
    const second = await round();
    expect(second.metadata.uid).not.to.equal(first.metadata.uid);
    expect(second.status?.receipts?.[0]?.at).to.equal(first.status?.receipts?.[0]?.at);
    await bench.applyAdjustment('skipton-2', { warehouse: 'skipton', sku: 'MUG', quantity: 1 });
    await onHand('skipton', 7);
  });

  it('loses nothing while inventory is down, and goes on when it is back', async () => {
    await bench.applyWarehouse('whitby', {});
    await bench.applyAdjustment('whitby-1', { warehouse: 'whitby', sku: 'MUG', quantity: 9 });
    await onHand('whitby', 9);
    await bench.stopInventory();
    const down = await bench.warehouse('whitby', ({ status }) => status?.phase === 'NotReady');
    expect(findCondition(down.status?.conditions, 'Ready')).to.include({ status: 'Unknown', reason: 'Unreachable' });
    expect(down.status?.totals?.onHand).to.equal(9);
    await bench.applyAdjustment('whitby-2', { warehouse: 'whitby', sku: 'MUG', quantity: 2 });
    await bench.adjustment('whitby-2', ({ status }) => status?.phase === 'Pending');
    await bench.startInventory();
    await bench.adjustment('whitby-2', ({ status }) => status?.phase === 'Applied');
    await onHand('whitby', 11);
    expect(await bench.eventsOf('whitby', 'InventoryAnswers')).to.include('Unreachable');
  });

  it('says what is missing when the participant is not there', async () => {
    await bench.applyWarehouse('goole', {}, { participant: { name: 'nobody' } });
    const { status } = await bench.warehouse('goole', (goole) => goole.status?.phase === 'NotReady');
    expect(findCondition(status?.conditions, 'Ready')).to.include({ status: 'False', reason: 'ParticipantNotFound' });
  });

  it('waits for a supplier that does not answer, and orders when it does', async () => {
    await bench.applyWarehouse('hawes', {});
    const spec = { warehouse: 'hawes', supplier: 'absent', leadTime: '400ms', lines: [{ sku: 'MUG', quantity: 5 }] };
    await bench.apply('RestockOrder', 'hawes-1', spec);
    await bench.kubectl(APPROVER, 'patch', 'rso', 'hawes-1', '--type', 'merge', '-p', approval);
    const waits = await bench.order(
      'hawes-1',
      ({ status }) => findCondition(status?.conditions, 'Blocked')?.reason === 'SupplierUnavailable',
    );
    expect(waits.status?.phase).to.equal('Approved');
    bench.absent.back = true;
    await bench.cluster.client.patch(
      restockOrders,
      { namespace: bench.cluster.namespace, name: 'hawes-1' },
      {
        metadata: { labels: { 'mercato.dev/look': 'again' } },
      },
    );
    await bench.order('hawes-1', ({ status }) => status?.phase === 'Received');
    await onHand('hawes', 5);
  });

  it('proposes nothing again that a person has rejected, and says why', async () => {
    await bench.applyWarehouse('masham', { reorderPoint: 5, reorderUpTo: 20, supplier: 'potteries' });
    await bench.applyAdjustment('masham-1', { warehouse: 'masham', sku: 'MUG', quantity: 4 });
    const { metadata } = await onlyOrderOf('masham');
    const rejection = { spec: { approval: { decision: 'Reject', by: APPROVER, reason: 'too dear' } } };
    await bench.kubectl(APPROVER, 'patch', 'rso', metadata.name, '--type', 'merge', '-p', JSON.stringify(rejection));
    await bench.order(metadata.name, ({ status }) => status?.phase === 'Rejected');
    const { status } = await bench.warehouse('masham', (it) => it.status?.nextAction?.includes('rejected') === true);
    expect(status?.totals?.incoming).to.equal(0);
  });

  it('orders once and receives once although two operators believe to lead', async () => {
    bench.startControllers();
    const policy = { reorderPoint: 20, reorderUpTo: 60, supplier: 'potteries-parts', leadTime: '1s' };
    await bench.applyWarehouse('pickering', { ...policy, autoApproveUpTo: 100 });
    await bench.applyAdjustment('pickering-1', { warehouse: 'pickering', sku: 'MUG', quantity: 10 });
    const { metadata } = await onlyOrderOf('pickering');
    const order = await bench.order(metadata.name, ({ status }) => status?.phase === 'Received');
    expect(order.status).to.include({ receivedUnits: 50, receiptCount: 3 });
    await onHand('pickering', 60);
    expect(await bench.ordersOf('pickering')).to.have.length(1);
  });

  it('is part of the operator, which has the rights for it', async () => {
    await bench.stopControllers();
    await bench.cluster.startOperator();
    await bench.applyWarehouse('filey', {
      reorderPoint: 20,
      reorderUpTo: 60,
      supplier: 'potteries',
      leadTime: '1s',
      autoApproveUpTo: 60,
    });
    await bench.applyAdjustment('filey-1', { warehouse: 'filey', sku: 'MUG', quantity: 10 });
    await bench.adjustment('filey-1', ({ status }) => status?.phase === 'Applied');
    const { metadata } = await onlyOrderOf('filey');
    await bench.order(metadata.name, ({ status }) => status?.phase === 'Received');
    await bench.cluster.stopOperator();
  });
});
