import { expect } from 'chai';
import fc from 'fast-check';
import { excerpt } from './excerpt.ts';

describe('excerpt', () => {
  it('makes one line of a text', () => {
    expect(excerpt('  a\r\n\tb\u0000\u2028c  ')).to.equal('a b c');
  });

  it('cuts with an ellipsis', () => {
    expect(excerpt('one two three', 9)).to.equal('one two…');
    expect(excerpt('one two', 7)).to.equal('one two');
  });

  for (const secret of [
    'Bearer abcdefgh',
    'bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln',
    'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0',
    '"paymentToken":"visa-ok"',
    "client_secret='hunter2'",
    'password=hunter2',
    'Authorization: Basic',
    'x-api-key: hunter2',
    'tok_visa_4',
    'card_1Mxyz4Kq',
    '4242424242424242',
    '4242 4242 4242 4242',
    '3782-822463-10005',
    'AKIAIOSFODNN7EXAMPLEwJalrXUtnFEMIK7MDENG',
  ]) {
    it(`masks ${secret}`, () => {
      const shown = excerpt(`before ${secret}, after`);
      expect(shown).to.match(/^before .*\[masked\].*after$/);
      expect(shown).to.not.include(secret);
    });
  }

  it('leaves plain words, reasons, prices and order ids alone', () => {
    const decline = 'the acquirer says card_declined';
    expect(excerpt(decline)).to.equal(decline);
    const text = 'order 20261122-17 of 15.30 GBP: no tea left in warehouse london-1';
    expect(excerpt(text)).to.equal(text);
  });

  it('is never longer than asked and holds nothing unprintable', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.integer({ min: 1, max: 80 }), (text, max) => {
        const shown = excerpt(text, max);
        expect(shown.length).to.be.at.most(max);
        expect(shown).to.not.match(/\p{Cc}/u);
        expect(shown.isWellFormed()).to.equal(true);
      }),
    );
  });
});
