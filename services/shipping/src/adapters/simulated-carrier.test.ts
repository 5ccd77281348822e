import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { instant, milliseconds, VirtualClock } from '@mercato/kit';
import { type HttpExchange, httpExchange } from '@mercato/kit/exchange.ts';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { type SimulatorServer, serveSimulator } from '@mercato/kit/simulator/server.ts';
import { expect } from 'chai';
import { SimulatedCarrier } from '../carrier/backend.ts';
import type { CarrierEntry } from '../carrier/ledger.ts';
import { referenceOf } from '../domain/reference.ts';
import type { Carrier, CarrierBookingId } from '../ports/carrier.ts';
import { simulatedCarrier } from './simulated-carrier.ts';

const orderKey = 'shop/checkout/order-1';

describe('the simulated carrier, as a server', () => {
  const clock = new VirtualClock(instant(Date.UTC(2026, 10, 22, 12)));
  let directory: string;
  let server: SimulatorServer;
  let client: HttpExchange;
  let carrier: Carrier;

  async function start(): Promise<void> {
    const log = fileLog<CarrierEntry>(join(directory, 'carrier.jsonl'));
    const history = log.read(0, Number.POSITIVE_INFINITY).entries;
    const times = { decideMs: 2_000, pickUpMs: 60_000, deliverMs: 60_000 };
    const backend = new SimulatedCarrier({ clock, history, times });
    server = await serveSimulator({ backend, log, clock, onFailure: (error) => expect.fail(String(error)) });
    // What is unknown here is so at once: the time-out is for a machine that stalls.
    client = httpExchange({ baseUrl: server.url, timeoutMs: 15_000 });
    carrier = simulatedCarrier(client.exchange);
  }
  async function stop(): Promise<void> {
    await client.close();
    await server.close();
  }
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-carrier-'));
    await start();
  });
  afterEach(async () => {
    await stop();
    rmSync(directory, { recursive: true });
  });

  const book = (line1: string, country = 'GB') =>
    carrier.book({
      reference: referenceOf(line1),
      orderKey,
      shipTo: { line1, country },
      lines: [{ sku: '85123a', quantity: 6 }],
      warehouses: ['leeds', 'york'],
    });

  async function booked(line1: string): Promise<CarrierBookingId> {
    const outcome = await book(line1);
    if (outcome.outcome !== 'booked') throw new Error(JSON.stringify(outcome));
    return outcome.id;
  }

  async function story(): Promise<string[]> {
    const page = await client.exchange({ method: 'GET', path: '/log' });
    if (page.kind !== 'answered') throw new Error(page.detail);
    return (page.body as { entries: CarrierEntry[] }).entries.map(
      ({ operation, outcome }) => `${operation} ${outcome}`,
    );
  }

  it('picks up and delivers in its own time, and knows the same after a restart', async () => {
    const id = await booked('1 High Street');
    clock.advance(milliseconds(61_000));
    expect(await carrier.track(id)).to.include({ state: 'picked-up' });
    await stop();
    await start();
    const cancel = { reference: referenceOf('cancel'), orderKey, booking: id };
    expect(await carrier.cancel(cancel)).to.include({ outcome: 'refused', reason: 'already_picked_up' });
    expect(await book('1 High Street')).to.include({ outcome: 'booked', id, state: 'picked-up' });
    clock.advance(milliseconds(61_000));
    expect(await carrier.track(id)).to.include({ state: 'delivered' });
    expect(await story()).to.deep.equal([
      'book booked',
      'pick-up picked-up',
      'cancel refused',
      'book repeated',
      'deliver delivered',
    ]);
  });

  it('takes a slow booking in, decides over a restart, and is polled by its reference', async () => {
    expect(await book('sim:slow')).to.include({ outcome: 'pending', retryAfterMs: 2_000 });
    expect(await carrier.lookup(referenceOf('sim:slow'))).to.include({ outcome: 'pending' });
    await stop();
    await start();
    clock.advance(milliseconds(2_000));
    expect(await carrier.lookup(referenceOf('sim:slow'))).to.include({ outcome: 'booked', state: 'booked' });
    expect(await book('sim:slow_undeliverable')).to.include({ outcome: 'pending' });
    clock.advance(milliseconds(2_000));
    expect(await book('sim:slow_undeliverable')).to.include({ outcome: 'refused', reason: 'address_undeliverable' });
  });

  it('cancels once, and never picks up what was cancelled', async () => {
    const cancel = { reference: referenceOf('cancel'), orderKey, booking: await booked('1 High Street') };
    expect(await carrier.cancel(cancel)).to.deep.equal({ outcome: 'cancelled' });
    expect(await carrier.cancel(cancel)).to.deep.equal({ outcome: 'cancelled' });
    clock.advance(milliseconds(600_000));
    expect(await carrier.track(cancel.booking)).to.include({ state: 'cancelled' });
    expect(await story()).to.deep.equal(['book booked', 'cancel cancelled', 'cancel repeated']);
    const none = { ...cancel, reference: referenceOf('other'), booking: 'sc_none' as CarrierBookingId };
    expect(await carrier.cancel(none)).to.include({ outcome: 'refused', reason: 'booking_unknown' });
  });

  it('finds what a cut connection hid, and nothing where nothing arrived', async () => {
    expect((await book('sim:drop')).outcome).to.equal('unknown');
    expect(await carrier.lookup(referenceOf('sim:drop'))).to.include({ outcome: 'booked' });
    expect((await book('sim:html')).outcome).to.equal('unknown');
    expect(await carrier.lookup(referenceOf('sim:html'))).to.deep.equal({ outcome: 'absent' });
  });

  it('refuses an address and a country', async () => {
    expect(await book('sim:undeliverable')).to.include({ outcome: 'refused', reason: 'address_undeliverable' });
    expect(await book('McMurdo Station', 'AQ')).to.include({ outcome: 'refused', reason: 'no_service' });
  });

  it('is out of service when told to be', async () => {
    await client.exchange({ method: 'POST', path: '/admin/outage', body: { seconds: 30 } });
    expect((await book('1 High Street')).outcome).to.equal('unknown');
    clock.advance(milliseconds(31_000));
    expect((await book('1 High Street')).outcome).to.equal('booked');
  });
});
