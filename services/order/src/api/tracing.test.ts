import { recordedTracing } from '@mercato/tracing/testing.ts';
import { expect } from 'chai';
import { OrderBench } from '../testing/bench.ts';
import { request } from '../testing/samples.ts';

const PARENT = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;

describe('Traces of orders', () => {
  let bench: OrderBench;
  let recorded: ReturnType<typeof recordedTracing>;

  beforeEach(async () => {
    recorded = recordedTracing();
    bench = await OrderBench.start({ tracing: recorded.tracing });
  });
  afterEach(() => bench.close());

  const place = (body: unknown, headers: Record<string, string> = {}) =>
    bench.call('POST', '/orders', body, { 'idempotency-key': 'a', ...headers });
  const eventsOf = async () => (await bench.orders.outbox.unsent({ url: 'x' }, { events: 10, bytes: 1e6 }))?.events;

  it("go on with the caller's, from the request through its end to what customers are told", async () => {
    const { body } = await place(request(), { traceparent: PARENT });
    const { id } = body as { id: string };
    const [placed] = (await eventsOf()) ?? [];
    const [server] = recorded.ended();
    expect(server).to.include({ name: 'POST /orders', kind: 'server', parentSpanId: '2'.repeat(16) });
    expect(server?.attributes).to.deep.equal({ 'http.response.status_code': 201 });
    expect(placed?.['traceparent']).to.equal(server?.traceparent);

    await bench.call('POST', `/orders/${id}/cancel`, {}, { traceparent: PARENT });
    const cancel = recorded.ended()[1];
    expect(cancel).to.include({ name: 'POST /orders/{id}/cancel', kind: 'server', parentSpanId: '2'.repeat(16) });
    expect((await eventsOf())?.[1]?.['traceparent']).to.equal(cancel?.traceparent);
  });

  it('begin where no caller has one', async () => {
    await place(request());
    const [server] = recorded.ended();
    expect(server?.parentSpanId).to.equal(undefined);
    expect((await eventsOf())?.[0]?.['traceparent']).to.equal(server?.traceparent);
  });

  it('show a request that was refused, and quote nothing of it', async () => {
    expect((await place({ ...request(), paymentToken: '4111111111111111' }, { traceparent: PARENT })).status).to.equal(
      400,
    );
    const [server] = recorded.ended();
    expect(server?.attributes).to.deep.equal({ 'http.response.status_code': 400 });
    expect(server?.failure, 'it is the caller who was wrong').to.equal(undefined);
    expect(JSON.stringify(recorded.ended())).to.not.include('4111');
  });

  it('are not for who may not call', async () => {
    expect((await place(request(), { authorization: 'Bearer x', traceparent: PARENT })).status).to.equal(401);
    expect(recorded.ended()).to.be.empty;
  });
});
