import { get } from 'node:http';
import { minutes, seconds } from '@mercato/kit';
import { expect } from 'chai';
import { newOrderId, type OrderId } from '../domain/ids.ts';
import { hear } from '../domain/order.ts';
import { OrderBench } from '../testing/bench.ts';
import { EventSourceClient } from '../testing/event-source.ts';
import { noon } from '../testing/samples.ts';

describe('GET /orders/{id}/events', () => {
  let bench: OrderBench;
  const clients: EventSourceClient[] = [];
  beforeEach(async () => {
    bench = await OrderBench.start({ streams: { maxStreams: 3 } });
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await bench.close();
  });

  async function watch(id: string, lastId?: string): Promise<EventSourceClient> {
    const resume = lastId === undefined ? {} : { 'last-event-id': lastId };
    const headers = { authorization: `Bearer ${bench.token}`, ...resume };
    const client = await EventSourceClient.open(`${bench.url}/orders/${id}/events`, headers);
    clients.push(client);
    return client;
  }
  const told = ({ events }: EventSourceClient) => events.map(({ id, data }) => `${id} ${String(data['state'])}`);

  it('tells how an order goes on, from its beginning to its end, and ends then', async () => {
    const id = await bench.placed();
    const client = await watch(id);
    expect(client.headers.get('content-type')).to.equal('text/event-stream');
    expect(client.headers.get('cache-control')).to.equal('no-store');
    await client.until(({ events }) => events.length === 1);
    expect(client.events[0]).to.deep.equal({
      id: '1',
      event: 'state',
      data: { id, state: 'Placed', at: '2026-11-22T12:00:00.000Z' },
    });
    await bench.call('POST', `/orders/${id}/cancel`, {});
    await client.until(({ events }) => events.length === 2);
    await bench.say(id, 1, 'held', { reason: 'StepFailed', message: 'internal words' });
    await bench.say(id, 2, 'resumed');
    await bench.say(id, 3, 'compensated', { reason: 'Cancelled' });
    await client.until(({ hasEnded }) => hasEnded);
    expect(told(client)).to.deep.equal(['1 Placed', '2 Cancelling', '3 Held', '4 Cancelling', '5 Cancelled']);
    expect(JSON.stringify(client.events)).not.to.contain('internal');
    expect(client.events[4]?.data).to.include({ reason: 'Cancelled' });
  });

  it('goes on after Last-Event-ID, and says 204 when all was seen', async () => {
    const id = await bench.placed();
    await bench.say(id, 1, 'held');
    const client = await watch(id, '1');
    await client.until(({ events }) => events.length === 1);
    client.close();
    await bench.say(id, 2, 'resumed');
    await bench.say(id, 3, 'succeeded');
    const again = await watch(id, '2');
    await again.until(({ hasEnded }) => hasEnded);
    expect(told(again)).to.deep.equal(['3 Placed', '4 Completed']);
    expect((await watch(id, '4')).status).to.equal(204);
    expect((await watch(id, 'x')).status).to.equal(400);
  });

  it('is open to a bounded number, and to others again when one is left', async () => {
    const ids = [await bench.placed(), await bench.placed()];
    for (let i = 0; i < 3; i++) expect((await watch(ids[i % 2]!)).status).to.equal(200);
    const refused = await watch(ids[0]!);
    expect(refused.status).to.equal(429);
    expect(refused.headers.get('retry-after')).to.match(/^([5-9]|10)$/);
    clients[0]?.close();
    await bench.until(async () => (await watch(ids[1]!)).status === 200);
  });

  it("is open to a bounded number for one customer's orders, whatever others take", async () => {
    await bench.close();
    bench = await OrderBench.start({ streams: { maxStreams: 10, maxPerCustomer: 2 } });
    const [mine, mineToo, others] = [
      await bench.placed(),
      await bench.placed(),
      await bench.placed({ customer: 'grace' }),
    ];
    expect([(await watch(mine)).status, (await watch(mineToo)).status]).to.deep.equal([200, 200]);
    expect((await watch(mine)).status).to.equal(429);
    expect((await watch(others)).status).to.equal(200);
    clients[0]?.close();
    await bench.until(async () => (await watch(mine)).status === 200);
    await bench.say(mineToo, 1, 'succeeded');
    await clients[1]?.until(({ hasEnded }) => hasEnded);
    await bench.until(async () => (await watch(mine)).status === 200);
  });

  it('takes no place for a client that left before its token was looked at', async () => {
    const mayAnswer = Promise.withResolvers<void>();
    let isSlow = false;
    let asked = 0;
    const tokens = {
      async check() {
        asked++;
        if (isSlow) await mayAnswer.promise;
        return { subject: 'system:serviceaccount:shop:gateway' };
      },
      close: async () => {},
    };
    const slow = await OrderBench.start({ streams: { maxStreams: 1 }, tokens });
    try {
      const url = `${slow.url}/orders/${await slow.placed()}/events`;
      const before = asked;
      isSlow = true;
      const leaving = get(url).on('error', () => undefined);
      await slow.until(() => asked > before);
      leaving.destroy();
      // The server hears of it before it hears of any later request's end.
      await slow.until(async () => (await fetch(`${slow.url}/health`)).ok && leaving.closed);
      mayAnswer.resolve();
      await slow.until(async () => {
        const client = await EventSourceClient.open(url, {});
        client.close();
        return client.status === 200;
      });
    } finally {
      await slow.close();
    }
  });

  it('shows that it lives, and tells what another process changed', async () => {
    const id = await bench.placed();
    const client = await watch(id);
    await client.until(({ events }) => events.length === 1);
    bench.clock.advance(seconds(15));
    await client.until(({ comments }) => comments === 1);
    // Another process writes: nobody here is told.
    const { progress } = (await bench.orders.find(id as OrderId))!;
    const heard = hear(progress, { orderId: id as OrderId, sequence: 1, type: 'held' }, noon);
    const moved = JSON.stringify(heard.type === 'Applied' && heard.progress);
    bench.database.prepare('UPDATE shop_order SET progress = ?').run(moved);
    bench.clock.advance(seconds(6));
    await client.until(({ events }) => events.length === 2);
    expect(told(client)).to.deep.equal(['1 Placed', '2 Held']);
  });

  it('lasts for a quarter of an hour, so that a token that was withdrawn does not see for ever', async () => {
    const id = await bench.placed();
    const client = await watch(id);
    await client.until(({ events }) => events.length === 1);
    await bench.passing(minutes(15), seconds(16));
    await client.until(({ hasEnded }) => hasEnded);
    const again = await watch(id, '1');
    await bench.say(id, 1, 'succeeded');
    await again.until(({ hasEnded }) => hasEnded);
    expect(told(again)).to.deep.equal(['2 Completed']);
  });

  it('ends with the service, which does not wait for it', async () => {
    const id = await bench.placed();
    const client = await watch(id);
    await client.until(({ events }) => events.length === 1);
    await bench.restart();
    await client.until(({ hasEnded }) => hasEnded);
    expect(
      told(await watch(id).then((again) => again.until(({ events }) => events.length === 1).then(() => again))),
    ).to.deep.equal(['1 Placed']);
  });

  it('is for those who may see orders, and for orders that there are', async () => {
    const id = await bench.placed();
    const none = await EventSourceClient.open(`${bench.url}/orders/${id}/events`, {});
    expect(none.status).to.equal(401);
    expect((await watch(newOrderId(noon))).status).to.equal(404);
    expect((await watch('order-1')).status).to.equal(404);
    const { customer } = (await bench.get(id)) as { customer: string };
    const statusOf = async (query: string) => (await bench.call('GET', `/orders/${id}/events?${query}`)).status;
    expect([await statusOf('customer=grace'), await statusOf('customer='), await statusOf('x=1')]).to.deep.equal([
      404, 400, 400,
    ]);
    expect(await statusOf(`customer=${customer}&customer=${customer}`)).to.equal(400);
    const ours = await EventSourceClient.open(`${bench.url}/orders/${id}/events?customer=${customer}`, {
      authorization: `Bearer ${bench.token}`,
    });
    expect(ours.status).to.equal(200);
    ours.close();
    await bench.until(async () =>
      (await bench.metrics.registry.metrics()).includes('order_streams{service="order"} 0'),
    );
    const page = await bench.metrics.registry.metrics();
    expect(page).to.contain('mercato_order_streams{service="order"} 0');
  });
});
