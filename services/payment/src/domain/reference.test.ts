import { expect } from 'chai';
import fc from 'fast-check';
import { looksLikePan } from './pan.ts';
import { idFrom, referenceOf, voidReferenceOf } from './reference.ts';

describe('references', () => {
  it('are the same for the same name, and differ for another', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        expect(referenceOf(one)).to.equal(referenceOf(one));
        expect(referenceOf(one) === referenceOf(other)).to.equal(one === other);
        expect(voidReferenceOf(referenceOf(one))).to.not.equal(referenceOf(one));
      }),
    );
  });

  it('have no digits, so nothing takes them for a card number', () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const reference = referenceOf(name);
        expect(reference).to.match(/^mo_[a-p]{32}$/);
        expect(looksLikePan(idFrom('au_', reference))).to.equal(false);
      }),
    );
  });
});
