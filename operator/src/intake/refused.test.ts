import { expect } from 'chai';
import { IntakeRefused } from './intake.ts';
import { refusedAnnouncement } from './refused.ts';

describe('What is told of an event that was refused', () => {
  const event = {
    specversion: '1.0',
    type: 'dev.mercato.order.placed',
    subject: 'o-1',
    mercatonamespace: 'shop',
    mercatosaga: 'checkout',
  };
  const told = (change: object, reason = 'InputInvalid', message = 'data.lines: no') =>
    refusedAnnouncement({ ...event, ...change }, new IntakeRefused(reason, message), 7);

  it('is the order, before all that a run says, with the reason and no secrets', () => {
    expect(told({}, 'InputInvalid', 'bad card 4111 1111 1111 1111')).to.deep.equal({
      id: { namespace: 'shop', saga: 'checkout', orderId: 'o-1' },
      sequence: 0,
      type: 'refused',
      at: 7,
      reason: 'InputInvalid',
      message: 'bad card [masked]',
    });
  });

  it('is nothing where it names no order, decides nothing, or says nothing of the order', () => {
    expect(told({ subject: 'No Label' })).to.equal(undefined);
    expect(told({ mercatosaga: 7 })).to.equal(undefined);
    expect(told({ type: 'dev.mercato.order.cancel-requested' })).to.equal(undefined);
    expect(told({}, 'TooOld')).to.equal(undefined);
    expect(told({}, 'NamespaceNotAllowed')).to.equal(undefined);
    expect(refusedAnnouncement(null, new IntakeRefused('EventInvalid', 'no'), 7)).to.equal(undefined);
  });
});
