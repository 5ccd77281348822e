import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Type } from '@sinclair/typebox';
import { expect } from 'chai';
import { insecureTokenCheck } from '../auth/tokens.ts';
import { createLogger } from '../log.ts';
import { ServiceMetrics } from '../metrics.ts';
import { outboxMigrations } from '../outbox/outbox.ts';
import { accepted, call, externalCommand, localCommand, success } from '../participant/command.ts';
import { Participant } from '../participant/participant.ts';
import { recordMigrations } from '../participant/record.ts';
import { ProblemError } from '../problem.ts';
import { type RunningService, type ServiceParts, startService } from '../service.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { TestClient } from '../testing/client.ts';
import { milliseconds } from '../units.ts';
import { type RawRoute, Reply, route } from './route.ts';

const empty = Type.Object({});

/** A promise and what resolves it. */
function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

describe('the HTTP server', () => {
  let service: RunningService;
  let client: TestClient;
  let entered: ReturnType<typeof gate>;
  let leave: ReturnType<typeof gate>;

  async function start(more: Partial<ServiceParts> = {}): Promise<void> {
    entered = gate();
    leave = gate();
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [recordMigrations, outboxMigrations] });
    const slow = externalCommand({
      name: 'slow',
      kind: 'action',
      reasons: [],
      input: empty,
      output: empty,
      intend: () => call({}),
      async call() {
        entered.open();
        await leave.passed;
        return 'done';
      },
      lookup: async () => undefined,
      settle: () => success({}),
    });
    const later = localCommand({
      name: 'later',
      kind: 'action',
      reasons: [],
      input: empty,
      output: Type.Object({ second: Type.Boolean() }),
      carryOut: (_tx, { resumed }) => (resumed ? success({ second: true }) : accepted(milliseconds(250))),
    });
    const wrong = localCommand({
      name: 'wrong',
      kind: 'action',
      reasons: [],
      input: empty,
      output: empty,
      carryOut() {
        throw new Error('a secret cause');
      },
    });
    const metrics = new ServiceMetrics('test');
    const participant = new Participant({ store, commands: [slow, later, wrong], onAnswer: metrics.onAnswer });
    const logger = createLogger('test', 'silent');
    service = await startService(
      { name: 'test', version: '1', store, participant, metrics, tokens: insecureTokenCheck, logger, ...more },
      0,
      '127.0.0.1',
    );
    client = new TestClient(service.url, 'none', new Date().toISOString());
  }

  afterEach(async () => {
    leave.open();
    await client.close();
    await service.close();
  });

  it('turns away with 429 and Retry-After what is more than it can carry, and counts it', async () => {
    await start({ maxInFlight: 1 });
    const first = client.single({ command: 'slow', orderId: 'a', body: {} });
    await entered.passed;
    const second = await client.single({ command: 'slow', orderId: 'b', body: {} });
    expect(second.status).to.equal(429);
    expect(second.retryAfter).to.be.within(0.5, 1);
    leave.open();
    expect((await first).status).to.equal(200);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).to.contain('mercato_http_overloaded_total{service="test"} 1');
    expect(metrics).to.contain('mercato_commands_total{command="slow",status="200",service="test"} 1');
  });

  it('lets what is under way end before it stops', async () => {
    await start();
    const first = client.single({ command: 'slow', orderId: 'a', body: {} });
    await entered.passed;
    const closed = service.close();
    leave.open();
    expect((await first).status).to.equal(200);
    await closed;
    expect(await fetch(`${service.url}/health`).catch(() => 'refused')).to.equal('refused');
  });

  it('serves at once although the outside does not say what became of a call before the crash', async () => {
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [recordMigrations, outboxMigrations] });
    const asked = gate();
    const answer = gate();
    const remote = (calls: () => Promise<string>) =>
      externalCommand({
        name: 'remote',
        kind: 'action',
        reasons: [],
        input: empty,
        output: empty,
        intend: () => call({}),
        call: calls,
        async lookup() {
          asked.open();
          await answer.passed;
          return 'done';
        },
        settle: () => success({}),
      });
    const lost = remote(async () => {
      throw new Error('time-out');
    });
    const begun = new Date().toISOString();
    const request = { command: 'remote', key: 'shop/checkout/a/step/action', epoch: 1, begun, body: {} };
    expect((await new Participant({ store, commands: [lost] }).execute(request)).status).to.equal(503);

    const commands = [remote(async () => 'a second call')];
    await start({ store, participant: new Participant({ store, commands }) });
    await asked.passed;
    expect((await client.call('GET', '/ready')).status).to.equal(200);
    expect((await client.single({ command: 'remote', orderId: 'a', body: {} })).status).to.equal(425);
    expect((await client.single({ command: 'remote', orderId: 'b', body: {} })).status).to.equal(200);
    answer.open();
  });

  it('answers 202 to what is begun, and carries it on with the next repeat', async () => {
    await start();
    const first = await client.single({ command: 'later', orderId: 'a', body: {} });
    expect(first).to.include({ status: 202, retryAfter: 0.25 });
    const second = await client.single({ command: 'later', orderId: 'a', body: {} });
    expect(second.body).to.deep.equal({ second: true });
  });

  it('tells nobody why a command failed inside', async () => {
    await start();
    const answer = await client.single({ command: 'wrong', orderId: 'a', body: {} });
    expect(answer.status).to.equal(500);
    expect(JSON.stringify(answer.body)).not.to.contain('secret');
  });

  it('gives up on a body that trickles', async () => {
    await start({ requestTimeout: milliseconds(200) });
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write(
      'POST /saga/slow HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{',
    );
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).to.match(/^HTTP\/1.1 408 /);
  });

  it('answers what is not HTTP with a problem', async () => {
    await start();
    const socket = connect(Number(new URL(service.url).port), '127.0.0.1');
    socket.write('HELO example.org\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += String(chunk);
    expect(text).to.contain('400').and.to.contain('application/problem+json');
  });

  it('checks the administrative routes by their schemas and documents them', async () => {
    const shelf = route({
      method: 'put',
      path: '/shelves/{id}',
      summary: 'Puts up a shelf',
      query: Type.Object({ limit: Type.Optional(Type.Integer({ minimum: 1 })) }),
      body: Type.Object({ width: Type.Integer() }),
      response: empty,
      async handle({ params, query, body, caller }) {
        if (params['id'] === 'gone') throw new ProblemError(404, 'NoShelf', 'there is no such shelf');
        return { id: params['id'], limit: query.limit, width: body.width, caller: caller.subject };
      },
    });
    await start({ routes: [shelf] });
    expect((await client.call('PUT', '/shelves/a?limit=3', { width: 2 })).body).to.deep.equal({
      id: 'a',
      limit: 3,
      width: 2,
      caller: 'anonymous',
    });
    expect((await client.call('PUT', '/shelves/a?limit=0', { width: 2 })).status).to.equal(400);
    expect((await client.call('PUT', '/shelves/a', { width: 'wide' })).body['detail']).to.contain('/width');
    expect((await client.call('PUT', '/shelves/a', '{"half')).status).to.equal(400);
    expect((await client.call('PUT', '/shelves/gone', { width: 2 })).body['reason']).to.equal('NoShelf');
    expect((await client.call('GET', '/nowhere')).body['status']).to.equal(404);
    expect((await client.call('PUT', '/shelves/%E0%A4%A', { width: 2 })).status).to.equal(400);
    const { body } = await client.call('GET', '/openapi.json');
    expect(body['paths']).to.have.nested.property('/shelves/{id}.put.requestBody');
    const page = await (await fetch(`${service.url}/metrics`)).text();
    expect(page).to.contain(
      'mercato_http_requests_total{method="put",route="/shelves/{id}",status="400",service="test"} 3',
    );
  });

  it('answers as an operation says, with a status of its own where it wants one', async () => {
    const described = { summary: 'Orders a shelf', response: empty, body: empty } as const;
    const order = route({
      ...described,
      method: 'post',
      path: '/shelves',
      status: 201,
      others: { 202: { description: 'later', schema: empty }, 204: { description: 'none' }, 409: 'it is there' },
      async handle({ body }) {
        return 'later' in body ? new Reply(202, { later: true }) : { made: true };
      },
    });
    await start({ routes: [order] });
    expect(await client.call('POST', '/shelves', {})).to.deep.include({ status: 201, body: { made: true } });
    expect(await client.call('POST', '/shelves', { later: 1 })).to.deep.include({ status: 202, body: { later: true } });
    const { body } = await client.call('GET', '/openapi.json');
    const { responses } = (body['paths'] as Record<string, { post: { responses: object } }>)['/shelves']!.post;
    expect(responses).to.have.keys('201', '202', '204', '409');
    expect(responses).to.have.property('204').deep.equal({ description: 'none' });
  });

  it('has a bounded number of connections, and cuts off who never asks anything', async () => {
    await start({ maxConnections: 3, requestTimeout: milliseconds(300) });
    const { port } = new URL(service.url);
    const open = () => {
      const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
      sockets.push(socket);
      return once(socket, 'connect').then(() => socket);
    };
    const sockets: Socket[] = [];
    try {
      for (let i = 0; i < 3; i++) await open();
      // The server takes them in their order, so the fourth is the one too many.
      const surplus = await open();
      // Where the machine stalled, it may have the place of one that was cut off meanwhile, and is told so.
      if (!surplus.closed) await once(surplus.resume(), 'close');
      const [first] = sockets;
      first?.destroy();
      for (const deadline = Date.now() + 20_000; ; ) {
        const answer = await fetch(`${service.url}/health`).catch(() => undefined);
        if (answer?.ok) break;
        if (Date.now() > deadline) throw new Error('the place that was left is not given to another');
      }
      // A request that never begins is late as one that never ends.
      const [, idle] = sockets as [Socket, Socket];
      if (!idle.closed) await once(idle.resume(), 'close');
    } finally {
      for (const socket of sockets) socket.destroy();
    }
  }).timeout(30_000);

  it('hands raw routes the request itself, and serves without a participant', async () => {
    const described = { summary: '', response: empty, produces: 'text/plain' } as const;
    const rawRoutes: RawRoute[] = [
      {
        ...described,
        method: 'get',
        path: '/raw/{id}/name',
        handle: async (_request, response, { id }) => void response.end(JSON.stringify({ id })),
      },
      {
        ...described,
        method: 'post',
        path: '/raw',
        async handle() {
          throw new ProblemError(409, 'No', 'no');
        },
      },
    ];
    entered = gate();
    leave = gate();
    const logger = createLogger('test', 'silent');
    const stops: string[] = [];
    service = await startService(
      {
        name: 'test',
        version: '1',
        tokens: insecureTokenCheck,
        logger,
        rawRoutes,
        onStop: () => stops.push('begun'),
        onStopped: async () => void stops.push('over'),
      },
      0,
      '127.0.0.1',
    );
    client = new TestClient(service.url, 'none', new Date().toISOString());
    expect((await client.call('GET', '/raw/a/name?x=1')).body).to.deep.equal({ id: 'a' });
    expect(await client.call('POST', '/raw', {})).to.deep.include({ status: 409 });
    for (const path of ['/raw/a', '/raw/a/b/name', '/saga/anything'])
      expect((await client.call('GET', path)).status, path).to.equal(404);
    const paths = (await client.call('GET', '/openapi.json')).body['paths'];
    expect(paths).to.have.keys('/raw/{id}/name', '/raw');
    const page = await (await fetch(`${service.url}/metrics`)).text();
    expect(page).to.contain('mercato_http_requests_total{method="post",route="/raw",status="409",service="test"} 1');
    await service.close();
    expect(stops).to.deep.equal(['begun', 'over']);
  });
});
