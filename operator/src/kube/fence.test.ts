import { expect } from 'chai';
import fc from 'fast-check';
import { Fence } from './fence.ts';
import type { ConfigMap } from './types.ts';

function at(version: number, name = 'a', uid = `uid-${name}`): ConfigMap {
  return { metadata: { name, namespace: 'ns', uid, resourceVersion: String(version) } };
}

describe('Fence', () => {
  it('refuses an object as it was before our last write, and lets it pass once the cache has the write', () => {
    const fence = new Fence();
    expect(fence.isFresh(at(5))).to.equal(true);
    fence.wrote(at(9));
    expect(fence.isFresh(at(5))).to.equal(false);
    expect(fence.isFresh(at(9))).to.equal(true);
    expect(fence.size).to.equal(0);
  });

  it('compares versions as numbers: 10 is after 9', () => {
    const fence = new Fence();
    fence.wrote(at(10));
    expect(fence.isFresh(at(9))).to.equal(false);
    fence.wrote(at(9));
    expect(fence.isFresh(at(9)), 'an answer that arrives late must not lower the fence').to.equal(false);
  });

  it('refuses an empty place where we created something', () => {
    const fence = new Fence();
    const place = { namespace: 'ns', name: 'a' };
    fence.wrote(at(3));
    expect(fence.isFreshAt(place, undefined)).to.equal(false);
    fence.observed(at(3));
    expect(fence.isFreshAt(place, undefined)).to.equal(true);
  });

  it('refuses what we deleted for as long as the cache shows it, but not its successor', () => {
    const fence = new Fence();
    fence.deleted(at(7));
    expect(fence.isFresh(at(7))).to.equal(false);
    expect(fence.isFresh(at(7)), 'not only once').to.equal(false);
    expect(fence.isFresh(at(12, 'a', 'uid-of-the-next'))).to.equal(true);
  });

  it('forgets entries of objects that are gone', () => {
    const fence = new Fence();
    fence.wrote(at(3));
    fence.observedDeletion(at(4));
    expect(fence.size).to.equal(0);
  });

  it('passes everything that the cache as a whole has got past', () => {
    let observed = '4';
    const fence = new Fence({ observedVersion: () => observed });
    fence.wrote(at(5));
    expect(fence.isFreshAt({ namespace: 'ns', name: 'a' }, undefined)).to.equal(false);
    observed = '5';
    expect(fence.isFreshAt({ namespace: 'ns', name: 'a' }, undefined)).to.equal(true);
  });

  it('is bounded, and errs on the side of waiting when it overflows', () => {
    let observed = '1';
    const fence = new Fence({ maxEntries: 2, observedVersion: () => observed });
    for (const [version, name] of [
      [10, 'a'],
      [11, 'b'],
      [12, 'c'],
    ] as const)
      fence.wrote(at(version, name));
    expect(fence.size).to.equal(2);
    expect(fence.isFresh(at(9, 'a')), 'the merged entry still holds').to.equal(false);
    expect(fence.isFresh(at(3, 'never-written')), 'others wait with it').to.equal(false);
    observed = '10';
    expect(fence.isFresh(at(9, 'a'))).to.equal(true);
    expect(fence.isFresh(at(3, 'never-written'))).to.equal(true);
    expect(fence.isFresh(at(3, 'c'))).to.equal(false);
  });

  it('refuses an answer without a version instead of fencing nothing', () => {
    expect(() => new Fence().wrote({ metadata: { name: 'a', namespace: 'ns' } })).to.throw(RangeError, 'ns/a');
  });

  it('never lets a read pass that is older than the last write, in any order of writes and observations', () => {
    const act = fc.record({
      do: fc.constantFrom('write', 'observe', 'read'),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      lag: fc.nat(5),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 100 }), fc.integer({ min: 1, max: 4 }), (acts, maxEntries) => {
        // History: versions of each object; the cache has seen all up to `seen`.
        const history: { name: string; version: number }[] = [];
        let seen = 0;
        const fence = new Fence({ maxEntries, observedVersion: () => (seen === 0 ? undefined : String(seen)) });
        const newest = (name: string, upTo: number) =>
          history.findLast((entry) => entry.name === name && entry.version <= upTo)?.version;
        for (const { do: what, name, lag } of acts) {
          if (what === 'write') {
            history.push({ name, version: history.length + 1 });
            fence.wrote(at(history.length, name));
          } else if (what === 'observe') {
            seen = Math.min(history.length, seen + lag);
            const version = newest(name, seen);
            if (version !== undefined) fence.observed(at(version, name));
          } else {
            const cached = newest(name, seen);
            const written = newest(name, history.length);
            const fresh = fence.isFreshAt(
              { namespace: 'ns', name },
              cached === undefined ? undefined : at(cached, name),
            );
            if (fresh) expect(cached).to.equal(written);
          }
          if (seen === history.length) {
            for (const each of ['a', 'b', 'c', 'd']) {
              const cached = newest(each, seen);
              expect(
                fence.isFreshAt({ namespace: 'ns', name: each }, cached === undefined ? undefined : at(cached, each)),
              ).to.equal(true);
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
