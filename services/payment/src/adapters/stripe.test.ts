import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { expect } from 'chai';
import { type Currency, minorUnits } from '../domain/money.ts';
import type { PaymentToken } from '../domain/payment-token.ts';
import { referenceOf } from '../domain/reference.ts';
import type { PaymentProcessor, ProcessorId } from '../ports/processor.ts';
import { stripe } from './stripe.ts';

/*
 * Answers in the shapes of Stripe's API reference (PaymentIntent, Refund, search result, error objects). This is not the live
 * service: it proves what the adapter sends and how it reads those shapes, and no more.
 */
const INTENT = {
  id: 'pi_3MtwBwLkdIwHu7ix28a3tqPa',
  object: 'payment_intent',
  amount: 1_530,
  amount_capturable: 1_530,
  amount_received: 0,
  cancellation_reason: null,
  capture_method: 'manual',
  created: 1_795_348_800,
  currency: 'gbp',
  latest_charge: { id: 'ch_1', object: 'charge', payment_method_details: { card: { capture_before: 1_795_953_600 } } },
  livemode: false,
  metadata: { reference: 'mo_x' },
  status: 'requires_capture',
};
const REFUND = {
  id: 're_1',
  object: 'refund',
  amount: 500,
  payment_intent: INTENT.id,
  status: 'succeeded',
  metadata: {},
};
const failure = (type: string, code: string, decline_code?: string) => ({
  error: {
    type,
    code,
    message: 'Your card ending in 4242 ...',
    ...(decline_code === undefined ? {} : { decline_code }),
  },
});

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly form: Record<string, string>;
  readonly headers: NodeJS.Dict<string | string[]>;
}

describe("Stripe's API, by its documented shapes", () => {
  const seen: Seen[] = [];
  let answers: [number, unknown][] = [];
  let server: Server;
  let client: HttpExchange;
  let processor: PaymentProcessor;

  before(async () => {
    server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const url = new URL(request.url ?? '/', 'http://stripe');
      const form = Object.fromEntries(new URLSearchParams(text));
      seen.push({
        method: request.method ?? '',
        path: url.pathname,
        query: url.searchParams,
        form,
        headers: request.headers,
      });
      const [status, body] = answers.shift() ?? [500, failure('api_error', 'none')];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof body === 'string' ? body : JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    // What is unknown here is so at once: the time-out is for a machine that stalls.
    client = httpExchange({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 15_000 });
    processor = stripe({ exchange: client.exchange, secretKey: 'sk_test_secret' });
  });
  after(async () => {
    await client.close();
    await new Promise((resolve) => server.close(resolve));
  });
  beforeEach(() => {
    seen.length = 0;
    answers = [];
  });
  afterEach(() => expect(answers, 'answers that nobody asked for').to.deep.equal([]));

  const reference = referenceOf('shop/checkout/order-1/pay/action/1');
  const orderKey = 'shop/checkout/order-1';
  const amount = minorUnits(1_530);
  const currency = 'GBP' as Currency;
  const target = INTENT.id as ProcessorId;
  const authorise = () =>
    processor.authorise({ reference, orderKey, token: 'tok_visa' as PaymentToken, amount, currency });
  const capture = () => processor.capture({ reference, orderKey, authorisation: target, amount, currency });
  const refund = () => processor.refund({ reference, orderKey, capture: target, amount: minorUnits(500), currency });
  const release = () => processor.void({ reference, orderKey, authorisation: target });

  it('authorises with a PaymentIntent that is captured by hand, under our reference', async () => {
    answers = [[200, INTENT]];
    expect(await authorise()).to.deep.equal({
      outcome: 'approved',
      id: INTENT.id,
      expiresAt: new Date(1_795_953_600_000).toISOString(),
    });
    const [sent] = seen;
    expect(`${sent?.method} ${sent?.path}`).to.equal('POST /v1/payment_intents');
    expect(sent?.headers).to.include({ authorization: 'Bearer sk_test_secret', 'idempotency-key': reference });
    expect(sent?.form).to.deep.equal({
      amount: '1530',
      currency: 'gbp',
      capture_method: 'manual',
      confirm: 'true',
      error_on_requires_action: 'true',
      'payment_method_types[]': 'card',
      'payment_method_data[type]': 'card',
      'payment_method_data[card][token]': 'tok_visa',
      'metadata[reference]': reference,
      'metadata[order]': orderKey,
      'expand[]': 'latest_charge',
    });
  });

  it('takes seven days for the hold when the charge does not say', async () => {
    answers = [[200, { ...INTENT, latest_charge: 'ch_1' }]];
    expect(await authorise()).to.include({ expiresAt: new Date((INTENT.created + 7 * 86_400) * 1_000).toISOString() });
  });

  const refusals: [number, object, string, string?][] = [
    [402, failure('card_error', 'card_declined', 'generic_decline'), 'declined', 'card_declined'],
    [402, failure('card_error', 'card_declined', 'insufficient_funds'), 'declined', 'insufficient_funds'],
    [400, failure('invalid_request_error', 'resource_missing'), 'declined', 'token_unknown'],
    [400, failure('invalid_request_error', 'token_already_used'), 'declined', 'token_unknown'],
    [400, failure('invalid_request_error', 'amount_too_small'), 'declined', 'amount_invalid'],
    [400, failure('idempotency_error', 'none'), 'unknown'],
    [401, failure('invalid_request_error', 'api_key_expired'), 'unknown'],
    [409, failure('invalid_request_error', 'idempotency_key_in_use'), 'unknown'],
    [429, failure('invalid_request_error', 'rate_limit'), 'unknown'],
    [500, failure('api_error', 'none'), 'unknown'],
    [200, { ...INTENT, status: 'processing' }, 'unknown'],
    [200, { object: 'list' }, 'unknown'],
  ];
  for (const [status, body, outcome, reason] of refusals) {
    it(`reads ${status} ${JSON.stringify(body).slice(0, 90)} as ${reason ?? outcome}`, async () => {
      answers = [[status, body]];
      const read = await authorise();
      expect(read).to.include({ outcome, ...(reason === undefined ? {} : { reason }) });
      expect(JSON.stringify(read), "Stripe's message may quote the card").to.not.include('4242');
    });
  }

  it('captures, and marks the capture as ours', async () => {
    answers = [[200, { ...INTENT, status: 'succeeded' }]];
    expect(await capture()).to.deep.equal({ outcome: 'approved', id: INTENT.id });
    expect(seen[0]).to.deep.include({
      path: `/v1/payment_intents/${INTENT.id}/capture`,
      form: { amount_to_capture: '1530', 'metadata[capture_reference]': reference },
    });
  });

  it('asks the PaymentIntent when a capture is refused for its state', async () => {
    const refused: [number, unknown] = [400, failure('invalid_request_error', 'payment_intent_unexpected_state')];
    answers = [refused, [200, { ...INTENT, status: 'canceled', cancellation_reason: 'automatic' }]];
    expect(await capture()).to.include({ outcome: 'declined', reason: 'authorisation_expired' });
    answers = [refused, [200, { ...INTENT, status: 'canceled', cancellation_reason: 'requested_by_customer' }]];
    expect(await capture()).to.include({ outcome: 'declined', reason: 'authorisation_unknown' });
    answers = [refused, [200, { ...INTENT, status: 'succeeded', metadata: { capture_reference: reference } }]];
    expect(await capture()).to.deep.equal({ outcome: 'approved', id: INTENT.id });
    answers = [refused, [200, { ...INTENT, status: 'succeeded' }]];
    expect(await capture()).to.include({ outcome: 'declined', reason: 'already_captured' });
    answers = [[402, failure('card_error', 'card_declined', 'do_not_honor')]];
    expect(await capture()).to.include({ outcome: 'declined', reason: 'card_declined' });
  });

  it('voids by cancelling, also what is cancelled already, and not what was captured', async () => {
    answers = [[200, { ...INTENT, status: 'canceled' }]];
    expect(await release()).to.deep.equal({ outcome: 'approved' });
    expect(seen[0]?.path).to.equal(`/v1/payment_intents/${INTENT.id}/cancel`);
    const refused: [number, unknown] = [400, failure('invalid_request_error', 'payment_intent_unexpected_state')];
    answers = [refused, [200, { ...INTENT, status: 'canceled' }]];
    expect(await release()).to.include({ outcome: 'approved' });
    answers = [refused, [200, { ...INTENT, status: 'succeeded' }]];
    expect(await release()).to.include({ outcome: 'declined', reason: 'already_captured' });
  });

  it('refunds a part, and reads what became of it', async () => {
    answers = [[200, REFUND]];
    expect(await refund()).to.deep.equal({ outcome: 'approved', id: 're_1' });
    expect(seen[0]).to.deep.include({
      path: '/v1/refunds',
      form: { payment_intent: INTENT.id, amount: '500', 'metadata[reference]': reference },
    });
    answers = [[200, { ...REFUND, status: 'failed' }]];
    expect(await refund()).to.include({ outcome: 'declined', reason: 'refund_declined' });
    answers = [[400, failure('invalid_request_error', 'charge_already_refunded')]];
    expect(await refund()).to.include({ outcome: 'declined', reason: 'amount_invalid' });
    answers = [[404, failure('invalid_request_error', 'resource_missing')]];
    expect(await refund()).to.include({ outcome: 'declined', reason: 'capture_unknown' });
  });

  it('finds an authorisation by our reference in the metadata', async () => {
    const lookup = () => processor.lookup({ reference, operation: 'authorise' });
    answers = [[200, { object: 'search_result', data: [INTENT], has_more: false }]];
    expect(await lookup()).to.include({ outcome: 'approved', id: INTENT.id, open: true });
    expect(seen[0]?.path).to.equal('/v1/payment_intents/search');
    expect(seen[0]?.query.get('query')).to.equal(`metadata['reference']:'${reference}'`);
    answers = [[200, { object: 'search_result', data: [{ ...INTENT, status: 'canceled' }] }]];
    expect(await lookup()).to.include({ outcome: 'approved', open: false });
    answers = [[200, { object: 'search_result', data: [{ ...INTENT, status: 'requires_payment_method' }] }]];
    expect(await lookup()).to.include({ outcome: 'declined' });
    answers = [[200, { object: 'search_result', data: [] }]];
    expect(await lookup()).to.deep.equal({ outcome: 'absent' });
  });

  it('finds captures, voids and refunds by what they were done to', async () => {
    answers = [[200, INTENT]];
    expect(await processor.lookup({ reference, operation: 'capture', target })).to.deep.equal({ outcome: 'absent' });
    answers = [[200, { ...INTENT, status: 'canceled' }]];
    expect(await processor.lookup({ reference, operation: 'void', target })).to.include({ outcome: 'approved' });
    answers = [[200, { object: 'list', data: [REFUND, { ...REFUND, id: 're_2', metadata: { reference } }] }]];
    expect(await processor.lookup({ reference, operation: 'refund', target })).to.deep.equal({
      outcome: 'approved',
      id: 're_2',
    });
    answers = [[200, { object: 'list', data: [REFUND] }]];
    expect(await processor.lookup({ reference, operation: 'refund', target })).to.deep.equal({ outcome: 'absent' });
  });

  it('says unknown for HTML', async () => {
    answers = [[502, '<html></html>']];
    expect((await authorise()).outcome).to.equal('unknown');
  });
});
