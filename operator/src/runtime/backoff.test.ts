import { expect } from 'chai';
import fc from 'fast-check';
import { Backoff, backoffDelay } from './backoff.ts';

describe('backoff', () => {
  it('grows by its factor up to its cap', () => {
    const delays = [0, 1, 2, 3, 4].map((failures) => backoffDelay({ baseMs: 100, maxMs: 500 }, failures));
    expect(delays).to.deep.equal([100, 200, 400, 500, 500]);
  });

  it('stays between the part that is not jitter and the cap, for any number of failures', () => {
    fc.assert(
      fc.property(
        fc.nat(1_000_000),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (failures, chance) => {
          const delay = backoffDelay({ baseMs: 10, maxMs: 1000, jitter: 0.5 }, failures, () => chance);
          expect(delay).to.be.within(5, 1000);
        },
      ),
    );
  });

  it('starts anew after a success', () => {
    const backoff = new Backoff({ baseMs: 1, maxMs: 100 });
    expect([backoff.next(), backoff.next(), backoff.failures]).to.deep.equal([1, 2, 2]);
    backoff.reset();
    expect(backoff.next()).to.equal(1);
  });
});
