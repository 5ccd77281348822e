import { expect } from 'chai';
import { announcementIn } from './subscriber.ts';

/** As the order service says it (docs/reference/order.md). */
const EVENT = {
  specversion: '1.0',
  id: 'shop/checkout/o1/3',
  source: '/mercato/order',
  type: 'dev.mercato.order.failed',
  subject: 'o1',
  sequence: '3',
  mercatonamespace: 'shop',
  mercatosaga: 'checkout',
  data: { customer: 'ada', state: 'Failed', reason: 'CardDeclined', message: 'Your card was declined.' },
};

// That it is heard over HTTP, with a token, the player's own test shows (tools/e2e/src/player.test.ts).
describe('an announcement', () => {
  it('is read from an event for customers', () => {
    expect(announcementIn(EVENT)).to.deep.equal({
      key: 'shop/checkout/o1',
      sequence: 3,
      type: 'failed',
      customer: 'ada',
      reason: 'CardDeclined',
    });
  });

  const refused: Readonly<Record<string, readonly [unknown, RegExp]>> = {
    'nothing at all': [null, /no event of the order service/],
    "another's event": [{ ...EVENT, source: '/mercato/operator' }, /no event of the order service/],
    'what is for the operator, with a payment token in it': [
      { ...EVENT, type: 'dev.mercato.order.placed' },
      /dev.mercato.order.placed is not for customers/,
    ],
    'a sequence that is none': [{ ...EVENT, sequence: '0' }, /the sequence 0 is no number/],
    'no customer': [{ ...EVENT, data: {} }, /names no customer/],
  };
  for (const [what, [event, says]] of Object.entries(refused))
    it(`is not: ${what}`, () => expect(() => announcementIn(event)).to.throw(says));
});
