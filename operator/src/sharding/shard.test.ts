import { expect } from 'chai';
import { shardOf } from './shard.ts';

const runOf = (orderId: string) => ({ namespace: 'shop', saga: 'checkout', orderId });

describe('The shard of a run', () => {
  it('is the same in every version of this program, or two replicas would drive one run', () => {
    const shards = ['order-1001', 'order-1002', 'o-1', ''].map((orderId) => shardOf(runOf(orderId), 16));
    expect(shards).to.deep.equal([12, 11, 2, 11]);
    expect(shardOf({ ...runOf('o-1'), namespace: 'other' }, 256)).not.to.equal(shardOf(runOf('o-1'), 256));
  });

  for (const [form, orderIdOf] of [
    ['counted', (n: number) => `order-${n}`],
    ['drawn', (n: number) => `c${((n * 2_654_435_761) >>> 0).toString(36)}`],
  ] as const)
    it(`gives each shard about as many runs as any other, with ${form} order ids`, () => {
      for (const shards of [2, 16, 24]) {
        const counts = new Array<number>(shards).fill(0);
        for (let n = 0; n < 24_000; n++) {
          const shard = shardOf(runOf(orderIdOf(n)), shards);
          counts[shard] = (counts[shard] ?? 0) + 1;
        }
        const fair = 24_000 / shards;
        expect(Math.min(...counts), `${shards} shards`).to.be.above(fair * 0.85);
        expect(Math.max(...counts), `${shards} shards`).to.be.below(fair * 1.15);
      }
    });
});
