import { expect } from 'chai';
import fc from 'fast-check';
import { maskToken, parsePaymentToken } from './payment-token.ts';

const token = fc.stringMatching(/^tok_[A-Za-z0-9_-]{1,40}$/);

describe('payment tokens', () => {
  it('are tok_ and a name', () => {
    expect(parsePaymentToken('tok_visa')).to.equal('tok_visa');
    for (const none of [
      'visa',
      'tok_',
      'tok_ä',
      'tok_a b',
      ` tok_a`,
      'TOK_a',
      7,
      null,
      undefined,
      `tok_${'a'.repeat(121)}`,
    ]) {
      expect(parsePaymentToken(none), String(none)).to.equal(undefined);
    }
  });

  it('are masked so that at most half of the name and four characters stay', () => {
    fc.assert(
      fc.property(token, (text) => {
        const parsed = parsePaymentToken(text)!;
        const shown = maskToken(parsed).slice('tok_***'.length);
        return shown.length <= 4 && shown.length * 2 <= text.length - 4 && text.endsWith(shown);
      }),
    );
    expect(maskToken(parsePaymentToken('tok_1NcZXX4711')!)).to.equal('tok_***4711');
    expect(maskToken(parsePaymentToken('tok_a')!)).to.equal('tok_***');
  });
});
