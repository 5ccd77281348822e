import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalJson, fingerprint } from './json.ts';
import { formatKey, parseKey } from './key.ts';

describe('canonical JSON', () => {
  it('sorts members as RFC 8785 has it', () => {
    expect(canonicalJson({ '\u20ac': 1, '\r': 2, b: [3, { d: null, c: true }], '1': 'x' })).to.equal(
      '{"\\r":2,"1":"x","b":[3,{"c":true,"d":null}],"\u20ac":1}',
    );
  });
  it('means the same', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain = JSON.parse(JSON.stringify(value)) as unknown;
        expect(JSON.parse(canonicalJson(plain))).to.deep.equal(plain);
        expect(canonicalJson(JSON.parse(canonicalJson(plain)))).to.equal(canonicalJson(plain));
      }),
    );
  });
  it('refuses what JSON has not', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, undefined, () => 1])
      expect(() => canonicalJson(value)).to.throw(TypeError);
  });
  it('gives another fingerprint to another command or body, and to nothing else', () => {
    expect(fingerprint('a', { x: 1, y: 2 })).to.equal(fingerprint('a', { y: 2, x: 1 }));
    expect(fingerprint('a', { x: 1 })).not.to.equal(fingerprint('b', { x: 1 }));
    expect(fingerprint('a', { x: 1 })).not.to.equal(fingerprint('a', { x: 2 }));
  });
});

describe('an idempotency key', () => {
  it('is taken apart and put together again', () => {
    const text = 'shop/checkout/order-1/reserve-stock/action';
    expect(formatKey(parseKey(text)!)).to.equal(text);
  });
  it('is refused in any other form', () => {
    const label = 'a'.repeat(64);
    for (const text of [
      '',
      'a/b/c/d',
      'a/b/c/d/undo',
      'a/b/c/d/action/',
      'A/b/c/d/action',
      '-a/b/c/d/action',
      `${label}/b/c/d/action`,
      'a//c/d/action',
    ]) {
      expect(parseKey(text), text).to.equal(undefined);
    }
  });
});
