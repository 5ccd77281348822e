import { expect } from 'chai';
import fc from 'fast-check';
import { Gathered } from './gathered.ts';

describe('gathered calls', () => {
  it('put together what comes in one turn, in order, within the limits, and give each item its own outcome', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 3 }),
        async (sizes, maxItems, maxCalls) => {
          const calls: number[][] = [];
          let under = 0;
          let most = 0;
          const gathered = new Gathered<number, string>({
            maxItems,
            maxBytes: 100,
            maxCalls,
            bytesOf: (i) => sizes[i]!,
            carry: async (items) => {
              calls.push([...items]);
              most = Math.max(most, ++under);
              await new Promise(setImmediate);
              under--;
              return items.map((i) => `outcome ${i}`);
            },
          });
          const outcomes = await Promise.all(sizes.map((_, i) => gathered.add(i)));
          expect(outcomes).to.deep.equal(sizes.map((_, i) => `outcome ${i}`));
          expect(calls.flat()).to.deep.equal(sizes.map((_, i) => i));
          expect(most).to.be.at.most(maxCalls);
          const bytes = (items: readonly number[]) => items.reduce((sum, i) => sum + sizes[i]!, 0);
          for (const call of calls) {
            expect(call.length).to.be.at.most(maxItems);
            if (call.length > 1) expect(bytes(call)).to.be.at.most(100);
          }
          // No call that could have taken the next item as well: batches are full.
          for (const [n, call] of calls.entries()) {
            const next = calls[n + 1]?.[0];
            if (next !== undefined) expect(call.length === maxItems || bytes([...call, next]) > 100).to.equal(true);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it('reject the items of a call that failed, and of no other', async () => {
    const gathered = new Gathered<number, number>({
      maxItems: 1,
      carry: async ([item = 0]) => {
        if (item === 2) throw new Error('not reached');
        return [item];
      },
    });
    const ends = await Promise.allSettled([1, 2, 3].map((item) => gathered.add(item)));
    expect(ends.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('reject rather than mix up outcomes when their number is wrong', async () => {
    const gathered = new Gathered<number, number>({ maxItems: 10, carry: async () => [1] });
    const ends = await Promise.allSettled([gathered.add(1), gathered.add(2)]);
    expect(ends.map(({ status }) => status)).to.deep.equal(['rejected', 'rejected']);
  });
});
