import { expect } from 'chai';
import fc from 'fast-check';
import { compareVersions, isComparableVersion } from './version.ts';

describe('resourceVersions', () => {
  it('are ordered as the numbers they are, of any length', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 80n }), fc.bigInt({ min: 1n, max: 2n ** 80n }), (a, b) => {
        expect(Math.sign(compareVersions(String(a), String(b)))).to.equal(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  it('are not guessed about when they are no numbers', () => {
    for (const version of ['', '0', '007', 'abc', '-1', '1.5', undefined])
      expect(isComparableVersion(version)).to.equal(false);
    expect(() => compareVersions('1', '')).to.throw(RangeError, 'KEP-5504');
  });
});
