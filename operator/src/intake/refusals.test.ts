import { expect } from 'chai';
import { KEPT, oldest, recordOf } from './refusals.ts';

const AT = '2026-11-22T12:00:00.000Z';
const WHY = { reason: 'EventInvalid', message: 'specversion is not "1.0"' };
const event = (text: string) => ({ id: text, source: text, type: text, subject: text });

describe('The record of refused events', () => {
  it('says which event it was, when, and why', () => {
    const named = {
      id: 'shop/checkout/o-1/1',
      source: '/mercato/order',
      type: 'dev.mercato.order.placed',
      subject: 'o-1',
    };
    expect(JSON.parse(recordOf(AT, named, WHY))).to.deep.equal({ at: AT, ...named, ...WHY });
  });

  for (const [what, text] of [
    ['quotes', '"'],
    ['backslashes', '\\'],
    ['control characters', '\u0001'],
    ['halves of characters', '\ud800'],
    ['long characters', '\u{1f600}'],
    ['characters of three bytes', '\u20ac'],
  ] as const) {
    it(`is one that the API server takes, when twice as many as stay are long and all ${what}`, () => {
      const long = text.repeat(1_024);
      const record = recordOf(AT, event(long), { reason: 'EventInvalid', message: long });
      const key = 'refused-01234567890123456789';
      expect(2 * KEPT * (Buffer.byteLength(record) + key.length)).to.be.below(1024 * 1024);
      expect(record).to.satisfy((written: string) => written.isWellFormed());
      expect(JSON.parse(record).id).to.match(/…$/);
    });
  }

  it('keeps the newest', () => {
    const records = Object.fromEntries(
      ['b', 'a', 'c'].map((key, i) => [key, recordOf(`2026-11-22T12:00:0${i}.000Z`, event(key), WHY)]),
    );
    expect(oldest(records, 2)).to.deep.equal(['b']);
    expect(oldest(records, 3)).to.deep.equal([]);
  });
});
