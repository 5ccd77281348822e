import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { Program } from '@mercato/kit/testing/program.ts';
import { expect } from 'chai';
import type { CarrierEntry } from './carrier/ledger.ts';

const SERVICE = new URL('./main.ts', import.meta.url);
const CARRIER = new URL('./carrier/main.ts', import.meta.url);

describe('shipping and its carrier, as processes', function () {
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
      DATA_DIR: join(directory, 'shipping'),
      CARRIER_TIMEOUT_MS: '30000',
      ...env,
    });
  const carrier = () => start(CARRIER, { DATA_DIR: join(directory, 'carrier') });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-shipping-'));
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
  const command = (url: string, name: string, kind: 'action' | 'compensation', line1: string) =>
    ask(
      url,
      'POST',
      `/saga/${name}`,
      { shipTo: { line1, country: 'GB' }, lines: [{ sku: 'a', quantity: 1 }], warehouses: 'leeds' },
      {
        'idempotency-key': `shop/checkout/order-1/ship/${kind}`,
        'mercato-epoch': '1',
        'mercato-begun': new Date().toISOString(),
      },
    );

  it('lose nothing and do nothing twice when both are killed, and print no address', async () => {
    const outside = await carrier();
    const first = await service({ CARRIER_URL: outside.url });
    const line1 = 'sim:error_after 221b Baker Street';
    expect((await command(first.url, 'book-shipment', 'action', line1)).status, 'the answer is lost').to.equal(503);
    await first.end('SIGKILL');
    await outside.end('SIGKILL');

    const again = await carrier();
    const second = await service({ CARRIER_URL: again.url });
    await second.prints('"settled":1');
    expect((await command(second.url, 'book-shipment', 'action', line1)).status).to.equal(200);
    expect((await command(second.url, 'cancel-shipment', 'compensation', line1)).status).to.equal(200);

    const log = await ask(again.url, 'GET', '/log');
    const story = (log.body['entries'] as CarrierEntry[]).map(({ operation, outcome }) => `${operation} ${outcome}`);
    expect(story).to.deep.equal(['book booked', 'cancel cancelled']);
    const states = await ask(second.url, 'GET', '/conservation');
    expect(states.body).to.deep.equal({ states: [{ state: 'cancelled', bookings: 1, fenced: 1 }] });
    expect(running.map(({ output }) => output).join('')).to.not.include('Baker');
    expect(await second.end('SIGTERM')).to.equal(0);
  });

  it('run as one with CARRIER=embedded, its log served beside', async () => {
    const { url } = await service({ CARRIER: 'embedded' });
    expect((await command(url, 'book-shipment', 'action', '1 High Street')).status).to.equal(200);
    expect((await ask(url, 'GET', '/carrier/log')).body).to.include({ next: 1 });
    const order = await ask(url, 'GET', '/orders/shop/checkout/order-1');
    expect(order.body['bookings']).to.have.length(1);
    expect((await ask(url, 'GET', '/bookings')).body).to.include({ next: 1 });
  });

  it('say which variable is wrong', async () => {
    const message = await service({ CARRIER: 'pigeon' }).then(
      () => 'it started',
      (error: Error) => error.message,
    );
    expect(message).to.include('ended with 2').and.include('CARRIER must be embedded, simulated or easypost');
  });
});
