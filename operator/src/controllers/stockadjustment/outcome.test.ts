import { expect } from 'chai';
import { findCondition } from '../../api/conditions.ts';
import type { StockAdjustment } from '../../api/stockadjustment.ts';
import { InventoryRefused, InventoryUnavailable } from '../../inventory/errors.ts';
import { adjustmentOf, isSettled, outcomeOf, statusOf } from './outcome.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const adjustment: StockAdjustment = {
  apiVersion: 'mercato.dev/v1alpha1',
  kind: 'StockAdjustment',
  metadata: { name: 'broken', namespace: 'shop', generation: 1, creationTimestamp: '2026-11-22T11:59:59Z' },
  spec: { adjustmentId: 'broken-1', warehouse: 'leeds', sku: 'MUG', type: 'Damaged', quantity: 3, reason: 'dropped' },
};
const booked = (appliedAt: string, shortage = 0) => ({
  kind: 'Applied' as const,
  booked: { before: 10, after: 7, shortage, movement: '42', appliedAt },
});
const applied = (status: StockAdjustment['status']) => findCondition(status?.conditions, 'Applied');

describe('the outcome of a stock adjustment', () => {
  it('says before and after, and is settled', () => {
    const status = statusOf(adjustment, booked('2026-11-22T12:00:00Z'), NOW);
    expect(status).to.include({ phase: 'Applied', before: 10, after: 7, movement: '42' });
    expect(applied(status)).to.include({ status: 'True', reason: 'Booked', message: 'on hand 10 -> 7' });
    expect(isSettled({ ...adjustment, status })).to.equal(true);
  });

  it('says that it was booked for an earlier object, and not again', () => {
    expect(applied(statusOf(adjustment, booked('2026-11-20T08:00:00Z'), NOW))?.reason).to.equal('AppliedBefore');
    // Of the same second, and of a clock that is a little behind: booked for this object.
    expect(applied(statusOf(adjustment, booked('2026-11-22T11:59:58.300Z'), NOW))?.reason).to.equal('Booked');
  });

  it('says what is promised and not there any more', () => {
    const status = statusOf(adjustment, booked('2026-11-22T12:00:00Z', 4), NOW);
    expect(applied(status)?.message).to.contain('4 units are promised to orders and not there');
  });

  it('refuses for good what inventory refuses, and waits for everything else', () => {
    const of = (error: Error) => outcomeOf(error, adjustment);
    expect(of(new InventoryRefused(409, 'ContentChanged', 'x'))).to.include({
      kind: 'Refused',
      reason: 'AdjustmentIdReused',
    });
    expect(of(new InventoryRefused(422, 'NotOnHand', 'x'))).to.include({ kind: 'Refused', reason: 'NotOnHand' });
    expect(of(new InventoryRefused(404, 'UnknownWarehouse', 'x'))?.kind).to.equal('Pending');
    expect(of(new InventoryUnavailable('Timeout', 'x'))).to.include({ kind: 'Pending', reason: 'Timeout' });
    expect(of(new TypeError('a defect'))).to.equal(undefined);
    const pending = of(new InventoryUnavailable('Timeout', 'x'));
    if (pending === undefined) throw new Error('no outcome');
    expect(isSettled({ ...adjustment, status: statusOf(adjustment, pending, NOW) })).to.equal(false);
  });

  it('is sent without what concerns only the object', () => {
    expect(adjustmentOf(adjustment)).to.deep.equal({
      adjustmentId: 'broken-1',
      warehouse: 'leeds',
      sku: 'MUG',
      type: 'damaged',
      quantity: 3,
      reason: 'dropped',
    });
  });
});
