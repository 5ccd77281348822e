import { expect } from 'chai';
import fc from 'fast-check';
import { backoff, fraction } from './backoff.ts';

const POLICY = { maxAttempts: 5, initialInterval: 200, maxInterval: 5000, backoffPercent: 200, jitterPercent: 0 };

describe('backoff', () => {
  it('grows by the percentage from the initial interval to the maximum', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7].map((attempt) => backoff(POLICY, attempt, 'x'));
    expect(waits).to.deep.equal([200, 400, 800, 1600, 3200, 5000, 5000]);
  });

  it('keeps the interval at 100 percent', () => {
    expect(backoff({ ...POLICY, backoffPercent: 100 }, 9, 'x')).to.equal(200);
  });

  it('moves a wait by at most the jitter, both ways, and by the seed alone', () => {
    const policy = { ...POLICY, jitterPercent: 20 };
    const waits = Array.from({ length: 500 }, (_, i) => backoff(policy, 1, `run-${i}`));
    expect(Math.min(...waits)).to.be.within(160, 164);
    expect(Math.max(...waits)).to.be.within(236, 240);
    expect(backoff(policy, 1, 'run-7')).to.equal(backoff(policy, 1, 'run-7'));
  });

  it('is a whole number of milliseconds from 1 to the maximum and its jitter, for any policy', () => {
    const policies = fc.record({
      maxAttempts: fc.integer({ min: 1, max: 100 }),
      initialInterval: fc.integer({ min: 1, max: 100_000 }),
      maxInterval: fc.integer({ min: 1, max: 1_000_000 }),
      backoffPercent: fc.integer({ min: 100, max: 1000 }),
      jitterPercent: fc.integer({ min: 0, max: 100 }),
    });
    fc.assert(
      fc.property(policies, fc.integer({ min: 1, max: 100 }), fc.string(), (policy, attempt, seed) => {
        const wait = backoff(policy, attempt, seed);
        expect(Number.isSafeInteger(wait)).to.equal(true);
        expect(wait).to.be.within(1, Math.max(1, Math.round(policy.maxInterval * (1 + policy.jitterPercent / 100))));
      }),
    );
  });
});

describe('fraction', () => {
  it('spreads texts that differ in their last character alone evenly over [0, 1)', () => {
    const counts = new Array<number>(10).fill(0);
    for (let i = 0; i < 5000; i++) {
      const part = Math.floor(fraction(`shop/checkout/o-1/step/action/${i}`) * 10);
      counts[part] = (counts[part] ?? 0) + 1;
    }
    for (const count of counts) expect(count).to.be.within(400, 600);
  });
});
