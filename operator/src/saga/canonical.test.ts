import { createHash } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import { canonicalJson, sha256 } from './canonical.ts';

describe('canonicalJson', function () {
  // A machine that does a dozen other things takes 12 s for a property.
  this.timeout(60_000);

  it('sorts properties by UTF-16 code units at every depth, without white space', () => {
    expect(canonicalJson({ b: [{ z: 1, a: 2 }], a: 'x', B: null })).to.equal('{"B":null,"a":"x","b":[{"a":2,"z":1}]}');
    // RFC 8785, 3.2.3: a surrogate pair comes before U+FB33, though its code point is higher.
    expect(canonicalJson({ '\ufb33': 1, '\u{1f600}': 2, '\u20ac': 3 })).to.equal('{"€":3,"😀":2,"\ufb33":1}');
  });

  it('writes numbers as ECMAScript does', () => {
    expect(canonicalJson([1e30, 4.5, 2e-3, 1e-27, -0, 0.1 + 0.2])).to.equal(
      '[1e+30,4.5,0.002,1e-27,0,0.30000000000000004]',
    );
  });

  it('leaves undefined properties out and writes undefined items as null', () => {
    expect(canonicalJson({ a: undefined, b: [undefined] })).to.equal('{"b":[null]}');
  });

  it('refuses numbers that JSON does not know', () => {
    expect(() => canonicalJson({ a: Number.NaN })).to.throw(TypeError);
    expect(() => canonicalJson([Number.POSITIVE_INFINITY])).to.throw(TypeError);
  });

  it('gives one text for any order of properties, and one that reads back as the value', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse());
        expect(canonicalJson(reversed)).to.equal(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).to.deep.equal(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('has as many bytes as JSON.stringify makes of what was parsed, so that limits may be checked by either', () => {
    fc.assert(
      fc.property(fc.jsonValue({ stringUnit: 'binary' }), (value) => {
        const parsed: unknown = JSON.parse(JSON.stringify(value));
        expect(Buffer.byteLength(canonicalJson(parsed))).to.equal(Buffer.byteLength(JSON.stringify(parsed)));
      }),
    );
  });
});

describe('sha256', () => {
  it('hashes the UTF-8 of the text', () => {
    expect(sha256('abc')).to.equal('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256('é')).to.equal(
      createHash('sha256')
        .update(Buffer.from([0xc3, 0xa9]))
        .digest('hex'),
    );
  });
});
