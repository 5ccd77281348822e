import { expect } from 'chai';
import { PaymentBench } from './testing/bench.ts';

const request = {
  command: 'authorise-payment',
  key: 'shop/checkout/order-1/authorise-payment/action',
  epoch: 1,
  begun: '2026-11-22T12:00:00Z',
  body: { total: 1_530, currency: 'GBP', paymentToken: 'tok_visa', customer: 'ada' },
};
const CARD = '4242424242424242';

describe('the guard against card numbers', () => {
  const answerTo = (traceparent: string) => new PaymentBench().service.participant.execute({ ...request, traceparent });

  it('takes no trace for a card number: of random hex digits some look like one', async () => {
    const { status } = await answerTo(`00-${CARD}abcdefabcdefabcd-00f067aa0ba902b7-01`);
    expect(status).to.equal(200);
  });

  it('refuses a card number in what is no trace', async () => {
    const { status, body } = await answerTo(CARD);
    expect([status, body['reason']]).to.deep.equal([400, 'CardNumberRefused']);
  });
});
