import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@mercato/kit';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { type SimulatorServer, serveSimulator } from '@mercato/kit/simulator/server.ts';
import { expect } from 'chai';
import { SimulatedAcquirer } from '../acquirer/backend.ts';
import type { AcquirerEntry } from '../acquirer/ledger.ts';
import { type Currency, minorUnits } from '../domain/money.ts';
import type { PaymentToken } from '../domain/payment-token.ts';
import { type Reference, referenceOf } from '../domain/reference.ts';
import type { PaymentProcessor, ProcessorId } from '../ports/processor.ts';
import { simulatedAcquirer } from './simulated-acquirer.ts';

const GBP = 'GBP' as Currency;
const orderKey = 'shop/checkout/order-1';

describe('the simulated acquirer, as a server', () => {
  let directory: string;
  let server: SimulatorServer;
  let client: HttpExchange;
  let processor: PaymentProcessor;

  async function start(): Promise<void> {
    const log = fileLog<AcquirerEntry>(join(directory, 'acquirer.jsonl'));
    const history = log.read(0, Number.POSITIVE_INFINITY).entries;
    const backend = new SimulatedAcquirer({ clock: systemClock, history });
    server = await serveSimulator({ backend, log, onFailure: (error) => expect.fail(String(error)) });
    // What is unknown here is so at once: the time-out is for a machine that stalls.
    client = httpExchange({ baseUrl: server.url, timeoutMs: 15_000 });
    processor = simulatedAcquirer(client.exchange);
  }
  async function stop(): Promise<void> {
    await client.close();
    await server.close();
  }
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-acquirer-'));
    await start();
  });
  afterEach(async () => {
    await stop();
    rmSync(directory, { recursive: true });
  });

  const authorise = (token: string, reference: Reference = referenceOf(token), amount = 1_530) =>
    processor.authorise({
      reference,
      orderKey,
      token: token as PaymentToken,
      amount: minorUnits(amount),
      currency: GBP,
    });

  async function approved(token: string): Promise<ProcessorId> {
    const outcome = await authorise(token);
    if (outcome.outcome !== 'approved') throw new Error(JSON.stringify(outcome));
    return outcome.id;
  }

  async function entries(): Promise<AcquirerEntry[]> {
    const page = await client.exchange({ method: 'GET', path: '/log' });
    if (page.kind !== 'answered') throw new Error(page.detail);
    return (page.body as { entries: AcquirerEntry[] }).entries;
  }

  it('knows the same after a restart', async () => {
    const authorisation = await approved('tok_visa');
    const capture = {
      reference: referenceOf('capture'),
      orderKey,
      authorisation,
      amount: minorUnits(1_000),
      currency: GBP,
    };
    const first = await processor.capture(capture);
    await stop();
    await start();
    expect(await processor.capture(capture)).to.deep.equal(first);
    expect(await processor.capture({ ...capture, reference: referenceOf('more'), amount: minorUnits(531) })).to.include(
      {
        outcome: 'declined',
        reason: 'amount_invalid',
      },
    );
    expect(await authorise('tok_visa')).to.include({ outcome: 'approved', id: authorisation });
    expect((await entries()).map(({ operation, outcome }) => `${operation} ${outcome}`)).to.deep.equal([
      'authorise approved',
      'capture approved',
      'capture repeated',
      'capture declined',
      'authorise repeated',
    ]);
  });

  it('moves no more than there is', async () => {
    const authorisation = await approved('tok_visa');
    const money = (amount: number, name: string, currency = GBP) => ({
      reference: referenceOf(name),
      orderKey,
      amount: minorUnits(amount),
      currency,
    });
    expect(await processor.capture({ ...money(1, 'euro', 'EUR' as Currency), authorisation })).to.include({
      reason: 'amount_invalid',
    });
    const taken = await processor.capture({ ...money(1_530, 'all'), authorisation });
    if (taken.outcome !== 'approved') throw new Error(JSON.stringify(taken));
    expect(await processor.void({ ...money(1, 'void'), authorisation })).to.include({ reason: 'already_captured' });
    expect(await processor.refund({ ...money(1_000, 'r1'), capture: taken.id })).to.include({ outcome: 'approved' });
    expect(await processor.refund({ ...money(531, 'r2'), capture: taken.id })).to.include({ reason: 'amount_invalid' });
    const none = 'aq_none' as ProcessorId;
    expect(await processor.refund({ ...money(1, 'r3'), capture: none })).to.include({ reason: 'capture_unknown' });
    expect(await processor.capture({ ...money(1, 'c3'), authorisation: none })).to.include({
      reason: 'authorisation_unknown',
    });
  });

  it('refuses a reference that was used for something else, and moves nothing', async () => {
    const reference = referenceOf('once');
    expect(await authorise('tok_visa', reference)).to.include({ outcome: 'approved' });
    expect((await authorise('tok_visa', reference, 9_999)).outcome).to.equal('unknown');
    expect(await entries()).to.have.length(1);
  });

  it('finds what a cut connection hid, and nothing where nothing arrived', async () => {
    expect((await authorise('tok_drop')).outcome).to.equal('unknown');
    const found = await processor.lookup({ reference: referenceOf('tok_drop'), operation: 'authorise' });
    expect(found).to.include({ outcome: 'approved', open: true });
    expect((await authorise('tok_html')).outcome).to.equal('unknown');
    expect(await processor.lookup({ reference: referenceOf('tok_html'), operation: 'authorise' })).to.deep.equal({
      outcome: 'absent',
    });
  });

  it('says no by token', async () => {
    expect(await authorise('tok_declined')).to.include({ outcome: 'declined', reason: 'card_declined' });
    expect(await authorise('tok_insufficient_funds')).to.include({ reason: 'insufficient_funds' });
    expect(await authorise('tok_unknown-order-7')).to.include({ reason: 'token_unknown' });
    const authorisation = await approved('tok_capture_declined');
    const capture = { reference: referenceOf('c'), orderKey, authorisation, amount: minorUnits(1), currency: GBP };
    expect(await processor.capture(capture)).to.include({ reason: 'capture_declined' });
  });

  it('is out of service when told to be', async () => {
    await client.exchange({ method: 'POST', path: '/admin/outage', body: { seconds: 3_600 } });
    expect((await authorise('tok_visa')).outcome).to.equal('unknown');
    expect((await processor.lookup({ reference: referenceOf('tok_visa'), operation: 'authorise' })).outcome).to.equal(
      'unknown',
    );
    await client.exchange({ method: 'POST', path: '/admin/outage', body: { seconds: 0 } });
    expect(await entries()).to.deep.equal([]);
    expect((await authorise('tok_visa')).outcome).to.equal('approved');
  });
});
