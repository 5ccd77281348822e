import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { recordedTracing } from '@mercato/tracing/testing.ts';
import { Type } from '@sinclair/typebox';
import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { type HttpExchange, httpExchange } from '../exchange.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { instant, toRfc3339 } from '../units.ts';
import { call, externalCommand, success } from './command.ts';
import { Participant } from './participant.ts';
import { recordMigrations } from './record.ts';

const PARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
const start = instant(Date.UTC(2026, 10, 22));

describe('a command that is part of a trace', () => {
  const headers: NodeJS.Dict<string | string[]>[] = [];
  const contexts: (string | undefined)[] = [];
  let company: Server;
  let outside: HttpExchange;
  let answers: boolean;

  beforeEach(async () => {
    answers = true;
    headers.length = 0;
    contexts.length = 0;
    company = createServer((request, response) => {
      headers.push(request.headers);
      if (answers) response.end('{}');
      else response.destroy();
    });
    await new Promise<void>((resolve) => company.listen(0, '127.0.0.1', resolve));
    const baseUrl = `http://127.0.0.1:${(company.address() as AddressInfo).port}`;
    // No test is about its time-out, and the 2 s that services take are not enough for a machine that stalls.
    outside = httpExchange({ baseUrl, timeoutMs: 15_000 });
  });
  afterEach(async () => {
    await outside.close();
    company.closeAllConnections();
    company.close();
  });

  const bench = () => {
    const { tracing, ended } = recordedTracing();
    const pay = externalCommand({
      name: 'pay',
      kind: 'action',
      reasons: [],
      input: Type.Object({ token: Type.String() }),
      output: Type.Object({}),
      intend(_tx, { traceparent }) {
        contexts.push(traceparent);
        return call({});
      },
      async call(_context, _intent, body) {
        const { kind } = await outside.exchange({ method: 'POST', path: '/charge/tok_secret', body });
        if (kind === 'unknown') throw new Error('no answer about tok_secret');
        return kind;
      },
      lookup: async () => undefined,
      settle: () => success({}),
    });
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [recordMigrations] });
    const participant = new Participant({ store, clock: new VirtualClock(start), commands: [pay], tracing });
    const send = (order: string, traceparent?: string) =>
      participant.execute({
        command: 'pay',
        key: `shop/checkout/${order}/pay/action`,
        epoch: 1,
        begun: toRfc3339(start),
        body: { token: 'tok_secret' },
        ...(traceparent === undefined ? {} : { traceparent }),
      });
    return { send, ended };
  };

  it('is a server span, and its calls to the outside are below it', async () => {
    const { send, ended } = bench();
    expect((await send('a', PARENT)).status).to.equal(200);
    const [client, server] = ended();
    expect(server).to.include({ name: 'pay', kind: 'server', parentSpanId: 'b'.repeat(16) });
    expect(server?.attributes).to.deep.equal({
      'mercato.run': 'shop/checkout/a',
      'mercato.command': 'pay',
      'mercato.step': 'pay',
      'mercato.kind': 'action',
      'mercato.epoch': 1,
      'http.response.status_code': 200,
    });
    expect(client).to.include({ name: 'POST', kind: 'client', parentSpanId: server?.traceparent.split('-')[2] });
    expect(contexts, 'its events go on with it').to.deep.equal([server?.traceparent]);
    expect(headers[0], 'which is no business of others').to.not.have.property('traceparent');
    expect(JSON.stringify(ended())).to.not.include('tok_');
  });

  it('has failed when nobody knows what became of it', async () => {
    answers = false;
    const { send, ended } = bench();
    expect((await send('a', PARENT)).status).to.equal(503);
    const [client, server] = ended();
    expect(client?.attributes).to.include({ 'error.type': 'Unknown' });
    expect(server?.attributes).to.include({ 'error.type': 'OutcomeUnknown', 'http.response.status_code': 503 });
    expect(JSON.stringify(ended())).to.not.include('tok_');
  });

  it('has no span where it has no trace, or one that is not kept, and hands on what it got', async () => {
    const { send, ended } = bench();
    const dropped = PARENT.replace(/1$/, '0');
    await Promise.all([send('a'), send('b', dropped), send('c', 'nonsense')]);
    expect(ended()).to.be.empty;
    expect(contexts).to.deep.equal([undefined, dropped, undefined]);
  });

  it('does not lend its trace to commands beside it', async () => {
    const { send, ended } = bench();
    await Promise.all([send('a', PARENT), send('b'), send('c')]);
    expect(ended().map(({ name }) => name)).to.deep.equal(['POST', 'pay']);
  });
});
