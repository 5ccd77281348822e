import type { OrderId } from '@mercato/operator/api/names.ts';
import type { OrderSagaRun, RunPhase } from '@mercato/operator/api/ordersagarun.ts';
import { expect } from 'chai';
import type { SourcedOrder } from '../intake/collect.ts';
import type { PlayedOrder } from './player.ts';
import { type Outcome, summaryOf } from './summary.ts';
import { tally } from './tally.ts';

function played(id: string, phase: RunPhase, type: string, reason: string, message = ''): PlayedOrder {
  const orderId = id as OrderId;
  const conditions = [{ type, status: 'True' as const, reason, message }];
  const run = { metadata: { name: `checkout-${id}` }, status: { phase, conditions } } as unknown as OrderSagaRun;
  const input = { customer: 'a', currency: 'GBP', lines: [], paymentToken: 'tok_visa', shipTo: { country: 'GB' } };
  return {
    orderId,
    order: { orderId, atMs: 0, input },
    sentMs: 0,
    acceptedMs: 1,
    settledMs: 2,
    phase,
    run,
    uids: new Set(['u']),
  };
}

function outcome(orders: readonly PlayedOrder[], changes: Partial<Outcome> = {}): Outcome {
  return {
    tally: tally(orders.length, orders, 0, 10),
    tookMs: 1_500,
    namespace: 'default',
    played: orders,
    lowStock: [],
    restocks: new Map(),
    violations: [],
    ...changes,
  };
}

function sourced(id: string, refs: number[]): SourcedOrder {
  const lines = [{ sku: 'A', quantity: 1, unitPrice: 1, refs }];
  return { orderId: id as OrderId, at: 0, customer: 'a', currency: 'GBP', country: 'GB', lines };
}

const text = (of: Outcome) => summaryOf(of).join('\n');

describe('the summary', () => {
  const orders = [
    played('1', 'Succeeded', 'Succeeded', 'Succeeded'),
    played('2', 'Compensated', 'Succeeded', 'CardDeclined'),
    played('3', 'Compensated', 'Succeeded', 'OutOfStock'),
    played('4', 'Compensated', 'Succeeded', 'CardDeclined'),
    played('5', 'Held', 'Held', 'CompensationFailed', 'the goods are picked up'),
  ];

  it('says how many ended how, and why what was undone was', () => {
    const told = text(outcome(orders));
    expect(told).to.include('5 orders accepted in 1.5 s: 1 completed, 3 compensated, 1 held, 0 aborted');
    expect(told).to.match(/2 {2}CardDeclined, as 2\n +1 {2}OutOfStock, as 3/);
  });

  it('says of what is held why, and the command to look at it', () => {
    const told = text(outcome(orders));
    expect(told).to.include(
      '5: CompensationFailed: the goods are picked up\n    kubectl describe osr checkout-5 -n default',
    );
  });

  it('says which lines of the file are in no order and why', () => {
    const refused = [
      { line: 7, reason: 'Cancellation', detail: 'takes an earlier one back' },
      { line: 9, reason: 'Cancellation', detail: 'takes an earlier one back' },
    ] as const;
    const told = text(outcome(orders, { intake: { refused, orders: [sourced('1', [2, 3, 4])] } }));
    expect(told).to.include('of 5 lines in the file 3 are in orders and 2 are not');
    expect(told).to.include('2  Cancellation, as line 7: takes an earlier one back');
  });

  it('says what the API server refused, in its words, and of which lines', () => {
    const { run: _r, phase: _p, acceptedMs: _a, settledMs: _s, ...sent } = played('6', 'Pending', '', '');
    const refused = [{ ...sent, refusal: 'use a lower-case DNS label' }];
    expect(text(outcome(refused))).to.include('6: use a lower-case DNS label');
    const intake = { refused: [], orders: [sourced('6', [2, 5])] };
    expect(text(outcome(refused, { intake }))).to.include('6 (lines 2, 5): use a lower-case DNS label');
  });

  it('says that nothing was lost, or each loss in its sentence', () => {
    expect(text(outcome(orders))).to.include('nothing was lost');
    const violations = [
      { rule: 'captured-exactly', observer: 'acquirer', sentence: 'order 1: captured twice' },
    ] as const;
    const told = text(outcome(orders, { violations }));
    expect(told).to.include('1 VIOLATIONS').and.include('captured-exactly (acquirer): order 1: captured twice');
    expect(told).not.to.include('nothing was lost');
  });

  it('says what is low, and what was ordered for it', () => {
    const lowStock = [{ warehouse: 'leeds', low: 3, out: 1, examples: ['MUG-BLUE'] }];
    const told = text(outcome(orders, { lowStock, restocks: new Map([['Proposed', 2]]) }));
    expect(told).to.include('leeds: 3 SKUs low, 1 out (MUG-BLUE)\n  restock orders: 2 Proposed');
  });

  it('says what is still open', () => {
    const { settledMs: _, ...open } = played('6', 'Running', 'Succeeded', 'Running');
    expect(text(outcome([open]))).to.include('1 STILL OPEN');
  });
});
