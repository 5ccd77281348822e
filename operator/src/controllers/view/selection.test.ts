import { expect } from 'chai';
import fc from 'fast-check';
import { type KeptView, select } from './selection.ts';

const limits = { cap: 3, ttl: 600, askedTtl: 3_600 };
const own = (name: string, calm?: number): KeptView => ({ name, asked: false, calm, age: 10_000 });
const asked = (name: string, calm?: number, age = 10_000): KeptView => ({ name, asked: true, calm, age });

describe('which runs show as Views', () => {
  it('shows every run that needs a person, while there is room', () => {
    expect(select(['a', 'b'], [], limits)).to.deep.equal({ make: ['a', 'b'], remove: [], close: [] });
  });

  it('shows those that wait longest when there are too many', () => {
    expect(select(['a', 'b', 'c', 'd'], [], limits).make).to.deep.equal(['a', 'b', 'c']);
  });

  it('gives the place of a run that needs nobody any more to one that does', () => {
    const views = [own('a'), own('b', 1), own('c', 2)];
    expect(select(['a', 'd', 'e'], views, limits)).to.deep.equal({ make: ['d', 'e'], remove: ['b', 'c'], close: [] });
  });

  it('keeps a View for a while after its run needs nobody', () => {
    expect(select([], [own('a', 599)], limits).remove).to.deep.equal([]);
    expect(select([], [own('a', 600)], limits).remove).to.deep.equal(['a']);
  });

  it('gives what people ask for half of the room, and closes the last ones that are asked for', () => {
    const views = [asked('x', 0, 30), asked('y', 0, 50), asked('z', 0, 40), asked('b', undefined, 10), own('a')];
    expect(select(['a', 'b', 'c'], views, { ...limits, cap: 4 })).to.deep.equal({
      make: [],
      remove: [],
      close: ['x'],
    });
    expect(select(['a', 'b', 'c', 'd'], views, { ...limits, cap: 6 })).to.deep.equal({
      make: ['c'],
      remove: [],
      close: [],
    });
  });

  it('lets what shows by itself have the room that nobody asks for', () => {
    expect(select(['a', 'b', 'c', 'd'], [asked('x', 0)], { ...limits, cap: 4 }).make).to.deep.equal(['a', 'b', 'c']);
  });

  it('ends what was closed after a while, whatever the clock says', () => {
    const closed = (millis?: number) =>
      select([], [asked('x', 0), { ...asked('y', 0, 9_000), closed: millis }], limits);
    expect(closed(undefined)).to.deep.include({ remove: [], close: ['y'] });
    expect(closed(599)).to.deep.include({ remove: [], close: ['y'] });
    expect(closed(600)).to.deep.include({ remove: ['y'], close: [] });
  });

  it('makes no second View of a run that a person asked for', () => {
    expect(select(['x'], [asked('x')], limits)).to.deep.equal({ make: [], remove: [], close: [] });
  });

  it('ends what a person asked for when its run has needed nobody for long', () => {
    const views = [asked('x', 3_600), asked('y', 3_599), asked('z', 9_000, 100)];
    expect(select([], views, limits).remove).to.deep.equal(['x']);
  });

  it('never has more than the cap, whatever there was', () => {
    const view = fc.record({
      name: fc.integer({ min: 0, max: 30 }).map(String),
      asked: fc.boolean(),
      calm: fc.option(fc.integer({ min: 0, max: 5_000 }), { nil: undefined }),
      age: fc.integer({ min: 0, max: 5_000 }),
    });
    const names = fc.uniqueArray(fc.integer({ min: 0, max: 30 }).map(String));
    const views = fc.uniqueArray(view, { selector: ({ name }) => name });
    fc.assert(
      fc.property(names, views, fc.integer({ min: 0, max: 10 }), (attention, found, cap) => {
        // A run that needs a person is not calm.
        const there = found.map((each) => (attention.includes(each.name) ? { ...each, calm: undefined } : each));
        const { make, remove, close } = select(attention, there, { ...limits, cap });
        const after = there.length - remove.length - close.length + make.length;
        expect(after, 'open ones').to.be.at.most(cap);
        const changed = [...make, ...remove, ...close];
        expect(new Set(changed).size, 'nothing is two things').to.equal(changed.length);
        const gone = new Set([...remove, ...close]);
        const shown = new Set([...there.map(({ name }) => name).filter((name) => !gone.has(name)), ...make]);
        expect([...shown], 'half is for those that need a person').to.include.members(
          attention.slice(0, Math.ceil(cap / 2)),
        );
        const unseen = attention.filter((name) => !shown.has(name));
        const first = unseen[0];
        // Whoever does not show waits for less long than all that do.
        if (first !== undefined)
          for (const name of make) expect(attention.indexOf(name)).to.be.below(attention.indexOf(first));
      }),
    );
  });
});
