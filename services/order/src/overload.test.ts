import { milliseconds } from '@mercato/kit';
import { expect } from 'chai';
import { OrderBench } from './testing/bench.ts';
import { request } from './testing/samples.ts';

describe('too many orders at once', function () {
  this.timeout(60_000);
  let bench: OrderBench;
  afterEach(() => bench.close());

  /** Sends `count` orders at the same time, and tells each answer; the status of each by its key. */
  async function storm(count: number, from = 0, onAnswer: () => void = () => {}) {
    const keys = Array.from({ length: count }, (_, i) => `storm-${from + i}`);
    const answers = await Promise.all(
      keys.map(async (key) => {
        const answer = await bench.place(request(), key);
        onAnswer();
        return answer;
      }),
    );
    return new Map(keys.map((key, i) => [key, answers[i]!]));
  }

  it('are turned away with Retry-After, and those that are not are all there', async () => {
    bench = await OrderBench.start({ admission: { ceiling: 4 } });
    // A disk that stands still until all have come: how many are at once is not left to the machine.
    const disk = Promise.withResolvers<void>();
    const place = bench.orders.place.bind(bench.orders);
    bench.orders.place = (placement) => disk.promise.then(() => place(placement));
    const turnedAway = Promise.withResolvers<void>();
    let answered = 0;
    const storming = storm(200, 0, () => {
      if (++answered === 196) turnedAway.resolve();
    });
    await turnedAway.promise;
    disk.resolve();
    const answers = await storming;
    const of = (status: number) => [...answers].filter(([, answer]) => answer.status === status);
    const placed = of(201);
    const refused = of(429);
    expect([placed.length, refused.length]).to.deep.equal([4, 196]);
    for (const [, { headers }] of refused) expect(Number(headers.get('retry-after'))).to.be.oneOf([1, 2]);
    expect(bench.rows('shop_order')).to.equal(placed.length);
    expect(bench.rows('order_key')).to.equal(placed.length);
    expect(bench.rows('outbox')).to.equal(placed.length);
    for (const [, { body }] of placed)
      expect((await bench.get((body as { id: string }).id))['state']).to.equal('Placed');

    // What was refused left nothing, so the same key takes the same order later; what was placed is answered as it was.
    for (const [key, first] of answers) {
      const again = await bench.place(request(), key);
      expect(again.status, key).to.equal(201);
      expect(again.headers.get('idempotency-replayed')).to.equal(first.status === 201 ? 'true' : null);
    }
    expect(bench.rows('shop_order')).to.equal(200);
    const page = await bench.metrics.registry.metrics();
    expect(page).to.contain(`mercato_http_overloaded_total{service="order"} ${refused.length}`);
  });

  it('lower the number that is let in while they wait too long, and raise it again', async () => {
    // No commit is that fast: everybody waits too long.
    bench = await OrderBench.start({
      admission: { ceiling: 64, floor: 2, target: milliseconds(0), interval: milliseconds(5) },
    });
    const limit = async () => Number(/admission_limit\S* (\d+)/.exec(await bench.metrics.registry.metrics())?.[1]);
    expect(await limit()).to.equal(64);
    let sent = 0;
    await bench.until(async () => {
      await storm(40, sent);
      sent += 40;
      return (await limit()) < 16;
    });
    expect((await bench.place()).status, 'some are always let in').to.equal(201);
  });
});
