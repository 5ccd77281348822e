import { expect } from 'chai';
import fc from 'fast-check';
import { TokenBucket } from './bucket.ts';

describe('TokenBucket', () => {
  it('gives its burst at once, and the rest at its rate', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 });
    const waits = Array.from({ length: 6 }, () => bucket.take(1000, 10_000));
    expect(waits).to.deep.equal([0, 0, 0, 100, 200, 300]);
  });

  it('fills up again to its burst and no further', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 3 });
    for (let i = 0; i < 3; i++) bucket.take(0, 0);
    expect(Array.from({ length: 5 }, () => bucket.take(1_000_000, 0))).to.deep.equal([0, 0, 0, undefined, undefined]);
  });

  it('takes nothing from who would have to wait too long', () => {
    const bucket = new TokenBucket({ perSecond: 10, burst: 1 });
    bucket.take(0, 0);
    for (let i = 0; i < 100; i++) expect(bucket.take(0, 50)).to.equal(undefined);
    expect(bucket.take(0, 100)).to.equal(100);
  });

  it('never gives more than its burst and its rate, over any stretch of time', () => {
    const arrivals = fc.array(fc.tuple(fc.nat(200), fc.nat(400)), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.integer({ min: 1, max: 20 }),
        arrivals,
        (perSecond, burst, steps) => {
          const bucket = new TokenBucket({ perSecond, burst });
          let now = 0;
          const times: number[] = [];
          for (const [millis, longest] of steps) {
            now += millis;
            const wait = bucket.take(now, longest);
            if (wait === undefined) continue;
            expect(wait).to.be.within(0, longest);
            times.push(now + wait);
          }
          for (const [i, from] of times.entries()) {
            for (const [j, to] of times.entries()) {
              if (j < i) continue;
              expect(j - i + 1).to.be.at.most(burst + ((to - from) * perSecond) / 1000 + 1e-6);
            }
          }
        },
      ),
    );
  });
});
