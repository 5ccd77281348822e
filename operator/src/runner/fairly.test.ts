import { expect } from 'chai';
import { fairly } from './fairly.ts';

describe('The order in which runs are taken up', () => {
  it('begins with those that were claimed least, and ends with those that have not begun, each in the order of their coming', () => {
    const runs: readonly (readonly [string, number | undefined])[] = [
      ['new', undefined],
      ['thrice', 3],
      ['once', 1],
      ['never', 0],
      ['newer', undefined],
      ['once more', 1],
    ];
    expect(fairly(runs, ([, claims]) => claims).map(([name]) => name)).to.deep.equal([
      'never',
      'once',
      'once more',
      'thrice',
      'new',
      'newer',
    ]);
  });

  it('spreads the claims of workers that die early over all runs', () => {
    const runs = Array.from({ length: 100 }, () => ({ claims: 0 }));
    for (let life = 0; life < 50; life++)
      for (const run of fairly(runs, ({ claims }) => claims).slice(0, 20)) run.claims++;
    expect(runs.map(({ claims }) => claims)).to.deep.equal(Array(100).fill(10));
  });
});
