import { milliseconds } from '@mercato/kit';
import { expect } from 'chai';
import { Admission } from './admission.ts';

/** A server that takes 1 ms for each order, one after the other, behind a door; and clients that come `gap` ms apart, whatever happens. */
function simulate(admission: Admission, phases: readonly { readonly gap: number; readonly ms: number }[], cost = 1) {
  const waits: { at: number; waited: number }[] = [];
  let refused = 0;
  let now = 0;
  let free = 0;
  const under: { began: number; ends: number }[] = [];
  const end = (until: number) => {
    while (under[0] !== undefined && under[0].ends <= until) {
      const { began, ends } = under.shift()!;
      admission.leave(ends, ends - began);
      waits.push({ at: ends, waited: ends - began });
    }
  };
  for (const { gap, ms } of phases) {
    for (const until = now + ms; now < until; now += gap) {
      end(now);
      if (admission.refusal(now) !== undefined) {
        refused++;
        continue;
      }
      admission.enter();
      free = Math.max(free, now) + cost;
      under.push({ began: now, ends: free });
    }
  }
  end(Number.POSITIVE_INFINITY);
  return { waits, refused };
}

const p99 = (waits: readonly { waited: number }[]): number =>
  waits.map(({ waited }) => waited).sort((a, b) => a - b)[Math.floor(waits.length * 0.99)] ?? 0;

describe('admission', () => {
  it('lets everybody in while nobody waits long', () => {
    const { refused, waits } = simulate(new Admission(), [{ gap: 1.25, ms: 20_000 }]);
    expect(refused).to.equal(0);
    expect(waits).to.have.length(16_000);
  });

  it('keeps the wait near its target at twice the load that can be carried, and the server busy', () => {
    const admission = new Admission({ floor: 8 });
    const { waits, refused } = simulate(admission, [{ gap: 0.5, ms: 20_000 }]);
    const steady = waits.filter(({ at }) => at > 5_000);
    expect(p99(steady)).to.be.below(100);
    expect(steady.length, 'orders in 15 s of 1 ms each').to.be.greaterThan(14_900);
    expect(refused + waits.length).to.equal(40_000);
    expect(admission.inFlight).to.equal(0);
  });

  it('would let everybody wait without it', () => {
    const { waits } = simulate(new Admission({ target: milliseconds(1e9) }), [{ gap: 0.5, ms: 20_000 }]);
    expect(p99(waits)).to.be.greaterThan(1_000);
  });

  it('takes a burst for what it is', () => {
    const { refused } = simulate(new Admission(), [
      { gap: 2, ms: 5_000 },
      { gap: 0.25, ms: 60 },
      { gap: 2, ms: 5_000 },
    ]);
    expect(refused).to.equal(0);
  });

  it('lets everybody in again within seconds of the end of an overload', () => {
    const admission = new Admission({ floor: 8 });
    simulate(admission, [{ gap: 0.2, ms: 10_000 }]);
    expect(admission.limit).to.be.below(200);
    const later = new Admission({ floor: 8 });
    const { waits } = simulate(later, [
      { gap: 0.2, ms: 10_000 },
      { gap: 1.25, ms: 10_000 },
    ]);
    expect(waits.filter(({ at }) => at >= 15_000 && at < 20_000).length).to.be.within(3_990, 4_010);
  });

  it('goes on letting some in, however slow they are', () => {
    const admission = new Admission({ floor: 4 });
    const { waits } = simulate(admission, [{ gap: 1, ms: 60_000 }], 500);
    expect(admission.limit).to.equal(4);
    expect(waits.length).to.be.greaterThan(100);
  });

  it('tells clients to stay away longer the longer it lasts', () => {
    const admission = new Admission({ ceiling: 1 });
    admission.enter();
    expect(admission.refusal(0)).to.equal(1_000);
    for (let i = 1; i <= 60; i++) {
      admission.leave(i * 100 - 1, 10_000);
      admission.enter();
      expect(admission.refusal(i * 100)).to.be.within(1_000, 8_000);
    }
    expect(admission.refusal(6_001)).to.equal(8_000);
  });

  it('never has more under way than its ceiling', () => {
    const admission = new Admission({ ceiling: 3 });
    const outcomes = Array.from({ length: 5 }, () => {
      const isRefused = admission.refusal(0) !== undefined;
      if (!isRefused) admission.enter();
      return isRefused;
    });
    expect(outcomes).to.deep.equal([false, false, false, true, true]);
    admission.leave(1, 1);
    expect(admission.refusal(1)).to.equal(undefined);
  });
});
