import { expect } from 'chai';
import fc from 'fast-check';
import { retryAfterHeaders, spread } from './retry-after.ts';

describe('When to come again', () => {
  it('is told in whole seconds, never too early, and exactly beside that', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 86_400, noNaN: true }), (wanted) => {
        const said = new Map(retryAfterHeaders(wanted));
        expect(said.get('Retry-After')).to.match(/^[1-9]\d*$/);
        expect(Number(said.get('Retry-After')))
          .to.be.at.least(wanted)
          .and.at.most(Math.max(1, wanted + 1));
        expect(Number(said.get('Mercato-Retry-After-Ms'))).to.be.within(wanted * 1000 - 0.001, wanted * 1000 + 1);
      }),
    );
  });

  it('is spread over as long again, and no further', () => {
    for (const [least, longest] of [
      [1, 2],
      [8, 16],
    ] as const) {
      let drawn = 0;
      const random = () => (drawn++ % 1_000) / 1_000;
      const seconds = new Set(Array.from({ length: 1_000 }, () => spread(least, random)));
      const all = Array.from({ length: longest - least + 1 }, (_, i) => least + i);
      expect([...seconds]).to.deep.equal(all);
    }
    expect(spread(0.5, () => 0)).to.equal(0.5);
    expect(spread(0.5, () => 0.999)).to.be.within(0.99, 1);
  });
});
