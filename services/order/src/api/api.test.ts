import { days, minutes } from '@mercato/kit';
import { expect } from 'chai';
import { newOrderId } from '../domain/ids.ts';
import { OrderBench, operatorSubject, sagaEvent } from '../testing/bench.ts';
import { noon, request } from '../testing/samples.ts';

describe('the API of orders', () => {
  let bench: OrderBench;
  beforeEach(async () => {
    bench = await OrderBench.start();
  });
  afterEach(() => bench.close());

  const reasonOf = ({ body }: { body: unknown }) => (body as { reason?: string }).reason;
  const statesOf = (id: string) => bench.get(id).then(({ state, reason }) => [state, reason]);

  describe('placing', () => {
    it('answers 201 with the order and where it is', async () => {
      const answer = await bench.place();
      expect(answer.status).to.equal(201);
      const { id, ...rest } = answer.body as { id: string };
      expect(rest).to.deep.equal({
        state: 'Placed',
        currency: 'GBP',
        total: 1869,
        placedAt: '2026-11-22T12:00:00.000Z',
      });
      expect(answer.headers.get('location')).to.equal(`/orders/${id}`);
      const { paymentToken: _token, ...terms } = request();
      expect(await bench.get(id)).to.deep.equal({ id, ...rest, ...terms, updatedAt: '2026-11-22T12:00:00.000Z' });
    });

    it('answers a repeat as it did, and places it once', async () => {
      const first = await bench.place(request(), 'k');
      bench.clock.advance(minutes(1));
      const body = request();
      const again = await bench.place(Object.fromEntries(Object.entries(body).reverse()), 'k');
      expect([again.status, again.text]).to.deep.equal([201, first.text]);
      expect(again.headers.get('location')).to.equal(first.headers.get('location'));
      expect([first, again].map(({ headers }) => headers.get('idempotency-replayed'))).to.deep.equal([null, 'true']);
      const { body: list } = await bench.call('GET', '/orders?customer=customer-1');
      expect((list as { items: object[] }).items).to.have.length(1);
    });

    it('refuses another order under the key', async () => {
      const first = await bench.place(request(), 'k');
      for (const change of [{ customer: 'customer-2' }, { paymentToken: 'tok_other' }]) {
        const other = await bench.place(request(change), 'k');
        expect([other.status, reasonOf(other)]).to.deep.equal([422, 'KeyReused']);
      }
      expect((await bench.place(request(), 'k')).text).to.equal(first.text);
    });

    it('answers a refusal as it did, although it would decide otherwise today', async () => {
      await bench.restart({ currencies: ['EUR'] });
      const refused = await bench.place(request(), 'k');
      expect([refused.status, reasonOf(refused)]).to.deep.equal([422, 'CurrencyNotTaken']);
      await bench.restart();
      const again = await bench.place(request(), 'k');
      expect([again.status, again.text]).to.deep.equal([422, refused.text]);
      expect(again.headers.get('idempotency-replayed')).to.equal('true');
      expect((await bench.place(request())).status).to.equal(201);
    });

    it('binds no key by a request that is malformed, and keeps nothing of it', async () => {
      const card = await bench.place(request({ paymentToken: '4242424242424242' }), 'k');
      expect(card.status).to.equal(400);
      expect(card.text).to.contain('card number').and.not.contain('4242');
      expect((await bench.place('{"half', 'k')).status).to.equal(400);
      expect(bench.rows('order_key')).to.equal(0);
      expect((await bench.place(request(), 'k')).status).to.equal(201);
    });

    it('wants an Idempotency-Key', async () => {
      const without = await bench.call('POST', '/orders', request());
      expect([without.status, reasonOf(without)]).to.deep.equal([400, 'KeyMissing']);
      for (const key of ['a b', 'k'.repeat(256)]) {
        const answer = await bench.place(request(), key);
        expect([answer.status, reasonOf(answer)], key).to.deep.equal([400, 'KeyMalformed']);
      }
    });

    it('forgets keys after their retention, and not before', async () => {
      const first = await bench.place(request(), 'k');
      bench.clock.advance(days(34));
      expect((await bench.place(request(), 'k')).text).to.equal(first.text);
      await bench.passing(days(2), minutes(11));
      await bench.until(() => bench.rows('order_key') === 0);
      const again = await bench.place(request(), 'k');
      expect(again.status).to.equal(201);
      expect(again.text).not.to.equal(first.text);
    });

    it('refuses what is deep, odd or full of tricks, and goes on', async () => {
      const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`;
      const good = JSON.stringify(request());
      const odd = [
        deep,
        `{"lines":${deep}}`,
        good.replace('{', '{"__proto__":{"currency":"GBP"},'),
        good.replace('{', '{"constructor":1,'),
        good.replace('"GBP"', '{"toString":"GBP"}'),
        good.replace(/"quantity":\d+/, '"quantity":1e999'),
        good.replace(/"quantity":\d+/, '"quantity":1.5'),
        'null',
        '""',
      ];
      for (const body of odd) expect((await bench.place(body)).status, body.slice(0, 60)).to.equal(400);
      expect((await bench.place(`"${'x'.repeat(65_536)}"`)).status).to.equal(413);
      expect(bench.rows('shop_order') + bench.rows('order_key')).to.equal(0);
      expect((await bench.place()).status).to.equal(201);
    });

    it('is not there for another customer, to be read or cancelled, where the caller says who asks', async () => {
      const id = await bench.placed();
      const other = '?customer=customer-2';
      const hidden = [
        await bench.call('GET', `/orders/${id}${other}`),
        await bench.call('POST', `/orders/${id}/cancel${other}`, {}),
        await bench.call('GET', `/orders/${id}/events${other}`),
      ];
      // Word for word what an id gets that no order has.
      const none = await bench.call('GET', `/orders/${newOrderId(noon)}${other}`);
      for (const { status, text } of hidden)
        expect([status, text]).to.deep.equal([404, none.text.replace(/o01[a-z0-9]+/, id)]);
      expect((await bench.get(id))['state']).to.equal('Placed');
      expect((await bench.call('GET', `/orders/${id}?customer=a%20b`)).status).to.equal(400);
      expect((await bench.call('GET', `/orders/${id}?customer=customer-1`)).status).to.equal(200);
      expect((await bench.call('POST', `/orders/${id}/cancel?customer=customer-1`, {})).status).to.equal(202);
    });

    it('shows the payment token to nobody', async () => {
      const id = await bench.placed({ paymentToken: 'tok_secret' });
      const seen = [
        await bench.call('GET', `/orders/${id}`),
        await bench.call('GET', '/orders?customer=customer-1'),
        await bench.call('POST', `/orders/${id}/cancel`, {}),
      ];
      expect(seen.map(({ text }) => text).join('')).not.to.contain('tok_');
    });

    it('carries the trace on to the saga', async () => {
      const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
      await bench.call('POST', '/orders', request(), { 'idempotency-key': 'a', traceparent });
      await bench.call('POST', '/orders', request(), { 'idempotency-key': 'b', traceparent: 'nonsense' });
      const found = await bench.orders.outbox.unsent({ url: 'x' }, { events: 10, bytes: 1e6 });
      expect(found?.events.map((event) => event['traceparent'])).to.deep.equal([traceparent, undefined]);
    });
  });

  describe('listing', () => {
    it('pages through the orders of one customer', async () => {
      const mine: string[] = [];
      for (let i = 0; i < 5; i++) {
        mine.unshift(await bench.placed());
        bench.clock.advance(minutes(1));
      }
      await bench.placed({ customer: 'customer-2' });
      const seen: string[] = [];
      for (let path: string | undefined = '/orders?customer=customer-1&limit=2'; path !== undefined; ) {
        const page = (await bench.call('GET', path)).body as { items: { id: string }[]; next?: string };
        expect(page.items.length).to.be.within(1, 2);
        seen.push(...page.items.map(({ id }) => id));
        path = page.next === undefined ? undefined : `/orders?customer=customer-1&limit=2&cursor=${page.next}`;
      }
      expect(seen).to.deep.equal(mine);
    });

    it('refuses a cursor that it did not give for this customer', async () => {
      for (let i = 0; i < 2; i++) await bench.placed();
      const { body } = await bench.call('GET', '/orders?customer=customer-1&limit=1');
      const { next } = body as { next: string };
      const bad = ['customer-2', 'customer-1'].map(
        (whose, i) => `customer=${whose}&cursor=${i === 0 ? next : `${next}A`}`,
      );
      for (const query of [...bad, 'customer=customer-1&cursor=!!', 'customer=customer-1&cursor=']) {
        const answer = await bench.call('GET', `/orders?${query}`);
        expect([answer.status, reasonOf(answer)], query).to.deep.equal([400, 'BadCursor']);
      }
      for (const query of [
        '',
        'customer=a%20b',
        'customer=customer-1&limit=0',
        'customer=customer-1&limit=101',
        'customer=a&all=1',
      ])
        expect((await bench.call('GET', `/orders?${query}`)).status, query).to.equal(400);
    });
  });

  describe('cancelling', () => {
    it('is asked for, stands, and is over when the saga says so', async () => {
      const id = await bench.placed();
      const asked = await bench.call('POST', `/orders/${id}/cancel`, { reason: 'changed my mind' });
      expect([asked.status, (asked.body as { state: string }).state]).to.deep.equal([202, 'Cancelling']);
      expect((await bench.call('POST', `/orders/${id}/cancel`, {})).text).to.equal(asked.text);
      await bench.say(id, 1, 'compensated', { reason: 'Cancelled' });
      const over = await bench.call('POST', `/orders/${id}/cancel`);
      expect([over.status, (over.body as { state: string }).state]).to.deep.equal([200, 'Cancelled']);
    });

    it('comes too late for an order that is complete', async () => {
      const id = await bench.placed();
      await bench.say(id, 1, 'succeeded');
      const late = await bench.call('POST', `/orders/${id}/cancel`, {});
      expect([late.status, reasonOf(late)]).to.deep.equal([409, 'OrderOver']);
    });
  });

  describe('hearing the saga', () => {
    it('moves orders, and answers what came of each event', async () => {
      const id = await bench.placed();
      const said = async (...args: [number, string, object?]) => (await bench.say(id, ...args)).body;
      const none = { applied: 0, duplicate: 0, stale: 0, ignored: 0, unsubscribed: 0 };
      expect(await said(1, 'held', { reason: 'StepFailed', message: 'capture-payment' })).to.deep.equal({
        ...none,
        applied: 1,
      });
      expect(await statesOf(id)).to.deep.equal(['Held', 'NeedsAttention']);
      expect(await said(2, 'resumed')).to.deep.equal({ ...none, applied: 1 });
      expect(await said(1, 'held')).to.deep.equal({ ...none, stale: 1 });
      expect(await statesOf(id)).to.deep.equal(['Placed', undefined]);
      expect(await said(3, 'compensated', { reason: 'CardDeclined' })).to.deep.equal({ ...none, applied: 1 });
      expect(await said(3, 'compensated', { reason: 'CardDeclined' })).to.deep.equal({ ...none, duplicate: 1 });
      expect(await said(4, 'succeeded')).to.deep.equal({ ...none, ignored: 1 });
      expect(await statesOf(id)).to.deep.equal(['Failed', 'CardDeclined']);
      expect(bench.ignored).to.deep.equal([`shop/checkout/${id}/4 an order that is Failed takes no succeeded`]);
      const page = await bench.metrics.registry.metrics();
      expect(page).to.match(/mercato_order_transitions_total\{to="Failed",service="order"\} 1/);
      expect(page).to.match(/mercato_orders_open\{state="Placed",service="order"\} 0/);
    });

    it('leaves runs alone that are not of its orders, and misses an order that it should have', async () => {
      const id = await bench.placed();
      const batch = [
        sagaEvent('order-by-hand', 1, 'held'),
        { ...sagaEvent(id, 1, 'held'), mercatosaga: 'returns' },
        { ...sagaEvent(id, 1, 'held'), source: '/elsewhere' },
        sagaEvent(id, 1, 'began'),
        sagaEvent(`o${'0'.repeat(26)}`, 1, 'held'),
      ];
      const authorization = `Bearer ${await bench.issuer.mint({ subject: operatorSubject })}`;
      const type = { authorization, 'content-type': 'application/cloudevents-batch+json' };
      const { body } = await bench.call('POST', '/events', batch, type);
      expect(body).to.deep.include({ ignored: 1, unsubscribed: 4, applied: 0 });
      expect(bench.ignored).to.have.length(1);
      expect(await statesOf(id)).to.deep.equal(['Placed', undefined]);
    });

    it('believes the operator only, and lets it do nothing else', async () => {
      const id = await bench.placed();
      const type = { 'content-type': 'application/cloudevents-batch+json' };
      const events = [sagaEvent(id, 1, 'succeeded')];
      expect((await bench.call('POST', '/events', events, type)).status).to.equal(403);
      const authorization = `Bearer ${await bench.issuer.mint({ subject: operatorSubject })}`;
      expect((await bench.call('GET', `/orders/${id}`, undefined, { authorization })).status).to.equal(403);
      expect(await statesOf(id)).to.deep.equal(['Placed', undefined]);
    });
  });
});
