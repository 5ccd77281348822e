import { expect } from 'chai';
import fc from 'fast-check';
import { type Holding, plan } from './plan.ts';

const shardsOf = (...holders: string[]): Holding[] => holders.map((holder, shard) => ({ shard, holder }));
const set = (...names: string[]): ReadonlySet<string> => new Set(names);

describe('The plan of shards', () => {
  it('gives everything to a replica that is alone', () => {
    const { take, give } = plan({ me: 'a', staying: set('a'), alive: set('a'), shards: shardsOf('', '', '', '') });
    expect([...take].sort()).to.deep.equal([0, 1, 2, 3]);
    expect(give).to.deep.equal([]);
  });

  it('leaves to others what they hold, and takes what a dead one held', () => {
    const both = set('a', 'b');
    const { take } = plan({ me: 'a', staying: both, alive: both, shards: shardsOf('a', 'b', 'dead', 'b') });
    expect(take).to.deep.equal([2]);
  });

  it('makes room for a replica that came', () => {
    const both = set('a', 'b');
    const { take, give } = plan({ me: 'a', staying: both, alive: both, shards: shardsOf('a', 'a', 'a', 'a') });
    expect(take).to.deep.equal([]);
    expect(give).to.deep.equal([2, 3]);
  });

  it('takes over the share of a replica that leaves, but nothing that it has not handed over yet', () => {
    const situation = { me: 'a', staying: set('a'), alive: set('a', 'leaving') };
    expect(plan({ ...situation, shards: shardsOf('a', 'leaving', '', 'a') }).take).to.deep.equal([2]);
  });

  it('comes to rest whoever comes, leaves and dies, and whoever decides first: each shard with one, nobody with more than a share', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 }),
        fc.array(fc.tuple(fc.constantFrom('come', 'die', 'decide'), fc.nat(5)), { maxLength: 40 }),
        fc.array(fc.nat(5), { minLength: 200, maxLength: 200 }),
        (count, history, order) => {
          const shards = Array.from({ length: count }, (_, shard) => ({ shard, holder: '' }));
          const alive = new Set(['r0']);
          /** What others hold is never taken, and only one's own given. */
          const decide = (me: string): void => {
            if (!alive.has(me)) return;
            const { take, give } = plan({ me, staying: alive, alive, shards });
            for (const shard of take) {
              const held = shards[shard] as { holder: string };
              expect(alive.has(held.holder)).to.equal(false);
              held.holder = me;
            }
            for (const shard of give) {
              const held = shards[shard] as { holder: string };
              expect(held.holder).to.equal(me);
              held.holder = '';
            }
          };
          for (const [what, who] of history) {
            if (what === 'come') alive.add(`r${who}`);
            else if (what === 'die' && alive.size > 1) alive.delete(`r${who}`);
            else decide(`r${who}`);
          }
          for (const who of order) decide(`r${who}`);
          for (const me of alive) decide(me);
          for (const me of alive) decide(me);
          for (const { holder } of shards) expect(alive.has(holder)).to.equal(true);
          for (const me of alive) {
            const mine = shards.filter(({ holder }) => holder === me).length;
            expect(mine).to.be.at.most(Math.ceil(count / alive.size));
            expect(plan({ me, staying: alive, alive, shards })).to.deep.equal({ take: [], give: [] });
          }
        },
      ),
    );
  });
});
