import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { expect } from 'chai';
import { referenceOf } from '../domain/reference.ts';
import type { Carrier, CarrierBookingId } from '../ports/carrier.ts';
import { easypost, parseOrigins } from './easypost.ts';

/*
 * Answers in the shapes of EasyPost's API documentation (Shipment, error objects). This is not the live service: it proves what
 * the adapter sends and how it reads those shapes, and no more.
 */
const SHIPMENT = {
  id: 'shp_a1',
  object: 'Shipment',
  mode: 'test',
  status: 'unknown',
  refund_status: null,
  tracking_code: null,
  selected_rate: null,
  rates: [
    { id: 'rate_dear', carrier: 'UPS', rate: '10.20' },
    { id: 'rate_cheap', carrier: 'USPS', rate: '9.80' },
  ],
};
const BOUGHT = { ...SHIPMENT, selected_rate: SHIPMENT.rates[1], tracking_code: '9400110898825022579493' };
const failure = (code: string) => ({ error: { code, message: 'as it says', errors: [] } });

describe("EasyPost's API, by its documented shapes", () => {
  const seen: { route: string; body: unknown; authorization: string | undefined }[] = [];
  let answers: [number, unknown][] = [];
  let server: Server;
  let client: HttpExchange;
  let carrier: Carrier;

  before(async () => {
    server = createServer(async (request, response) => {
      let text = '';
      for await (const chunk of request) text += chunk;
      const body: unknown = text === '' ? undefined : JSON.parse(text);
      seen.push({ route: `${request.method} ${request.url}`, body, authorization: request.headers.authorization });
      const [status, answer] = answers.shift() ?? [500, failure('NONE')];
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(typeof answer === 'string' ? answer : JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    // What is unknown here is so at once: the time-out is for a machine that stalls.
    client = httpExchange({ baseUrl: `http://127.0.0.1:${port}`, timeoutMs: 15_000 });
    const origins = parseOrigins('{"leeds":{"line1":"Dock 1","city":"Leeds","country":"GB"}}');
    carrier = easypost({ exchange: client.exchange, apiKey: 'EZTKtest', origins });
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

  const reference = referenceOf('shop/checkout/order-1/ship/action/1');
  const absent: [number, unknown] = [404, failure('NOT_FOUND')];
  const book = (warehouses = ['leeds']) =>
    carrier.book({
      reference,
      orderKey: 'shop/checkout/order-1',
      shipTo: { line1: '1 High Street', country: 'GB' },
      lines: [{ sku: 'a', quantity: 2 }],
      warehouses,
    });
  const cancel = () =>
    carrier.cancel({ reference, orderKey: 'shop/checkout/order-1', booking: SHIPMENT.id as CarrierBookingId });

  it('makes a shipment under our reference and buys its cheapest rate', async () => {
    answers = [absent, [201, SHIPMENT], [200, BOUGHT]];
    expect(await book()).to.deep.equal({
      outcome: 'booked',
      id: 'shp_a1',
      carrier: 'USPS',
      state: 'booked',
      trackingCode: BOUGHT.tracking_code,
    });
    expect(seen.map(({ route }) => route)).to.deep.equal([
      `GET /v2/shipments/${reference}`,
      'POST /v2/shipments',
      'POST /v2/shipments/shp_a1/buy',
    ]);
    expect(seen[0]?.authorization).to.equal(`Basic ${Buffer.from('EZTKtest:').toString('base64')}`);
    expect(seen[1]?.body).to.deep.equal({
      shipment: {
        reference,
        to_address: { street1: '1 High Street', country: 'GB' },
        from_address: { street1: 'Dock 1', city: 'Leeds', country: 'GB' },
        parcel: { weight: 32 },
      },
    });
    expect(seen[2]?.body).to.deep.equal({ rate: { id: 'rate_cheap' } });
  });

  it('buys what an earlier attempt made, and buys nothing twice', async () => {
    answers = [
      [200, SHIPMENT],
      [200, BOUGHT],
    ];
    expect(await book()).to.include({ outcome: 'booked' });
    expect(seen.map(({ route }) => route)).to.not.include('POST /v2/shipments');
    answers = [[200, BOUGHT]];
    expect(await book()).to.include({ outcome: 'booked' });
    answers = [
      [200, SHIPMENT],
      [422, failure('SHIPMENT.POSTAGE.EXISTS')],
    ];
    expect((await book()).outcome).to.equal('unknown');
  });

  it('refuses what EasyPost cannot deliver, and says unknown to the rest', async () => {
    answers = [absent, [422, failure('ADDRESS.VERIFY.FAILURE')]];
    expect(await book()).to.include({ outcome: 'refused', reason: 'address_undeliverable' });
    answers = [absent, [201, { ...SHIPMENT, rates: [] }]];
    expect(await book()).to.include({ outcome: 'refused', reason: 'no_service' });
    answers = [absent, [422, failure('SHIPMENT.INVALID_PARAMS')]];
    expect((await book()).outcome).to.equal('unknown');
    answers = [[500, '<html></html>']];
    expect((await book()).outcome).to.equal('unknown');
  });

  it('ships no part of an order, and from no warehouse that it does not know', async () => {
    expect(await book(['leeds', 'york'])).to.include({ outcome: 'refused', reason: 'no_service' });
    expect(await book(['york'])).to.include({ outcome: 'refused', reason: 'no_service' });
    expect(seen).to.deep.equal([]);
  });

  it('looks up by our reference; what was not bought is not there', async () => {
    answers = [[200, BOUGHT]];
    expect(await carrier.lookup(reference)).to.include({ outcome: 'booked', id: 'shp_a1' });
    answers = [[200, SHIPMENT]];
    expect(await carrier.lookup(reference)).to.deep.equal({ outcome: 'absent' });
    answers = [absent];
    expect(await carrier.lookup(reference)).to.deep.equal({ outcome: 'absent' });
    answers = [[503, failure('DOWN')]];
    expect((await carrier.lookup(reference)).outcome).to.equal('unknown');
  });

  it('cancels by refunding the label, until it is on its way', async () => {
    answers = [[200, { ...BOUGHT, refund_status: 'submitted' }]];
    expect(await cancel()).to.deep.equal({ outcome: 'cancelled' });
    expect(seen[0]?.route).to.equal('POST /v2/shipments/shp_a1/refund');
    const refused: [number, unknown] = [422, failure('SHIPMENT.REFUND.UNAVAILABLE')];
    answers = [refused, [200, { ...BOUGHT, status: 'in_transit' }]];
    expect(await cancel()).to.include({ outcome: 'refused', reason: 'already_picked_up' });
    answers = [refused, [200, { ...BOUGHT, refund_status: 'refunded' }]];
    expect(await cancel()).to.deep.equal({ outcome: 'cancelled' });
    answers = [refused, [200, BOUGHT]];
    expect((await cancel()).outcome).to.equal('unknown');
    answers = [absent, absent];
    expect(await cancel()).to.include({ outcome: 'refused', reason: 'booking_unknown' });
  });

  it('tracks', async () => {
    const states = { pre_transit: 'booked', in_transit: 'picked-up', delivered: 'delivered', cancelled: 'cancelled' };
    for (const [status, state] of Object.entries(states)) {
      answers = [[200, { ...BOUGHT, status }]];
      expect(await carrier.track('shp_a1' as CarrierBookingId)).to.deep.equal({ outcome: 'tracked', state });
    }
  });

  it('names what is wrong with the addresses of the warehouses', () => {
    expect(() => parseOrigins('{"leeds":{"country":"Great Britain"}}')).to.throw('origins: leeds/country');
  });
});
