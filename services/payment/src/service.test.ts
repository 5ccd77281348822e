import { milliseconds } from '@mercato/kit';
import { parseFaultRates } from '@mercato/kit/simulator/faults.ts';
import type { BenchCommand } from '@mercato/kit/testing/participant-bench.ts';
import { expect } from 'chai';
import fc from 'fast-check';
import { PaymentBench } from './testing/bench.ts';

type Sent = BenchCommand & { readonly body: object };

const authorise = (token: string, change: Partial<Sent> = {}): Sent => ({
  command: 'authorise-payment',
  body: { total: 1_530, currency: 'GBP', paymentToken: token, customer: 'customer-1' },
  ...change,
});
const undo = (token: string, change: Partial<Sent> = {}): Sent => ({
  ...authorise(token),
  command: 'void-payment',
  kind: 'compensation',
  ...change,
});
const capture = (authorisationId: unknown, total = 1_530, change: Partial<Sent> = {}): Sent => ({
  command: 'capture-payment',
  step: 'capture',
  body: { authorisationId: String(authorisationId), total, currency: 'GBP' },
  ...change,
});
const refund = (captureId: unknown, amount: number, step: string): Sent => ({
  command: 'refund-payment',
  step,
  body: { captureId: String(captureId), amount },
});

describe('payment', () => {
  it('authorises, captures, refunds in parts, and refuses to refund more', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_visa'));
    expect(held.status).to.equal(200);
    expect(Date.parse(String(held.body['expiresAt']))).to.be.greaterThan(bench.clock.now());
    const taken = await bench.send(capture(held.body['authorisationId']));
    expect((await bench.send(refund(taken.body['captureId'], 1_000, 'return-1'))).status).to.equal(200);
    expect((await bench.send(refund(taken.body['captureId'], 531, 'return-2'))).body['reason']).to.equal(
      'AmountInvalid',
    );
    expect((await bench.send(refund(taken.body['captureId'], 530, 'return-3'))).status).to.equal(200);
    expect(bench.truth()).to.deep.equal({ held: 0, captured: 1_530, refunded: 1_530 });
    expect(await bench.events()).to.deep.equal(['authorised', 'captured', 'refunded', 'refunded']);
  });

  it('voids, and captures nothing afterwards', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_visa'));
    expect((await bench.send(undo('tok_visa'))).status).to.equal(200);
    expect((await bench.send(capture(held.body['authorisationId']))).body['reason']).to.equal('AuthorisationUnknown');
    expect(bench.truth()).to.deep.equal({ held: 0, captured: 0, refunded: 0 });
    expect(await bench.events()).to.deep.equal(['authorised', 'voided']);
  });

  const declines: [string, object, string][] = [
    ['a declined card', { paymentToken: 'tok_declined' }, 'CardDeclined'],
    ['a card without cover', { paymentToken: 'tok_insufficient_funds' }, 'CardDeclined'],
    ['a token that the acquirer does not know', { paymentToken: 'tok_unknown' }, 'TokenUnknown'],
    ['what is no token', { paymentToken: 'visa' }, 'TokenUnknown'],
    ['nothing to pay', { total: 0 }, 'AmountInvalid'],
    ['a negative amount', { total: -1 }, 'AmountInvalid'],
    ['a currency that is none', { currency: 'pounds' }, 'AmountInvalid'],
  ];
  for (const [what, change, reason] of declines) {
    it(`answers ${reason} for ${what}, and holds nothing`, async () => {
      const bench = new PaymentBench();
      const sent = authorise('tok_visa');
      const answer = await bench.send({ ...sent, body: { ...sent.body, ...change } });
      expect([answer.status, answer.body['reason']]).to.deep.equal([422, reason]);
      expect(bench.truth().held).to.equal(0);
    });
  }

  it('answers CaptureDeclined when the acquirer will not, and can then be voided', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_capture_declined'));
    const refused = await bench.send(capture(held.body['authorisationId']));
    expect([refused.status, refused.body['reason']]).to.deep.equal([422, 'CaptureDeclined']);
    expect((await bench.send(undo('tok_capture_declined'))).status).to.equal(200);
    expect(bench.truth()).to.deep.equal({ held: 0, captured: 0, refunded: 0 });
  });

  it('does not void what was captured', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_visa'));
    await bench.send(capture(held.body['authorisationId']));
    expect((await bench.send(undo('tok_visa'))).body['reason']).to.equal('AlreadyCaptured');
    expect(bench.truth().captured).to.equal(1_530);
  });

  it('does not void while a capture is of unknown outcome, and says that it goes on', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_capture_error'));
    expect((await bench.send(capture(held.body['authorisationId']))).status).to.equal(503);
    expect((await bench.send(undo('tok_capture_error'))).status).to.equal(202);
    expect(bench.story()).to.deep.equal(['authorise approved']);
  });

  it('answers AuthorisationExpired once the hold is over, and the reconciler notes it', async () => {
    const bench = new PaymentBench();
    const held = await bench.send(authorise('tok_short_hold'));
    bench.clock.advance(milliseconds(62_000));
    await bench.reconcileFor(2);
    expect((await bench.send(capture(held.body['authorisationId']))).body['reason']).to.equal('AuthorisationExpired');
    expect(await bench.events()).to.include('expired');
    expect((await bench.send(undo('tok_short_hold'))).status).to.equal(200);
  });

  for (const token of ['tok_timeout', 'tok_late', 'tok_double', 'tok_error_once', 'tok_error_after', 'tok_drop']) {
    it(`holds the amount once although the acquirer misbehaves (${token})`, async () => {
      const bench = new PaymentBench();
      expect((await bench.repeat(authorise(token))).status).to.equal(200);
      expect(bench.story().filter((line) => line === 'authorise approved')).to.have.length(1);
      expect(bench.truth().held).to.equal(1_530);
    });
    const later = token.replace('tok_', 'tok_capture_');
    it(`captures the amount once although the acquirer misbehaves (${later})`, async () => {
      const bench = new PaymentBench();
      const held = await bench.send(authorise(later));
      expect((await bench.repeat(capture(held.body['authorisationId']))).status).to.equal(200);
      expect(bench.truth()).to.deep.equal({ held: 0, captured: 1_530, refunded: 0 });
    });
    const release = token.replace('tok_', 'tok_void_');
    it(`voids once although the acquirer misbehaves (${release})`, async () => {
      const bench = new PaymentBench();
      await bench.send(authorise(release));
      expect((await bench.repeat(undo(release))).status).to.equal(200);
      expect(bench.story().filter((line) => line === 'void approved')).to.have.length(1);
      expect(bench.truth().held).to.equal(0);
    });
    const back = token.replace('tok_', 'tok_refund_');
    it(`refunds once although the acquirer misbehaves (${back})`, async () => {
      const bench = new PaymentBench();
      const held = await bench.send(authorise(back));
      const taken = await bench.send(capture(held.body['authorisationId']));
      expect((await bench.repeat(refund(taken.body['captureId'], 500, 'return'))).status).to.equal(200);
      expect(bench.truth().refunded).to.equal(500);
    });
  }

  it('answers 503 to HTML, and releases to nothing: there is nothing in place', async () => {
    const bench = new PaymentBench();
    expect((await bench.repeat(authorise('tok_html'))).status).to.equal(503);
    expect((await bench.send(undo('tok_html'))).status).to.equal(200);
    expect(bench.story()).to.deep.equal([]);
    expect((await bench.send(authorise('tok_html'))).body['reason']).to.equal('Fenced');
  });

  it('voids an authorisation whose answer was lost', async () => {
    const bench = new PaymentBench();
    expect((await bench.send(authorise('tok_timeout'))).status).to.equal(503);
    expect((await bench.send(undo('tok_timeout'))).status).to.equal(200);
    expect(bench.story()).to.deep.equal(['authorise approved', 'void approved']);
    expect(bench.truth().held).to.equal(0);
  });

  it('voids an authorisation that turns up after its void found nothing', async () => {
    const bench = new PaymentBench();
    expect((await bench.send(authorise('tok_ghost'))).status).to.equal(503);
    expect((await bench.send(undo('tok_ghost'))).status).to.equal(200);
    expect(bench.story(), 'not there yet').to.deep.equal([]);
    expect((await bench.send(authorise('tok_ghost'))).body['reason']).to.equal('Fenced');
    await bench.reconcileFor(40);
    expect(bench.story()).to.deep.equal(['authorise approved', 'void approved']);
    expect(bench.truth().held).to.equal(0);
  });

  it('goes on looking for it over a restart, and stops after two days', async () => {
    const bench = new PaymentBench();
    await bench.send(authorise('tok_html'));
    await bench.send(undo('tok_html'));
    bench.restart();
    await bench.reconcileFor(2);
    expect(bench.everythingStored()).to.include('"check_at":1');
    bench.clock.advance(milliseconds(2 * 86_400_000));
    await bench.reconcileFor(1);
    const report = await bench.passing(bench.service.reconcile());
    expect(report.looked).to.equal(0);
    expect(bench.everythingStored()).to.include('"state":"voided"');
  });

  it('asks for itself what became of an authorisation whose run went silent', async () => {
    const bench = new PaymentBench();
    await bench.send(authorise('tok_timeout'));
    await bench.send(authorise('tok_html', { orderId: 'order-2' }));
    expect(await bench.events()).to.deep.equal([]);
    bench.clock.advance(milliseconds(15 * 60_000));
    expect(await bench.passing(bench.service.reconcile())).to.include({ looked: 2, settled: 1 });
    expect(await bench.events()).to.deep.equal(['authorised']);
    // Its run may be held, and go on days later under the same key.
    bench.clock.advance(milliseconds(3 * 86_400_000));
    await bench.exchange({ method: 'POST', path: '/admin/tokens', body: { token: 'tok_html', as: 'tok_visa' } });
    await bench.reconcileFor(2);
    expect((await bench.send(authorise('tok_html', { orderId: 'order-2' }))).status).to.equal(200);
    expect((await bench.send(authorise('tok_timeout'))).status).to.equal(200);
    expect(await bench.events()).to.deep.equal(['authorised', 'authorised']);
    expect([bench.truth().held, bench.truth('order-2').held]).to.deep.equal([1_530, 1_530]);
  });

  it('keeps a hold in an outage, and voids it when the acquirer is back', async () => {
    const bench = new PaymentBench();
    await bench.send(authorise('tok_visa'));
    await bench.exchange({ method: 'POST', path: '/admin/outage', body: { seconds: 30 } });
    expect((await bench.send(undo('tok_visa'))).status).to.equal(503);
    expect(bench.truth().held).to.equal(1_530);
    bench.clock.advance(milliseconds(31_000));
    expect((await bench.send(undo('tok_visa'))).status).to.equal(200);
    expect(bench.truth().held).to.equal(0);
  });

  for (const point of ['effect', 'record', 'call'] as const) {
    it(`holds the amount once when the process dies at "${point}" and another goes on`, async () => {
      const bench = new PaymentBench();
      bench.crashAt(point);
      const died = await bench.send(authorise('tok_visa')).then(
        () => undefined,
        (error: Error) => error.name,
      );
      expect(died).to.equal('Crash');
      bench.restart();
      expect((await bench.send(authorise('tok_visa'))).status).to.equal(200);
      expect(bench.truth().held).to.equal(1_530);
      expect(bench.story().filter((line) => line === 'authorise approved')).to.have.length(1);
    });

    it(`leaves nothing held when the process dies at "${point}" and the order is compensated`, async () => {
      const bench = new PaymentBench();
      bench.crashAt(point);
      await bench.send(authorise('tok_visa')).catch(() => undefined);
      bench.restart();
      expect((await bench.send(undo('tok_visa'))).status).to.equal(200);
      expect(bench.truth().held).to.equal(0);
    });
  }

  it('settles on recovery what a crash left open', async () => {
    const bench = new PaymentBench();
    bench.crashAt('call');
    await bench.send(authorise('tok_visa')).catch(() => undefined);
    bench.restart();
    expect(await bench.passing(bench.service.participant.recover())).to.deep.equal({ settled: 1, open: 0 });
    expect((await bench.send(authorise('tok_visa'))).status).to.equal(200);
    expect(bench.story()).to.deep.equal(['authorise approved']);
  });

  it('sends another reference under a higher epoch, after a decline', async () => {
    const bench = new PaymentBench();
    expect((await bench.send(authorise('tok_declined'))).status).to.equal(422);
    await bench.exchange({ method: 'POST', path: '/admin/tokens', body: { token: 'tok_declined', as: 'tok_visa' } });
    expect((await bench.send(authorise('tok_declined', { epoch: 2 }))).status).to.equal(200);
    expect(new Set(bench.entries().map((entry) => entry.reference)).size).to.equal(2);
    expect((await bench.send(undo('tok_declined', { epoch: 2 }))).status).to.equal(200);
    expect(bench.truth().held).to.equal(0);
  });

  it('takes the largest amount, and sums several of it exactly', async () => {
    const bench = new PaymentBench();
    const most = Number.MAX_SAFE_INTEGER;
    for (const orderId of ['order-1', 'order-2', 'order-3']) {
      const held = await bench.send(
        authorise('tok_visa', { orderId, body: { ...authorise('tok_visa').body, total: most } }),
      );
      expect((await bench.send(capture(held.body['authorisationId'], most, { orderId }))).status).to.equal(200);
    }
    const conservation = bench.service.routes.find(({ path }) => path === '/conservation');
    const answer = await conservation?.handle({
      params: {},
      query: {},
      body: undefined,
      caller: { subject: 'a test' },
    });
    expect(answer).to.deep.equal({
      currencies: [
        {
          currency: 'GBP',
          payments: 3,
          open: 0,
          openAmount: 0,
          captured: String(3n * BigInt(most)),
          refunded: 0,
          unresolved: 0,
        },
      ],
    });
  });

  it('stores, answers and tells no token in full', async () => {
    const bench = new PaymentBench();
    const token = 'tok_a1b2c3secret';
    const held = await bench.send(authorise(token));
    await bench.send(capture(held.body['authorisationId']));
    await bench.repeat(authorise('tok_error-a1b2c3secret', { orderId: 'order-2' }));
    const seen = bench.everythingStored() + JSON.stringify(held) + bench.errors.map(String).join();
    expect(seen).to.include('tok_***cret').and.not.include('b2c3secret');
    expect(JSON.stringify(bench.entries())).to.not.include('b2c3secret');
  });

  it('refuses a card number anywhere with 400, before it is stored, and does not repeat it', async () => {
    const bench = new PaymentBench();
    const good = authorise('tok_visa');
    const bad: Sent[] = [
      authorise('4242424242424242'),
      authorise('tok_4242424242424242'),
      { ...good, body: { ...good.body, customer: '4242 4242 4242 4242' } },
      { ...good, body: { ...good.body, total: 4_242_424_242_424_242 } },
      { ...good, body: { ...good.body, note: { deep: ['4242-4242-4242-4242'] } } },
      { ...good, body: { ...good.body, '4242424242424242': 1 } },
      { ...good, orderId: '4242424242424242' },
      { ...good, command: '4242424242424242' },
    ];
    for (const sent of bad) {
      const answer = await bench.send(sent);
      expect([answer.status, answer.body['reason']], JSON.stringify(sent)).to.deep.equal([400, 'CardNumberRefused']);
      expect(JSON.stringify(answer).replaceAll(/\D/g, '')).to.not.include('4242424242');
    }
    expect(bench.everythingStored().replaceAll(/[^0-9]/g, '')).to.not.include('4242424242');
    expect(bench.errors).to.deep.equal([]);
  });
});

describe('a hundred orders under random faults', () => {
  it('conserve every one of them, by the log of the acquirer', async () => {
    const text = 'timeout=0.05,late=0.05,error=0.05,error_after=0.05,drop=0.05,html=0.05,double=0.05,ghost=0.05';
    for (const seed of ['one', 'two', 'three']) {
      const bench = new PaymentBench({ faults: parseFaultRates(seed, text), declineRate: 0.1 });
      const captured = new Set<string>();
      const orders = Array.from({ length: 100 }, (_, i) => `order-${i}`);
      for (const orderId of orders) {
        const held = await bench.repeat(authorise('tok_visa', { orderId }), 2);
        const isWanted = held.status === 200 && Number(orderId.slice(6)) % 3 !== 0;
        const taken = isWanted
          ? await bench.repeat(capture(held.body['authorisationId'], 1_530, { orderId }), 40)
          : held;
        if (isWanted && taken.status === 200) captured.add(orderId);
        else expect((await bench.repeat(undo('tok_visa', { orderId }), 40)).status).to.equal(200);
      }
      await bench.reconcileFor(120);
      for (const orderId of orders) {
        const paid = captured.has(orderId) ? 1_530 : 0;
        expect(bench.truth(orderId), `${seed} ${orderId}`).to.deep.equal({ held: 0, captured: paid, refunded: 0 });
      }
      expect(captured.size, 'or this test tests nothing').to.be.within(20, 80);
    }
  });
});

describe('whatever the acquirer and the processes do', () => {
  const behaviour = fc.constantFrom(
    'visa',
    'declined',
    'timeout',
    'late',
    'double',
    'error_once',
    'error_after',
    'error',
    'drop',
    'html',
    'ghost',
    'capture_declined',
    'capture_timeout',
    'capture_drop',
    'capture_error_after',
    'void_timeout',
    'void_drop',
    'void_error_once',
  );
  const crash = fc.option(fc.constantFrom('effect' as const, 'record' as const, 'call' as const), { nil: undefined });

  it('an order is captured exactly, or nothing is captured and nothing stays held', async () => {
    await fc.assert(
      fc.asyncProperty(
        behaviour,
        fc.array(crash, { minLength: 6, maxLength: 6 }),
        fc.integer({ min: 1, max: 3 }),
        async (kind, crashes, attempts) => {
          const bench = new PaymentBench();
          const token = `tok_${kind}`;
          // The engine's side: a few attempts, each of which may find the process dead.
          const carry = async (sent: Sent, from: number) => {
            for (let i = 0; i < attempts; i++) {
              const point = crashes[from + i];
              if (point !== undefined) bench.crashAt(point);
              const answer = await bench.send(sent).catch(() => undefined);
              if (answer === undefined) bench.restart();
              else if (answer.status === 200 || answer.status === 422 || answer.status === 409) return answer;
            }
            return undefined;
          };
          const patiently = async (sent: Sent) => {
            for (let i = 0; i < 30; i++) {
              const answer = await bench.send(sent).catch(() => bench.restart());
              if (answer?.status === 200 || answer?.status === 422) return answer;
              bench.clock.advance(milliseconds(1_000));
            }
            throw new Error(`${sent.command} never ended`);
          };
          const held = await carry(authorise(token), 0);
          const isHeld = held?.status === 200;
          const taken = isHeld ? await patiently(capture(held.body['authorisationId'])) : undefined;
          if (taken?.status !== 200) await patiently(undo(token));
          await bench.reconcileFor(60);
          expect(bench.truth()).to.deep.equal({ held: 0, captured: taken?.status === 200 ? 1_530 : 0, refunded: 0 });
        },
      ),
      { numRuns: 150 },
    );
  });
});
