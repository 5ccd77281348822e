import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { Agent } from 'undici';
import { InventoryClient } from './client.ts';
import { InventoryRefused, InventoryUnavailable } from './errors.ts';
import { warehouseIdOf } from './port.ts';

const LEEDS = warehouseIdOf('leeds');
const json = { 'content-type': 'application/json' };
const level = { onHand: 1, reserved: 0, committed: 0, available: 1 };

describe('the client of inventory', () => {
  let server: Server;
  let agent: Agent;
  let listener: RequestListener;
  const seen: { operation: string; outcome: string }[] = [];

  beforeEach(async () => {
    seen.length = 0;
    server = createServer((request, response) => listener(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    agent = new Agent();
  });
  afterEach(async () => {
    await agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const client = (timeoutMs = 60_000, base = '') =>
    new InventoryClient({
      baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}${base}`,
      audience: 'inventory',
      tokens: (audience) => Promise.resolve(`token-for-${audience}`),
      dispatcher: agent,
      timeoutMs,
      observer: (operation, outcome) => seen.push({ operation, outcome }),
    });
  const failure = async (call: Promise<unknown>): Promise<unknown> =>
    call.then(() => undefined).catch((error) => error);
  const unavailable = async (call: Promise<unknown>): Promise<string> => {
    const error = await failure(call);
    expect(error).to.be.instanceOf(InventoryUnavailable);
    return (error as InventoryUnavailable).reason;
  };

  it('reads stock page by page, below the base path, with a token for the audience', async () => {
    const asked: string[] = [];
    listener = (request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const first = !request.url?.includes('cursor');
      const items = [{ sku: first ? 'A B' : 'C', ...level, unknown: 'field' }];
      response.writeHead(200, json);
      response.end(JSON.stringify({ items, totals: { skus: 2, ...level }, ...(first ? { next: 'A B' } : {}) }));
    };
    const { lines, totals } = await client(60_000, '/internal').stock(LEEDS);
    expect(lines.map(({ sku }) => sku)).to.deep.equal(['A B', 'C']);
    expect(totals.skus).to.equal(2);
    expect(asked).to.deep.equal([
      '/internal/warehouses/leeds/stock?limit=5000 Bearer token-for-inventory',
      '/internal/warehouses/leeds/stock?limit=5000&cursor=A%20B Bearer token-for-inventory',
    ]);
    expect(seen).to.deep.equal([
      { operation: 'stock', outcome: 'ok' },
      { operation: 'stock', outcome: 'ok' },
    ]);
  });

  it('does not follow pages that lead nowhere', async () => {
    listener = (_, response) =>
      response.writeHead(200, json).end(JSON.stringify({ items: [], totals: { skus: 0, ...level }, next: 'x' }));
    expect(await unavailable(client().stock(LEEDS))).to.equal('NotUnderstood');
  });

  it('tells a refusal, with its reason, from everything that is none', async () => {
    const problem = (status: number, body: object) => {
      listener = (_, response) =>
        response.writeHead(status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body));
    };
    problem(409, { reason: 'ContentChanged', detail: 'booked with another content' });
    const refused = await failure(client().stock(LEEDS));
    expect(refused).to.be.instanceOf(InventoryRefused);
    expect(refused).to.include({ status: 409, reason: 'ContentChanged' });
    problem(404, { reason: 'NotFound', detail: 'there is no GET /warehouses' });
    expect(await unavailable(client().stock(LEEDS))).to.equal('Status404');
    problem(409, { detail: 'a proxy says so' });
    expect(await unavailable(client().stock(LEEDS))).to.equal('Status409');
    for (const status of [401, 403, 429, 500, 503]) {
      problem(status, { reason: 'Whatever', detail: 'x' });
      expect(await unavailable(client().stock(LEEDS))).to.equal(`Status${status}`);
    }
  });

  it('takes no answer for one that is none', async () => {
    listener = (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>');
    expect(await unavailable(client().stock(LEEDS))).to.equal('NotJson');
    listener = (_, response) => response.writeHead(200, json).end('{"items":[');
    expect(await unavailable(client().stock(LEEDS))).to.equal('NotJson');
    listener = (_, response) => response.writeHead(200, json).end('{"items":"many"}');
    expect(await unavailable(client().stock(LEEDS))).to.equal('NotUnderstood');
    listener = (_, response) => response.writeHead(200, json).end(Buffer.alloc(10 * 1024 * 1024, 32));
    expect(await unavailable(client().stock(LEEDS))).to.equal('TooLarge');
    listener = (request) => request.socket.destroy();
    expect(await unavailable(client().stock(LEEDS))).to.equal('Unreachable');
  });

  it('does not wait for an answer that trickles', async () => {
    listener = (_, response) => {
      response.writeHead(200, json);
      const drip = setInterval(() => response.write(' '), 10);
      response.on('close', () => clearInterval(drip));
    };
    expect(await unavailable(client(150).stock(LEEDS))).to.equal('Timeout');
    expect(seen).to.deep.equal([{ operation: 'stock', outcome: 'Timeout' }]);
  });

  it('never has a token in what it says', async () => {
    listener = (request, response) =>
      response.writeHead(502, { 'content-type': 'text/plain' }).end(`bad: ${request.headers.authorization}`);
    const error = (await failure(client().stock(LEEDS))) as Error;
    expect(error.message).to.contain('502').and.not.to.contain('token-for');
  });
});
