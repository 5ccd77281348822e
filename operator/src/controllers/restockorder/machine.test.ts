import { expect } from 'chai';
import fc from 'fast-check';
import { findCondition } from '../../api/conditions.ts';
import type { Milliseconds } from '../../api/durations.ts';
import type { RestockOrder, RestockOrderSpec, RestockPhase } from '../../api/restockorder.ts';
import { schedule } from '../../suppliers/simulator.ts';
import { receiptIdOf } from './controller.ts';
import { type Intent, intentOf, stepOf, transitions, unitsOf } from './machine.ts';
import { phaseOf } from './resource.ts';
import { type Change, statusOf, withReceipt } from './status.ts';

const BEGAN = Date.UTC(2026, 10, 22);
const LEAD = 8000 as Milliseconds;
const PHASES = Object.keys(transitions) as RestockPhase[];

function orderIn(phase: RestockPhase | undefined, spec: Partial<RestockOrderSpec> = {}, status = {}): RestockOrder {
  return {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'RestockOrder',
    metadata: { name: 'one', namespace: 'shop', generation: 1 },
    spec: {
      warehouse: 'leeds',
      supplier: 'potteries',
      leadTime: '8s',
      lines: [
        { sku: 'MUG', quantity: 7 },
        { sku: 'TEA', quantity: 20 },
      ],
      ...spec,
    },
    ...(phase === undefined ? {} : { status: { phase, ...status } }),
  };
}

const yes = { decision: 'Approve', by: 'ada' } as const;
const no = { decision: 'Reject', by: 'ada', reason: 'too dear' } as const;
const cancel = { reason: 'not needed' };

/** Plays an order's life against a supplier: the machine decides, the rest is done at once. Answers the phases in order. */
function play(order: RestockOrder, autoApproveUpTo: number, wishes: ReadonlyMap<number, Partial<RestockOrderSpec>>) {
  const phases: (RestockPhase | undefined)[] = [];
  let now = BEGAN;
  let current = order;
  const change = (next: Change) => {
    current = { ...current, status: statusOf(current, next, undefined, now) };
    phases.push(current.status?.phase);
  };
  for (let turn = 0; turn < 60; turn += 1) {
    current = { ...current, spec: { ...current.spec, ...wishes.get(turn) } };
    const intent = intentOf(current, autoApproveUpTo);
    if (intent.do === 'nothing') break;
    now += 500;
    const progress = () => {
      const supply = {
        orderId: 'shop/one',
        supplier: current.spec.supplier,
        lines: current.spec.lines,
        leadTime: LEAD,
      };
      const planned = schedule(supply, Date.parse(current.status?.orderedAt ?? ''));
      const deliveries = planned.deliveries.filter(({ at }) => at <= now);
      return { shipped: planned.shipsAt <= now, deliveries, complete: deliveries.length === planned.deliveries.length };
    };
    carryOut(intent);

    function carryOut({ do: what, ...more }: Intent): void {
      const at = new Date(now).toISOString();
      if (what === 'propose') change({ phase: 'Proposed' });
      if (what === 'approve' && 'by' in more) change({ phase: 'Approved', approvedBy: more.by });
      if (what === 'reject') change({ phase: 'Rejected', finishedAt: at });
      if (what === 'cancel') change({ phase: 'Cancelled', finishedAt: at });
      if (what === 'place') change({ phase: 'Ordered', orderedAt: at, expectedAt: new Date(now + LEAD).toISOString() });
      if (what === 'cancelPlaced' && !progress().shipped) return change({ phase: 'Cancelled', finishedAt: at });
      if (what !== 'cancelPlaced' && what !== 'follow') return;
      const step = stepOf(current, progress());
      if (step.do === 'ship') change({ phase: 'InTransit' });
      if (step.do === 'close') change({ phase: 'Received', finishedAt: at });
      if (step.do === 'book') {
        const { number, lines } = step.delivery;
        change(withReceipt(current, { receiptId: receiptIdOf('shop', 'one', number), at, lines: [...lines] }));
      }
    }
  }
  return { order: current, phases };
}

describe('the life of a restock order', () => {
  it('only goes where the table says, and comes to an end, whatever people wish and when', () => {
    const wish = fc.constantFrom<Partial<RestockOrderSpec>>({ approval: yes }, { approval: no }, { cancel });
    const wishes = fc.array(fc.tuple(fc.integer({ min: 0, max: 25 }), wish), { minLength: 1, maxLength: 4 });
    const suppliers = fc.constantFrom('potteries', 'x-parts', 'x-parts-short', 'x-over');
    fc.assert(
      fc.property(wishes, suppliers, fc.constantFrom(0, 100), (list, supplier, auto) => {
        const { order, phases } = play(orderIn(undefined, { supplier }), auto, new Map(list));
        let phase: RestockPhase = 'Proposed';
        for (const next of phases.slice(1)) {
          if (next === undefined || next === phase) continue;
          expect(transitions[phase]).to.include(next);
          phase = next;
        }
        expect(transitions[phaseOf(order)]).to.deep.equal([]);
        if (phaseOf(order) !== 'Received') expect(order.status?.receiptCount).to.equal(undefined);
      }),
    );
  });

  it('books every delivery once, and sums them up to what came', () => {
    const { order } = play(orderIn(undefined, { supplier: 'x-parts' }), 100, new Map());
    expect(order.status).to.include({ phase: 'Received', receivedUnits: 27, totalUnits: 27, receiptCount: 3 });
    expect(order.status?.received).to.deep.equal(order.spec.lines);
    const ids = order.status?.receipts?.map(({ receiptId }) => receiptId);
    expect(ids).to.deep.equal(['shop/one/1', 'shop/one/2', 'shop/one/3']);
  });

  it('says when less or more came than was ordered', () => {
    for (const [supplier, reason] of [
      ['x-short', 'ShortDelivery'],
      ['x-over', 'OverDelivery'],
    ] as const) {
      const { order } = play(orderIn(undefined, { supplier }), 100, new Map());
      expect(findCondition(order.status?.conditions, 'Received')).to.include({ status: 'True', reason });
    }
  });

  it('waits for a person above the limit of the policy, and at it does not', () => {
    expect(unitsOf(orderIn('Proposed'))).to.equal(27);
    expect(intentOf(orderIn('Proposed'), 26)).to.deep.equal({ do: 'wait' });
    expect(intentOf(orderIn('Proposed'), 27)).to.deep.equal({ do: 'approve', by: 'policy:leeds' });
  });

  it('puts a wish to cancel before an approval, until the goods are on their way', () => {
    expect(intentOf(orderIn('Proposed', { cancel, approval: yes }), 100)).to.deep.equal({ do: 'cancel' });
    expect(intentOf(orderIn('Approved', { cancel }), 100)).to.deep.equal({ do: 'cancel' });
    expect(intentOf(orderIn('Ordered', { cancel }), 100)).to.deep.equal({ do: 'cancelPlaced' });
    expect(intentOf(orderIn('InTransit', { cancel }), 100)).to.deep.equal({ do: 'follow' });
  });

  it('puts a rejection before the policy', () => {
    expect(intentOf(orderIn('Proposed', { approval: no }), 100)).to.deep.equal({ do: 'reject', by: 'ada' });
  });

  it('does nothing about an order that is over, whatever is wished', () => {
    for (const phase of PHASES.filter((each) => transitions[each].length === 0)) {
      expect(intentOf(orderIn(phase, { cancel, approval: yes }), 100)).to.deep.equal({ do: 'nothing' });
    }
  });

  it('books deliveries in their order, each before the next, also when several have arrived', () => {
    const deliveries = [1, 2].map((number) => ({ number, lines: [{ sku: 'MUG', quantity: number }] }));
    const progress = { shipped: true, deliveries, complete: true };
    expect(stepOf(orderIn('Ordered'), progress)).to.deep.equal({ do: 'ship' });
    expect(stepOf(orderIn('InTransit'), progress)).to.deep.equal({ do: 'book', delivery: deliveries[0] });
    const one = orderIn('InTransit', {}, { receiptCount: 1 });
    expect(stepOf(one, progress)).to.deep.equal({ do: 'book', delivery: deliveries[1] });
    expect(stepOf(orderIn('InTransit', {}, { receiptCount: 2 }), progress)).to.deep.equal({ do: 'close' });
  });
});

describe('the status of a restock order', () => {
  it('keeps the last ten receipts and counts all', () => {
    let order = orderIn('InTransit');
    for (let number = 1; number <= 12; number += 1) {
      const receipt = {
        receiptId: `r${number}`,
        at: new Date(BEGAN).toISOString(),
        lines: [{ sku: 'MUG', quantity: 1 }],
      };
      order = { ...order, status: statusOf(order, withReceipt(order, receipt), undefined, BEGAN) };
    }
    expect(order.status?.receipts?.map(({ receiptId }) => receiptId)).to.deep.equal(
      Array.from({ length: 10 }, (_, index) => `r${index + 3}`),
    );
    expect(order.status).to.include({ receiptCount: 12, receivedUnits: 12 });
  });

  it('says what blocks it, and takes it back when nothing does', () => {
    const order = orderIn('InTransit', {}, { expectedAt: new Date(BEGAN).toISOString() });
    const blocked = statusOf(order, {}, { reason: 'Unreachable', message: 'nobody there' }, BEGAN + 1);
    expect(findCondition(blocked.conditions, 'Blocked')).to.include({ status: 'True', reason: 'Unreachable' });
    expect(blocked.nextAction).to.equal('waits: nobody there');
    expect(findCondition(blocked.conditions, 'Overdue')?.status).to.equal('True');
    const free = statusOf({ ...order, status: blocked }, {}, undefined, BEGAN + 2);
    expect(findCondition(free.conditions, 'Blocked')?.status).to.equal('False');
  });

  it('tells how to approve it', () => {
    expect(statusOf(orderIn('Proposed'), {}, undefined, BEGAN).nextAction).to.contain('kubectl patch rso one');
  });
});

describe('a receipt id', () => {
  it('fits into what inventory takes, however long the names are', () => {
    fc.assert(
      fc.property(fc.nat(63), fc.nat(253), fc.integer({ min: 1, max: 1e6 }), (namespace, name, number) => {
        const id = receiptIdOf('n'.repeat(namespace + 1), 'o'.repeat(name + 1), number);
        expect(id.length).to.be.at.most(128);
        expect(id).to.match(/^[A-Za-z0-9][A-Za-z0-9._/-]*$/);
      }),
    );
  });
});
