import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { Program } from '@mercato/kit/testing/program.ts';
import { expect } from 'chai';
import type { AcquirerEntry } from './acquirer/ledger.ts';

const SERVICE = new URL('./main.ts', import.meta.url);
const ACQUIRER = new URL('./acquirer/main.ts', import.meta.url);
const TOKEN = 'tok_error_after-s3cretpart';

describe('payment and its acquirer, as processes', function () {
  this.timeout(180_000);
  let directory: string;
  const running: Program[] = [];
  const clients: HttpExchange[] = [];

  async function start(file: URL, env: Record<string, string>): Promise<Program> {
    const program = await Program.start(file, { PORT: '0', ...env });
    running.push(program);
    return program;
  }
  // Its calls wait for longer than a machine stalls: an answer that comes too late is asked for again, which is not what is counted here.
  const service = (env: Record<string, string>) =>
    start(SERVICE, {
      MERCATO_INSECURE_NO_AUTH: 'true',
      DATA_DIR: join(directory, 'payment'),
      PROCESSOR_TIMEOUT_MS: '30000',
      ...env,
    });
  const acquirer = () => start(ACQUIRER, { DATA_DIR: join(directory, 'acquirer') });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-payment-'));
  });
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.close();
    for (const program of running.splice(0)) await program.end('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  async function ask(url: string, method: 'GET' | 'POST', path: string, body?: object, headers = {}) {
    const client = httpExchange({ baseUrl: url, timeoutMs: 60_000 });
    clients.push(client);
    const exchanged = await client.exchange({ method, path, headers, ...(body === undefined ? {} : { body }) });
    if (exchanged.kind !== 'answered') throw new Error(exchanged.detail);
    return { status: exchanged.status, body: exchanged.body as Record<string, unknown> };
  }
  const command = (url: string, name: string, step: string, body: object) =>
    ask(url, 'POST', `/saga/${name}`, body, {
      'idempotency-key': `shop/checkout/order-1/${step}/action`,
      'mercato-epoch': '1',
      'mercato-begun': new Date().toISOString(),
    });
  const authorise = (url: string) =>
    command(url, 'authorise-payment', 'pay', { total: 1_530, currency: 'GBP', paymentToken: TOKEN, customer: 'c-1' });

  it('lose nothing and do nothing twice when both are killed, and print no token', async () => {
    const outside = await acquirer();
    const first = await service({ ACQUIRER_URL: outside.url });
    expect((await authorise(first.url)).status, 'the answer is lost').to.equal(503);
    await first.end('SIGKILL');
    await outside.end('SIGKILL');

    const again = await acquirer();
    const second = await service({ ACQUIRER_URL: again.url });
    await second.prints('"settled":1');
    const held = await authorise(second.url);
    expect(held.status).to.equal(200);
    const taken = await command(second.url, 'capture-payment', 'capture', {
      authorisationId: held.body['authorisationId'],
      total: 1_530,
      currency: 'GBP',
    });
    expect(taken.status).to.equal(200);

    const log = await ask(again.url, 'GET', '/log');
    const story = (log.body['entries'] as AcquirerEntry[]).map(({ operation, outcome }) => `${operation} ${outcome}`);
    expect(story).to.deep.equal(['authorise approved', 'capture approved']);
    const sums = await ask(second.url, 'GET', '/conservation');
    expect(sums.body).to.deep.equal({
      currencies: [
        { currency: 'GBP', payments: 1, open: 0, openAmount: 0, captured: 1_530, refunded: 0, unresolved: 0 },
      ],
    });
    const refused = await command(second.url, 'capture-payment', 'other', { authorisationId: '4242424242424242' });
    expect(refused.status).to.equal(400);
    const printed = running.map(({ output }) => output).join('') + JSON.stringify(log);
    expect(printed).to.not.include('s3cretpart').and.not.include('4242424242424242');
    expect(await second.end('SIGTERM')).to.equal(0);
  });

  it('run as one with ACQUIRER=embedded, its log served beside', async () => {
    const { url } = await service({ ACQUIRER: 'embedded' });
    const body = { total: 1_530, currency: 'GBP', paymentToken: 'tok_visa', customer: 'c-1' };
    expect((await command(url, 'authorise-payment', 'pay', body)).status).to.equal(200);
    const page = await ask(url, 'GET', '/acquirer/log?cursor=0');
    expect(page.body).to.deep.include({ next: 1 });
    const order = await ask(url, 'GET', '/orders/shop/checkout/order-1');
    expect(order.body['payments']).to.have.length(1);
    expect((await ask(url, 'GET', '/orders/shop/checkout/order-2')).status).to.equal(404);
    expect((await ask(url, 'GET', '/authorisations?cursor=0&limit=1')).body).to.include({ next: 1 });
  });

  it('say which variable is wrong', async () => {
    const message = await service({}).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(message).to.include('ended with 2').and.include('ACQUIRER must be embedded, simulated or stripe');
  });
});
