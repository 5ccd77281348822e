import { expect } from 'chai';
import fc from 'fast-check';
import type { RestockOrder, RestockPhase } from '../../api/restockorder.ts';
import type { StockPolicy, StockPolicyOverride } from '../../api/warehouseinventory.ts';
import type { StockLine } from '../../inventory/port.ts';
import { DECLINED_MILLIS, expectedOf, isLow, isOut, type Level, levelsOf, shortestFirst } from './levels.ts';
import { policies, settingsOf } from './policy.ts';
import { MAX_LINES, orderName, proposalsFor, quantityOf, SLOT_MILLIS } from './reorder.ts';

const NOW = Date.UTC(2026, 10, 22, 14, 31, 7);
const POLICY: StockPolicy = {
  safetyStock: 0,
  reorderPoint: 20,
  reorderUpTo: 100,
  supplier: 'potteries',
  leadTime: '2d',
  autoApproveUpTo: 0,
};

function line(sku: string, onHand: number, more: Partial<StockLine> = {}): StockLine {
  return { sku, onHand, reserved: 0, committed: 0, available: onHand, ...more };
}

function orderOf(phase: RestockPhase | undefined, lines: { sku: string; quantity: number }[], more = {}): RestockOrder {
  return {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'RestockOrder',
    metadata: { name: 'one', namespace: 'shop' },
    spec: { warehouse: 'leeds', supplier: 'potteries', leadTime: '2d', lines },
    ...(phase === undefined ? {} : { status: { phase, ...more } }),
  };
}

function look(
  lines: readonly StockLine[],
  orders: readonly RestockOrder[] = [],
  overrides: StockPolicyOverride[] = [],
  policy: Partial<StockPolicy> = {},
): Level[] {
  const policyOf = policies({ policy: { ...POLICY, ...policy }, overrides });
  return levelsOf(lines, policyOf, expectedOf(orders, NOW));
}

const units = fc.integer({ min: 0, max: 500 });
const levels = fc
  .record({
    onHand: units,
    reserved: units,
    committed: units,
    safetyStock: fc.integer({ min: 0, max: 50 }),
    point: fc.integer({ min: 0, max: 200 }),
    above: fc.integer({ min: 1, max: 300 }),
    incoming: units,
    proposed: units,
  })
  .map(({ onHand, reserved, committed, safetyStock, point, above, incoming, proposed }) => {
    const orders = [
      orderOf('InTransit', [{ sku: 'MUG', quantity: incoming }]),
      orderOf('Proposed', [{ sku: 'MUG', quantity: proposed }]),
    ];
    const available = Math.max(0, onHand - reserved - committed - safetyStock);
    const policy = { safetyStock, reorderPoint: point, reorderUpTo: point + above };
    return look([line('MUG', onHand, { reserved, committed, available })], orders, [], policy)[0] as Level;
  });

describe('reordering', () => {
  it('brings what is free and what was asked for to the up-to level exactly, and only from the reorder point down', () => {
    fc.assert(
      fc.property(levels, (level) => {
        const position = level.free + level.incoming + level.proposed;
        const quantity = quantityOf(level);
        if (position > level.policy.reorderPoint) expect(quantity).to.equal(0);
        else expect(position + quantity).to.equal(level.policy.reorderUpTo);
      }),
    );
  });

  it('asks for nothing twice: with its proposals there, it proposes nothing', () => {
    const stock = fc.array(fc.tuple(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 250 })), {
      maxLength: 250,
    });
    fc.assert(
      fc.property(stock, (items) => {
        const lines = items.map(([onHand, reserved], index) => line(`S${index}`, onHand, { reserved, available: 0 }));
        const made = proposalsFor('leeds', look(lines), NOW);
        const orders = made.map(({ spec }) => orderOf(undefined, spec.lines));
        expect(proposalsFor('leeds', look(lines, orders), NOW)).to.deep.equal([]);
      }),
    );
  });

  it('puts every SKU on one line, at most 100 lines in an order, and gives each order a name of its own', () => {
    const overrides = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 300 });
    fc.assert(
      fc.property(overrides, fc.nat(250), (suppliers, count) => {
        const own = suppliers.map((supplier, index) => ({
          sku: `S${index}`,
          supplier,
          leadTime: index % 7 === 0 ? '9d' : '2d',
        }));
        const low = look(
          Array.from({ length: count }, (_, index) => line(`S${index}`, 1)),
          [],
          own,
        );
        const made = proposalsFor('leeds', low, NOW);
        const skus = made.flatMap(({ spec }) => spec.lines.map(({ sku }) => sku));
        expect(new Set(skus).size).to.equal(skus.length).and.to.equal(count);
        expect(new Set(made.map(({ name }) => name)).size).to.equal(made.length);
        for (const { spec } of made) {
          expect(spec.lines.length).to.be.within(1, MAX_LINES);
          for (const { sku } of spec.lines) {
            const policy = low.find((each) => each.sku === sku)?.policy;
            expect([policy?.supplier, policy?.leadTime]).to.deep.equal([spec.supplier, spec.leadTime]);
          }
        }
      }),
    );
  });

  it('names the same need the same within a minute, and never again after it', () => {
    const name = orderName('leeds', 'potteries', NOW, 0);
    expect(name).to.equal('leeds-potteries-20261122-1431');
    expect(orderName('leeds', 'potteries', NOW + 10_000, 0)).to.equal(name);
    expect(orderName('leeds', 'potteries', NOW + SLOT_MILLIS, 0)).not.to.equal(name);
    expect(orderName('leeds', 'potteries', NOW, 1)).to.equal(`${name}-2`);
  });

  it('orders what is promised and not there too, so that the level is reached', () => {
    const [short] = look([line('MUG', 2, { reserved: 10, available: 0 })]);
    expect(short?.free).to.equal(-8);
    expect(quantityOf(short as Level)).to.equal(108);
  });

  it('counts goods that came in parts only as far as they are still to come', () => {
    const order = orderOf('InTransit', [{ sku: 'MUG', quantity: 80 }], { received: [{ sku: 'MUG', quantity: 30 }] });
    expect(expectedOf([order], NOW).incoming.get('MUG')).to.equal(50);
    const over = orderOf('InTransit', [{ sku: 'MUG', quantity: 80 }], { received: [{ sku: 'MUG', quantity: 90 }] });
    expect(expectedOf([over], NOW).incoming.get('MUG')).to.equal(0);
  });

  it('takes a no for a day, then asks again', () => {
    const lines = [{ sku: 'MUG', quantity: 95 }];
    for (const phase of ['Rejected', 'Cancelled'] as const) {
      const at = (age: number) => orderOf(phase, lines, { finishedAt: new Date(NOW - age).toISOString() });
      expect(proposalsFor('leeds', look([line('MUG', 5)], [at(DECLINED_MILLIS - 1)]), NOW)).to.deep.equal([]);
      expect(proposalsFor('leeds', look([line('MUG', 5)], [at(DECLINED_MILLIS)]), NOW)).to.have.length(1);
    }
  });

  it('never orders what is sold off, what has no supplier, or anything where the level is 0', () => {
    const stock = [line('MUG', 0)];
    expect(proposalsFor('leeds', look(stock, [], [{ sku: 'MUG', reorderUpTo: 0 }]), NOW)).to.deep.equal([]);
    expect(proposalsFor('leeds', look(stock, [], [], { reorderUpTo: 0 }), NOW)).to.deep.equal([]);
    const { supplier: _, ...nobody } = POLICY;
    const levelsWithout = levelsOf(stock, policies({ policy: nobody, overrides: [] }), expectedOf([], NOW));
    expect(proposalsFor('leeds', levelsWithout, NOW)).to.deep.equal([]);
  });
});

describe('levels', () => {
  it('takes an override field by field, and the policy for the rest', () => {
    const policyOf = policies({ policy: POLICY, overrides: [{ sku: 'TEA', reorderPoint: 50, supplier: 'importers' }] });
    expect(policyOf('TEA')).to.deep.include({ reorderPoint: 50, supplier: 'importers', reorderUpTo: 100 });
    expect(policyOf('MUG')).to.deep.include({ reorderPoint: 20, supplier: 'potteries' });
  });

  it('does not call low what is sold off, but says when it is out', () => {
    const [kettle, mug] = look([line('KETTLE', 0), line('MUG', 20)], [], [{ sku: 'KETTLE', reorderUpTo: 0 }]);
    expect([isLow(kettle as Level), isOut(kettle as Level)]).to.deep.equal([false, true]);
    expect([isLow(mug as Level), isOut(mug as Level)]).to.deep.equal([true, false]);
  });

  it('puts the shortest first', () => {
    const sorted = look([line('A', 19), line('B', 3), line('C', 0, { reserved: 4 })]).sort(shortestFirst);
    expect(sorted.map(({ sku }) => sku)).to.deep.equal(['C', 'B', 'A']);
  });
});

describe('what inventory is told of a warehouse', () => {
  it('has degrees for millionths of them, and only overrides that concern it', () => {
    const settings = settingsOf({
      participant: { name: 'inventory' },
      location: { country: 'GB', latitudeMicro: 53_800_755, longitudeMicro: -1_549_077 },
      priority: 10,
      policy: POLICY,
      overrides: [
        { sku: 'TEA', safetyStock: 9 },
        { sku: 'POT', supplier: 'importers' },
      ],
    });
    expect(settings).to.deep.equal({
      location: { country: 'GB', lat: 53.800755, lon: -1.549077 },
      priority: 10,
      policy: { safetyStock: 0, reorderPoint: 20 },
      overrides: [{ sku: 'TEA', safetyStock: 9 }],
    });
  });
});
