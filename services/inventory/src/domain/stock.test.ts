import { expect } from 'chai';
import fc from 'fast-check';
import { apply, available, effects, empty, type Level, type MovementType, NegativeStock, shortage } from './stock.ts';

const movement = fc.record({
  type: fc.constantFrom(...(Object.keys(effects) as MovementType[])),
  quantity: fc.integer({ min: 1, max: 20 }),
});

/** Applies what can be applied; what cannot must change nothing. */
function play(moves: readonly { type: MovementType; quantity: number }[]) {
  let level: Level = empty;
  const done: (typeof moves)[number][] = [];
  for (const move of moves) {
    try {
      level = apply(level, move.type, move.quantity);
      done.push(move);
    } catch (error) {
      expect(error).to.be.instanceOf(NegativeStock);
    }
  }
  return { level, done };
}

describe('stock', () => {
  it('never has a negative counter, whatever happens', () => {
    fc.assert(
      fc.property(fc.array(movement), (moves) => {
        const { level } = play(moves);
        for (const value of Object.values(level)) expect(value).to.be.at.least(0);
      }),
    );
  });

  it('is conserved: what came in is on hand or was shipped', () => {
    fc.assert(
      fc.property(fc.array(movement, { maxLength: 60 }), (moves) => {
        const { level, done } = play(moves);
        const sum = (...types: MovementType[]) =>
          done.filter(({ type }) => types.includes(type)).reduce((total, { quantity }) => total + quantity, 0);
        expect(sum('received', 'adjusted', 'returned')).to.equal(level.onHand + sum('shipped'));
        expect(sum('reserved', 'uncommitted') - sum('released', 'expired', 'committed')).to.equal(level.reserved);
        expect(sum('committed') - sum('uncommitted', 'shipped')).to.equal(level.committed);
      }),
    );
  });

  it('says what can be promised, and what was promised and is not there', () => {
    expect(available({ onHand: 10, reserved: 2, committed: 3 }, 1)).to.equal(4);
    expect(available({ onHand: 10, reserved: 2, committed: 3 }, 9)).to.equal(0);
    expect(shortage({ onHand: 10, reserved: 2, committed: 3 })).to.equal(0);
    expect(shortage({ onHand: 4, reserved: 2, committed: 3 })).to.equal(1);
  });
});
