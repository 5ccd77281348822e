import { milliseconds } from '@mercato/kit';
import type { BenchCommand } from '@mercato/kit/testing/participant-bench.ts';
import { expect } from 'chai';
import fc from 'fast-check';
import { ShippingBench } from './testing/bench.ts';

interface Sent extends BenchCommand {
  readonly body: object;
}

const book = (line1 = '1 High Street', change: Partial<Sent> = {}): Sent => ({
  command: 'book-shipment',
  body: {
    shipTo: { name: 'A. Customer', line1, city: 'Leeds', postcode: 'LS1 1AA', country: 'GB' },
    lines: [{ sku: '85123a', quantity: 6, unitPrice: 255 }],
    warehouses: 'leeds,york',
  },
  ...change,
});
const undo = (line1 = '1 High Street', change: Partial<Sent> = {}): Sent => ({
  ...book(line1),
  command: 'cancel-shipment',
  kind: 'compensation',
  ...change,
});

describe('shipping', () => {
  it('books, and cancels before the pick-up', async () => {
    const bench = new ShippingBench();
    const booked = await bench.send(book());
    expect(booked.status).to.equal(200);
    expect(booked.body).to.include({ carrier: 'simulated-carrier' }).and.to.have.property('bookingId');
    expect(bench.standing()).to.equal(1);
    expect((await bench.send(undo())).status).to.equal(200);
    expect(bench.story()).to.deep.equal(['book booked', 'cancel cancelled']);
    expect(bench.standing()).to.equal(0);
    expect(await bench.events()).to.deep.equal(['booked', 'cancelled']);
  });

  it('answers AlreadyPickedUp once the goods have left, whether it knows of it or the carrier tells', async () => {
    for (const isTracked of [true, false]) {
      const bench = new ShippingBench();
      await bench.send(book('sim:quick_pickup'));
      if (isTracked) await bench.trackFor(62);
      const refused = await bench.send(undo('sim:quick_pickup'));
      expect([refused.status, refused.body['reason']]).to.deep.equal([422, 'AlreadyPickedUp']);
      expect(bench.standing()).to.equal(1);
    }
  });

  it('tracks a booking to its delivery, and then stops', async () => {
    const bench = new ShippingBench({ times: { decideMs: 0, pickUpMs: 90_000, deliverMs: 200_000 } });
    await bench.send(book());
    await bench.trackFor(700);
    expect(await bench.events()).to.deep.equal(['booked', 'picked-up', 'delivered']);
    bench.clock.advance(milliseconds(86_400_000));
    expect((await bench.passing(bench.service.track())).looked).to.equal(0);
  });

  it('answers accepted while the carrier decides, and then as it decided', async () => {
    const bench = new ShippingBench();
    const first = await bench.send(book('sim:slow 1 High Street'));
    expect([first.status, first.retryAfter]).to.deep.equal([202, 2]);
    expect((await bench.repeat(book('sim:slow 1 High Street'), 10)).status).to.equal(200);
    expect(bench.standing()).to.equal(1);

    const refused = await bench.repeat(book('sim:slow_undeliverable', { orderId: 'order-2' }), 10);
    expect([refused.status, refused.body['reason']]).to.deep.equal([422, 'AddressUndeliverable']);
    expect(bench.standing('order-2')).to.equal(0);
  });

  it('cancels while the carrier is still deciding', async () => {
    const bench = new ShippingBench();
    expect((await bench.send(book('sim:slow'))).status).to.equal(202);
    expect((await bench.send(undo('sim:slow'))).status).to.equal(200);
    await bench.trackFor(5);
    expect(bench.story()).to.deep.equal(['book pending', 'cancel cancelled']);
    expect((await bench.send(book('sim:slow'))).body['reason']).to.equal('Fenced');
  });

  it('answers AddressUndeliverable and NoService, and nothing stands', async () => {
    const bench = new ShippingBench();
    expect((await bench.send(book('sim:undeliverable'))).body['reason']).to.equal('AddressUndeliverable');
    const antarctica = { ...book().body, shipTo: { line1: 'McMurdo Station', country: 'AQ' } };
    expect((await bench.send(book('', { orderId: 'order-2', body: antarctica }))).body['reason']).to.equal('NoService');
    expect([bench.standing(), bench.standing('order-2')]).to.deep.equal([0, 0]);
  });

  for (const fault of ['timeout', 'late', 'double', 'error_once', 'error_after', 'drop']) {
    it(`books once although the carrier misbehaves (sim:${fault})`, async () => {
      const bench = new ShippingBench();
      expect((await bench.repeat(book(`sim:${fault}`))).status).to.equal(200);
      expect(bench.story().filter((line) => line === 'book booked')).to.have.length(1);
    });
    it(`cancels once although the carrier misbehaves (sim:cancel_${fault})`, async () => {
      const bench = new ShippingBench();
      await bench.send(book(`sim:cancel_${fault}`));
      expect((await bench.repeat(undo(`sim:cancel_${fault}`))).status).to.equal(200);
      expect(bench.story().filter((line) => line === 'cancel cancelled')).to.have.length(1);
      expect(bench.standing()).to.equal(0);
    });
  }

  it('asks what became of a booking whose answer was lost, rather than book again', async () => {
    const bench = new ShippingBench();
    expect((await bench.repeat(book('sim:timeout'))).status).to.equal(200);
    expect(bench.story()).to.deep.equal(['book booked']);
  });

  it('answers 503 to HTML and to errors without end, and cancels what never was', async () => {
    for (const fault of ['sim:html', 'sim:error']) {
      const bench = new ShippingBench();
      expect((await bench.repeat(book(fault))).status).to.equal(503);
      expect((await bench.send(undo(fault))).status).to.equal(200);
      expect(bench.story()).to.deep.equal([]);
    }
  });

  it('calls off a booking that turns up after its cancellation found nothing', async () => {
    const bench = new ShippingBench();
    expect((await bench.send(book('sim:ghost'))).status).to.equal(503);
    expect((await bench.send(undo('sim:ghost'))).status).to.equal(200);
    expect(bench.story(), 'not there yet').to.deep.equal([]);
    await bench.trackFor(40);
    expect(bench.story()).to.deep.equal(['book booked', 'cancel cancelled']);
  });

  it('asks for itself what became of a booking whose run went silent', async () => {
    const bench = new ShippingBench();
    await bench.send(book('sim:timeout'));
    await bench.send(book('sim:html', { orderId: 'order-2' }));
    await bench.send(book('sim:slow_undeliverable', { orderId: 'order-3' }));
    expect(await bench.events()).to.deep.equal([]);
    bench.clock.advance(milliseconds(15 * 60_000));
    expect(await bench.passing(bench.service.track())).to.include({ looked: 3, moved: 1 });
    expect((await bench.events()).sort()).to.deep.equal(['booked', 'refused']);
    expect((await bench.send(book('sim:timeout'))).status).to.equal(200);
    expect(bench.story()).to.deep.equal(['book booked']);
  });

  it('waits out an outage', async () => {
    const bench = new ShippingBench();
    await bench.send(book());
    await bench.exchange({ method: 'POST', path: '/admin/outage', body: { seconds: 30 } });
    expect((await bench.send(undo())).status).to.equal(503);
    expect((await bench.send(book('2 High Street', { orderId: 'order-2' }))).status).to.equal(503);
    bench.clock.advance(milliseconds(31_000));
    expect((await bench.send(undo())).status).to.equal(200);
    expect((await bench.send(book('2 High Street', { orderId: 'order-2' }))).status).to.equal(200);
    expect([bench.standing(), bench.standing('order-2')]).to.deep.equal([0, 1]);
  });

  it('does not keep the address', async () => {
    const bench = new ShippingBench();
    await bench.send(book('221b Baker Street'));
    expect(bench.everythingStored())
      .to.include('country\\":\\"GB')
      .and.not.include('Baker')
      .and.not.include('A. Customer');
  });

  for (const point of ['effect', 'record', 'call'] as const) {
    it(`books once when the process dies at "${point}" and another goes on`, async () => {
      const bench = new ShippingBench();
      bench.crashAt(point);
      const died = await bench.send(book()).then(
        () => undefined,
        (error: Error) => error.name,
      );
      expect(died).to.equal('Crash');
      bench.restart();
      expect((await bench.send(book())).status).to.equal(200);
      expect(bench.story().filter((line) => line === 'book booked')).to.have.length(1);
    });

    it(`leaves nothing standing when the process dies at "${point}" and the order is compensated`, async () => {
      const bench = new ShippingBench();
      bench.crashAt(point);
      await bench.send(book()).catch(() => undefined);
      bench.restart();
      expect((await bench.send(undo())).status).to.equal(200);
      expect(bench.standing()).to.equal(0);
    });
  }
});

describe('whatever the carrier and the processes do', () => {
  const behaviour = fc.constantFrom(
    'none',
    'slow',
    'slow_undeliverable',
    'undeliverable',
    'timeout',
    'late',
    'double',
    'error_once',
    'error_after',
    'error',
    'drop',
    'html',
    'ghost',
    'cancel_timeout',
    'cancel_drop',
    'cancel_error_once',
  );
  const crash = fc.option(fc.constantFrom('effect' as const, 'record' as const, 'call' as const), { nil: undefined });

  it('an order has one shipment when it was told so, and none once it is cancelled', async () => {
    await fc.assert(
      fc.asyncProperty(
        behaviour,
        fc.array(crash, { minLength: 4, maxLength: 4 }),
        fc.boolean(),
        async (kind, crashes, isCancelled) => {
          const bench = new ShippingBench();
          const line1 = `sim:${kind}`;
          let answer: Awaited<ReturnType<typeof bench.send>> | undefined;
          for (const point of crashes) {
            if (point !== undefined) bench.crashAt(point);
            answer = await bench.send(book(line1)).catch(() => undefined);
            if (answer === undefined) bench.restart();
            else if (answer.status === 200 || answer.status === 422) break;
          }
          const isBooked = answer?.status === 200;
          if (isBooked && !isCancelled) {
            expect(bench.standing()).to.equal(1);
            return;
          }
          for (let i = 0; ; i++) {
            const undone = await bench.send(undo(line1)).catch(() => bench.restart());
            if (undone?.status === 200) break;
            if (i > 30) throw new Error('the cancellation never ended');
            bench.clock.advance(milliseconds(1_000));
          }
          await bench.trackFor(60);
          expect(bench.standing()).to.equal(0);
        },
      ),
      { numRuns: 150 },
    );
  });
});
