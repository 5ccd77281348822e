import { once } from 'node:events';
import { Agent, createServer, request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { VirtualClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import { depthOf, MAX_BYTES } from './body.ts';
import { HttpIntake } from './http.ts';
import { IntakeBusy } from './intake.ts';
import { intakeMetrics } from './metrics.ts';
import { Receiver } from './receive.ts';
import { CallerRefused } from './tokens.ts';

const BATCH = 'application/cloudevents-batch+json';

describe('POST /events', () => {
  let url: string;
  let registry: Registry;
  let isBusy: boolean;
  let stopping: AbortController;
  let ended: Promise<void>;
  let taken: string[];
  /** Told when an order comes in; resolves when it may be taken. */
  let onTake: () => Promise<void>;

  beforeEach(async () => {
    registry = new Registry();
    isBusy = false;
    taken = [];
    onTake = async () => undefined;
    stopping = new AbortController();
    const metrics = intakeMetrics(registry);
    const listening = Promise.withResolvers<string>();
    const intake = {
      room: Number.POSITIVE_INFINITY,
      async take({ id }: { id: { orderId: string } }) {
        if (isBusy) throw new IntakeBusy('too much to do', 1_500);
        await onTake();
        taken.push(id.orderId);
        return 'Begun' as const;
      },
      cancel: async () => 'Told' as const,
    };
    const http = new HttpIntake({
      host: '127.0.0.1',
      port: 0,
      receiver: new Receiver({
        intake,
        refuse: async () => undefined,
        tellRefused: async () => undefined,
        metrics,
        clock: new VirtualClock(),
      }),
      tokens: {
        async check(authorization) {
          if (authorization === undefined) throw new CallerRefused(401, 'send a token');
          return 'someone';
        },
      },
      callers: { maySend: (_caller, namespace) => namespace !== 'forbidden' },
      metrics,
      logger: { ...silentLogger, info: (_, fields) => listening.resolve(String(fields?.['address'])) },
    });
    ended = http.start(stopping.signal);
    url = `http://${await listening.promise}/events`;
  });
  afterEach(async () => {
    stopping.abort();
    await ended;
  });

  const order = (orderId: string) => ({
    specversion: '1.0',
    id: orderId,
    source: '/mercato/order',
    type: 'dev.mercato.order.placed',
    subject: orderId,
    mercatonamespace: 'shop',
    mercatosaga: 'checkout',
    data: {
      customer: 'ada',
      currency: 'GBP',
      lines: [{ sku: 'MUG', quantity: 1, unitPrice: 1 }],
      paymentToken: 'tok',
      shipTo: { country: 'GB' },
    },
  });
  const post = (body: string, type = BATCH, headers: Record<string, string> = { authorization: 'Bearer x' }) =>
    fetch(url, { method: 'POST', headers: { 'content-type': type, ...headers }, body });

  it('takes a batch, and one event', async () => {
    const batch = await post(JSON.stringify([order('a'), order('b')]), `${BATCH}; charset=utf-8`);
    expect(batch.status).to.equal(200);
    expect(await batch.json()).to.include({ Begun: 2, Refused: 0 });
    expect((await post(JSON.stringify(order('c')), 'application/cloudevents+json')).status).to.equal(200);
    expect((await post('[]')).status).to.equal(200);
    expect(taken).to.deep.equal(['a', 'b', 'c']);
    expect(await registry.metrics()).to.contain('mercato_intake_events_total{outcome="Begun"} 3');
  });

  it('says when to come again', async () => {
    isBusy = true;
    const answer = await post(JSON.stringify([order('a')]));
    expect(answer.status).to.equal(503);
    expect(answer.headers.get('retry-after')).to.equal('2');
    expect(answer.headers.get('content-type')).to.equal('application/problem+json');
    expect(await answer.json()).to.include({ reason: 'Busy', detail: 'too much to do', status: 503 });
    expect(await registry.metrics()).to.contain('mercato_intake_requests_total{status="503"} 1');
  });

  const wrong: [string, number, () => Promise<Response>][] = [
    ['no token', 401, () => post('[]', BATCH, {})],
    ['another type', 415, () => post('[]', 'application/json')],
    ['no JSON', 400, () => post('[{]')],
    ['no list', 400, () => post('{}')],
    ['too many events', 413, () => post(`[${Array(1_001).fill('0').join()}]`)],
    ['too many bytes', 413, () => post(`["${'x'.repeat(MAX_BYTES)}"]`)],
    ['what is nested too deep', 400, () => post('['.repeat(100_000))],
    ['another method', 405, () => fetch(url, { headers: { authorization: 'Bearer x' } })],
    ['another page', 404, () => fetch(`${url}/more`, { method: 'POST' })],
  ];
  for (const [what, status, send] of wrong) {
    it(`answers ${status} to ${what}, and goes on`, async () => {
      expect((await send()).status).to.equal(status);
      expect((await post(JSON.stringify([order('a')]))).status).to.equal(200);
    });
  }

  it('takes nothing of a body that breaks off', async () => {
    const { port } = new URL(url);
    const headers = { authorization: 'Bearer x', 'content-type': BATCH, 'content-length': '5000' };
    const sending = httpRequest({ host: '127.0.0.1', port, path: '/events', method: 'POST', headers });
    sending.on('error', () => undefined);
    sending.write(JSON.stringify([order('a')]));
    await new Promise((resolve) => setImmediate(resolve));
    sending.destroy();
    expect((await post(JSON.stringify([order('b')]))).status).to.equal(200);
    expect(taken).to.deep.equal(['b']);
  });

  it('takes nothing of a namespace that its sender may not speak of', async () => {
    const foreign = { ...order('b'), mercatonamespace: 'forbidden' };
    const cancel = { ...foreign, type: 'dev.mercato.order.cancel-requested' };
    const answer = await post(JSON.stringify([order('a'), foreign, { ...foreign, data: {} }, cancel]));
    expect(await answer.json()).to.include({ Begun: 1, Refused: 3, Cancelled: 0 });
    expect(taken).to.deep.equal(['a']);
  });

  it('names those of a batch that are to come again', async () => {
    let asked = 0;
    onTake = async () => {
      if (++asked === 2) throw new IntakeBusy('too much to do', 1_500);
    };
    const answer = await post(JSON.stringify(['a', 'b', 'c'].map(order)));
    expect([answer.status, answer.headers.get('retry-after')]).to.deep.equal([503, '2']);
    expect(await answer.json()).to.deep.include({ reason: 'Busy', detail: 'too much to do', again: [1] });
  });

  it('answers what it has begun at a stop, and does not wait for connections that are kept', async () => {
    const come = Promise.withResolvers<void>();
    const mayGo = Promise.withResolvers<void>();
    onTake = () => {
      come.resolve();
      return mayGo.promise;
    };
    const agent = new Agent({ keepAlive: true });
    const headers = { authorization: 'Bearer x', 'content-type': BATCH };
    const sending = httpRequest(url, { method: 'POST', headers, agent }).end(JSON.stringify([order('a')]));
    await come.promise;
    stopping.abort();
    mayGo.resolve();
    const [answer] = (await once(sending, 'response')) as [IncomingMessage];
    expect(answer.statusCode).to.equal(200);
    answer.resume();
    // Its keep-alive of 65 s would be far beyond the test's time.
    await ended;
    agent.destroy();
  }).timeout(9_000);

  it('fails at its start where its port is taken', async () => {
    const other: Server = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as AddressInfo;
    const options = { host: '127.0.0.1', port, metrics: intakeMetrics(new Registry()), logger: silentLogger };
    const http = new HttpIntake({
      ...options,
      receiver: undefined as never,
      callers: undefined as never,
      tokens: undefined as never,
    });
    const failure = await http.start(new AbortController().signal).catch((error: Error) => error);
    expect(String(failure)).to.contain('EADDRINUSE');
    other.close();
  });
});

describe('How deep JSON is nested', () => {
  for (const [text, depth] of [
    ['1', 0],
    ['[{"a":[1]},2]', 3],
    ['["[[[", "\\"[["]', 1],
    ['["\\\\",[[]]]', 3],
  ] as const) {
    it(`is ${depth} in ${text}`, () => {
      expect(depthOf(Buffer.from(text))).to.equal(depth);
    });
  }
});
