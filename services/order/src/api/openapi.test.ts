import { expect } from 'chai';
import { newOrderId } from '../domain/ids.ts';
import { OrderBench } from '../testing/bench.ts';
import { EventSourceClient } from '../testing/event-source.ts';
import { noon, request } from '../testing/samples.ts';

/** Every answer that the document has is made, and held to it; OrderBench refuses each that it does not have. */
describe('The OpenAPI document of the order service', () => {
  let bench: OrderBench;
  before(async () => {
    bench = await OrderBench.start({ streams: { maxStreams: 1 } });
  });
  after(() => bench.close());

  /** The operations that customers' programs use, each with a request that could succeed. */
  const operations = (id: string): [Parameters<OrderBench['call']>[0], string, unknown?, Record<string, string>?][] => [
    ['POST', '/orders', request(), { 'idempotency-key': `key of ${id}` }],
    ['GET', `/orders/${id}`],
    ['GET', '/orders?customer=customer-1'],
    ['POST', `/orders/${id}/cancel`, {}],
    ['GET', `/orders/${id}/events`],
  ];

  it('says what the service answers when all is well', async () => {
    const id = await bench.placed();
    await bench.get(id);
    await bench.call('GET', '/orders?customer=customer-1&limit=1');
    await bench.call('POST', `/orders/${id}/cancel`, { reason: 'changed my mind' });
    await bench.say(id, 1, 'compensated', { reason: 'Cancelled' });
    await bench.call('POST', `/orders/${id}/cancel`, {});
    await bench.get(id);
    expect((await bench.call('GET', `/orders/${id}/events`)).text).to.contain('Cancelled');
    expect((await bench.call('GET', `/orders/${id}/events`, undefined, { 'last-event-id': '9' })).status).to.equal(204);
  });

  it('says what it answers to those who may not, and to those whom it does not know', async () => {
    const id = await bench.placed();
    const stranger = `Bearer ${await bench.issuer.mint({ subject: 'system:serviceaccount:mercato-shop:stranger' })}`;
    const foreign = `Bearer ${await bench.issuer.mint({ audience: 'another' })}`;
    for (const [method, path, body, headers] of operations(id)) {
      for (const [authorization, status] of [
        ['', 401],
        [foreign, 401],
        [stranger, 403],
      ] as const)
        expect((await bench.call(method, path, body, { ...headers, authorization })).status, path).to.equal(status);
    }
  });

  it('says what it answers to what is wrong', async () => {
    const id = await bench.placed();
    const nobody = newOrderId(noon);
    expect((await bench.call('POST', '/orders', request())).status).to.equal(400);
    expect((await bench.place('x'.repeat(70_000))).status).to.equal(413);
    const text = { 'idempotency-key': 'k', 'content-type': 'text/plain' };
    expect((await bench.call('POST', '/orders', 'text', text)).status).to.equal(415);
    const dear = request({ lines: [{ sku: 'a', quantity: 1_000_000, unitPrice: 1_000_000_000_000 }] });
    expect((await bench.place(dear)).status).to.equal(422);
    expect((await bench.call('GET', `/orders/${nobody}`)).status).to.equal(404);
    expect((await bench.call('GET', '/orders')).status).to.equal(400);
    expect((await bench.call('GET', `/orders/${id}?customer=`)).status).to.equal(400);
    expect((await bench.call('POST', `/orders/${nobody}/cancel`, {})).status).to.equal(404);
    expect((await bench.call('POST', `/orders/${id}/cancel`, { why: 1 })).status).to.equal(400);
    expect((await bench.call('POST', `/orders/${id}/cancel`, { reason: 'x'.repeat(1_100_000) })).status).to.equal(413);
    expect((await bench.call('GET', `/orders/${nobody}/events`)).status).to.equal(404);
    expect((await bench.call('GET', `/orders/${id}/events`, undefined, { 'last-event-id': 'x' })).status).to.equal(400);
    await bench.say(id, 1, 'succeeded');
    expect((await bench.call('POST', `/orders/${id}/cancel`, {})).status).to.equal(409);
  });

  it('says what it answers when there is too much to do', async () => {
    const id = await bench.placed();
    const headers = { authorization: `Bearer ${bench.token}` };
    const watching = await EventSourceClient.open(`${bench.url}/orders/${id}/events`, headers);
    expect((await bench.call('GET', `/orders/${id}/events`)).status).to.equal(429);
    watching.close();
    // Every body waits for its end before the first is decided, so that more than one is under way.
    await bench.restart({ admission: { ceiling: 1 } });
    await bench.until(async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => bench.place()));
      return answers.some(({ status }) => status === 429);
    });
  });

  it('says what it answers when keys cannot be fetched, or its store cannot be used', async () => {
    await bench.restart();
    const id = await bench.placed();
    const pages = Number(bench.database.prepare('PRAGMA page_count').get()?.['page_count']);
    bench.database.exec(`PRAGMA max_page_count = ${pages}`);
    await bench.until(async () => (await bench.place()).status === 503);
    bench.database.exec('PRAGMA max_page_count = 1073741823');
    expect((await bench.place()).status).to.equal(201);

    bench.issuer.down(true);
    await bench.restart();
    for (const [method, path, body, headers] of operations(id)) {
      const { status, headers: answered } = await bench.call(method, path, body, headers);
      expect(status, path).to.equal(503);
      expect(answered.get('retry-after'), path).to.match(/^[12]$/);
    }
    bench.issuer.down(false);
  });

  it('has no answer that never comes', () => {
    expect(bench.api.unseen).to.deep.equal([]);
  });

  it('has all operations that there are: others are 404', async () => {
    for (const [method, path] of [
      ['PUT', '/orders'],
      ['DELETE', '/orders'],
      ['DELETE', `/orders/${newOrderId(noon)}`],
      ['GET', `/orders/${newOrderId(noon)}/cancel`],
      ['GET', '/orders/a/b/c'],
      ['POST', '/saga/reserve-stock'],
    ] as const)
      expect((await bench.call(method, path)).status, path).to.equal(404);
  });
});
