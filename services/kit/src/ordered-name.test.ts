import { expect } from 'chai';
import fc from 'fast-check';
import { orderedName } from './ordered-name.ts';
import { instant } from './units.ts';

const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });

describe('names in the order of time', () => {
  it('are the same for the same subject of the same run, and differ for another', () => {
    fc.assert(
      fc.property(time, fc.string(), fc.string(), (at, one, other) => {
        expect(orderedName(instant(at), one)).to.equal(orderedName(instant(at), one));
        expect(orderedName(instant(at), one) === orderedName(instant(at), other)).to.equal(one === other);
      }),
    );
  });

  it('sort as the runs began, whatever they name', () => {
    fc.assert(
      fc.property(time, time, fc.string(), fc.string(), (one, other, a, b) => {
        fc.pre(one < other);
        expect(orderedName(instant(one), a) < orderedName(instant(other), b)).to.equal(true);
      }),
    );
  });

  it('are 32 letters, with no digit that a scanner could take for part of a card number', () => {
    fc.assert(
      fc.property(time, fc.string(), (at, subject) => {
        expect(orderedName(instant(at), subject)).to.match(/^[a-p]{32}$/);
      }),
    );
  });
});
