import { expect } from 'chai';
import fc from 'fast-check';
import { RunningLevels } from './levels.ts';
import type { Quantity, Sku, WarehouseId } from './names.ts';
import { apply, available, empty, type Level, type MovementType, NegativeStock } from './stock.ts';

const london = 'london' as WarehouseId;
const leeds = 'leeds' as WarehouseId;
const mug = 'mug' as Sku;
const cup = 'cup' as Sku;
const some = (quantity: number, sku = mug, warehouse = london) => ({ warehouse, sku, quantity: quantity as Quantity });
const stock = (onHand: number, reserved = 0, committed = 0): Level => ({ onHand, reserved, committed });

describe('RunningLevels', () => {
  it('reads a level once, lets each operation see those before it, and gives one change for all', () => {
    let reads = 0;
    const levels = new RunningLevels(() => {
      reads += 1;
      return stock(10);
    });
    for (let i = 0; i < 10; i += 1) {
      expect(levels.at(london, mug)?.reserved).to.equal(i);
      levels.move('reserved', some(1));
      levels.keep();
    }
    expect(() => levels.move('reserved', some(1))).to.throw(NegativeStock);
    expect(reads).to.equal(1);
    expect(levels.movements).to.equal(10);
    expect(levels.changes()).to.deep.equal([{ warehouse: london, sku: mug, before: stock(10), after: stock(10, 10) }]);
  });

  it('takes back the operation at hand and no other', () => {
    const levels = new RunningLevels(() => stock(10));
    levels.move('reserved', some(2));
    levels.keep();
    levels.move('reserved', some(3));
    levels.move('received', some(5));
    levels.move('received', some(5, cup));
    levels.undo();
    expect(levels.at(london, mug)).to.deep.equal(stock(10, 2));
    expect(levels.movements).to.equal(1);
    expect(levels.changes().map(({ sku }) => sku)).to.deep.equal([mug]);
  });

  it('forgets a row that only an operation had begun that was taken back', () => {
    const levels = new RunningLevels(() => undefined);
    levels.move('received', some(5));
    levels.undo();
    expect(levels.at(london, mug)).to.equal(undefined);
    expect(levels.changes()).to.deep.equal([]);
  });

  it('has nothing to write where goods came back to where they were', () => {
    const levels = new RunningLevels(() => stock(10));
    levels.move('reserved', some(2));
    levels.keep();
    levels.move('released', some(2));
    levels.keep();
    expect(levels.changes()).to.deep.equal([]);
  });

  it('gives changes by SKU and warehouse, whatever order they came in', () => {
    const levels = new RunningLevels(() => stock(10));
    for (const [sku, warehouse] of [
      [mug, london],
      [cup, leeds],
      [mug, leeds],
      [cup, london],
    ] as const)
      levels.move('reserved', some(1, sku, warehouse));
    expect(levels.changes().map(({ sku, warehouse }) => `${sku} ${warehouse}`)).to.deep.equal([
      'cup leeds',
      'cup london',
      'mug leeds',
      'mug london',
    ]);
  });

  it('comes to what the same operations come to one by one, whichever of them fail', () => {
    const movement = fc.record({
      type: fc.constantFrom<MovementType>('received', 'reserved', 'released', 'committed', 'uncommitted', 'shipped'),
      quantity: fc.integer({ min: 1, max: 5 }),
      sku: fc.constantFrom(mug, cup),
      warehouse: fc.constantFrom(london, leeds),
    });
    const operation = fc.record({ movements: fc.array(movement, { maxLength: 4 }), fails: fc.boolean() });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 40 }), (operations) => {
        let table = new Map<string, Level>([['mug london', stock(5)]]);
        const levels = new RunningLevels((warehouse, sku) =>
          sku === mug && warehouse === london ? stock(5) : undefined,
        );
        for (const { movements, fails } of operations) {
          const next = new Map(table);
          const outcome = { model: !fails, ours: !fails };
          try {
            for (const { type, quantity, sku, warehouse } of movements) {
              const before = next.get(`${sku} ${warehouse}`) ?? empty;
              if (type === 'reserved' && available(before, 0) < quantity) throw new NegativeStock('none free');
              next.set(`${sku} ${warehouse}`, apply(before, type, quantity));
            }
          } catch {
            outcome.model = false;
          }
          try {
            for (const { type, quantity, sku, warehouse } of movements)
              levels.move(type, some(quantity, sku, warehouse));
          } catch {
            outcome.ours = false;
          }
          expect(outcome.ours).to.equal(outcome.model);
          if (outcome.model) {
            table = next;
            levels.keep();
          } else levels.undo();
        }
        const written = new Map<string, Level>([['mug london', stock(5)]]);
        for (const { sku, warehouse, after } of levels.changes()) written.set(`${sku} ${warehouse}`, after);
        expect(Object.fromEntries(written)).to.deep.equal(Object.fromEntries(table));
      }),
    );
  });
});
