import { expect } from 'chai';
import { findCondition } from '../../api/conditions.ts';
import type { WarehouseInventory } from '../../api/warehouseinventory.ts';
import { expectedOf, levelsOf } from './levels.ts';
import { policies } from './policy.ts';
import { type Seen, statusOf } from './status.ts';

const NOW = '2026-11-22T14:00:00.000Z';
const warehouse: WarehouseInventory = {
  apiVersion: 'mercato.dev/v1alpha1',
  kind: 'WarehouseInventory',
  metadata: { name: 'leeds', namespace: 'shop', generation: 3 },
  spec: {
    participant: { name: 'inventory' },
    location: { country: 'GB' },
    priority: 1,
    policy: { safetyStock: 0, reorderPoint: 10, reorderUpTo: 0, leadTime: '3d', autoApproveUpTo: 0 },
    overrides: [],
  },
};

function seen(stock: Record<string, number>): Seen {
  const lines = Object.entries(stock).map(([sku, onHand]) => ({
    sku,
    onHand,
    reserved: 0,
    committed: 0,
    available: onHand,
  }));
  const onHand = lines.reduce((sum, line) => sum + line.onHand, 0);
  const totals = { skus: lines.length, onHand, reserved: 0, committed: 0, available: onHand };
  const levels = levelsOf(lines, policies(warehouse.spec), expectedOf([], 0));
  return { seen: true, totals, levels, incoming: 0, orders: [] };
}

describe('the status of a warehouse', () => {
  it('names the 20 shortest SKUs and counts all', () => {
    const stock = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`S${index}`, index % 12]));
    const status = statusOf(warehouse, seen(stock), NOW);
    expect(status.low).to.have.length(20);
    expect(status.lowCount).to.equal(28);
    expect(status.outCount).to.equal(3);
    expect(status.low?.[0]?.available).to.equal(0);
    expect(status.phase).to.equal('StockLow');
    const condition = findCondition(status.conditions, 'StockLow');
    expect(condition).to.include({ status: 'True', reason: 'OutOfStock', observedGeneration: 3 });
    expect(status.nextAction).to.contain('create a RestockOrder');
  });

  it('keeps what it last saw when inventory does not answer, and does not call it ready', () => {
    const before = { ...warehouse, status: statusOf(warehouse, seen({ MUG: 50 }), NOW) };
    const message = 'inventory cannot be reached';
    const after = statusOf(before, { seen: false, ready: 'Unknown', reason: 'Unreachable', message }, NOW);
    expect(after.totals).to.deep.equal(before.status.totals);
    expect(after.phase).to.equal('NotReady');
    expect(findCondition(after.conditions, 'Ready')).to.include({ status: 'Unknown', reason: 'Unreachable' });
    expect(findCondition(after.conditions, 'StockLow')?.status).to.equal('Unknown');
  });

  it('changes nothing when nothing changed, so that nothing is written', () => {
    const first = statusOf(warehouse, seen({ MUG: 50 }), NOW);
    expect(statusOf({ ...warehouse, status: first }, seen({ MUG: 50 }), '2026-11-22T15:00:00.000Z')).to.deep.equal(
      first,
    );
  });
});
