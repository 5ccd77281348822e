import { expect } from 'chai';
import { runKey } from '../../saga/command.ts';
import { shardOf } from '../../sharding/shard.ts';
import { eventually, OK, SAGA, TestCluster } from '../../testing/cluster.ts';
import { metricSum } from '../../testing/metrics.ts';
import type { Replica } from '../../testing/replica.ts';

const PATIENCE_MILLIS = 60_000;
/** As an operator has them that is not told otherwise. */
const SHARDS = 16;

describe('Several operators', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let goOn: () => void;

  beforeEach(async () => {
    cluster = await TestCluster.create();
    // Nothing fails for being slow: runs wait at pay for as long as a test needs.
    await cluster.applySaga({ steps: SAGA.steps.map((step) => ({ ...step, timeout: '5m' })) });
    cluster.allWell();
    const { promise, resolve } = Promise.withResolvers<void>();
    goOn = resolve;
    cluster.shop.on('pay', async () => {
      await promise;
      return OK;
    });
  });
  afterEach(async () => {
    goOn();
    await cluster.close();
  });

  /** Applies runs, all at once, of each shard as many. */
  async function applyRuns(name: string, count: number): Promise<string[]> {
    const orders: string[] = [];
    for (let n = 0; orders.length < count; n++) {
      const orderId = `${name}-${n}`;
      const shard = shardOf({ namespace: cluster.namespace, saga: 'checkout', orderId }, SHARDS);
      if (shard === orders.length % SHARDS) orders.push(orderId);
    }
    const items = orders.map((orderId) => ({
      apiVersion: 'mercato.dev/v1alpha1',
      ...cluster.runOf(orderId),
      metadata: { name: `checkout-${orderId}`, namespace: cluster.namespace },
    }));
    await cluster.plane.kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    return orders;
  }
  const atPay = (orders: readonly string[]): Promise<void> =>
    eventually(
      () => orders.every((orderId) => cluster.shop.commandsOf(orderId).includes('pay')),
      () => `all are at pay, not ${orders.filter((orderId) => !cluster.shop.commandsOf(orderId).includes('pay'))}`,
      PATIENCE_MILLIS,
    );
  const drives = (replica: Replica, wanted: (runs: number) => boolean): Promise<void> => {
    let runs = -1;
    return eventually(
      async () => {
        runs = await metricSum([replica.metricsUrl], 'mercato_saga_runs_active').catch(() => -1);
        return wanted(runs);
      },
      () => `it drives ${runs} runs`,
      PATIENCE_MILLIS,
    );
  };
  /** Every run has succeeded, each with one key, epoch and content per step; by default after workers that handed their runs over. */
  async function allWell(orders: readonly string[], died = false): Promise<void> {
    for (const orderId of orders) {
      let phase: string | undefined;
      await eventually(
        async () => {
          const run = await cluster.run(orderId);
          phase = run?.status?.phase;
          const journal = JSON.parse(run?.status?.journal ?? '{}') as { claims?: number };
          if (!died) expect(journal.claims ?? 0, `${orderId} was taken from the dead`).to.equal(0);
          return phase === 'Succeeded';
        },
        () => `${orderId} is ${phase}: ${cluster.shop.commandsOf(orderId)}`,
        PATIENCE_MILLIS,
      );
      const prefix = `${runKey({ namespace: cluster.namespace, saga: 'checkout', orderId })}/`;
      const calls = cluster.shop.calls.filter(({ key }) => key.startsWith(prefix));
      const effects = new Set(calls.map(({ key, epoch, body }) => `${key} ${epoch} ${JSON.stringify(body)}`));
      expect(effects.size, [...effects].join('\n')).to.equal(4);
    }
  }

  it('share the runs: one that comes gets its part of those in flight, in order; one that stops leaves its part to the others', async () => {
    const first = await cluster.startOperator();
    const orders = await applyRuns('early', 24);
    await atPay(orders);
    const second = await cluster.startOperator();
    await drives(second, (runs) => runs >= 6);
    const third = await cluster.startOperator();
    await drives(third, (runs) => runs >= 3);
    orders.push(...(await applyRuns('late', 12)));
    await atPay(orders);
    cluster.takeOut(first);
    await first.stop();
    const left = await Promise.all(
      [second, third].map(({ metricsUrl }) => metricSum([metricsUrl], 'mercato_run_shards_open')),
    );
    expect(Math.max(...left), 'neither has all').to.be.below(SHARDS);
    goOn();
    await allWell(orders);
    for (const replica of [second, third])
      expect(await metricSum([replica.metricsUrl], 'mercato_saga_runs_finished_total')).to.be.above(0);
  });

  it('updated one after the other under load lose nothing, and no run waits for a lease to expire', async () => {
    goOn();
    let old = [await cluster.startOperator(), await cluster.startOperator()];
    let isOver = false;
    const orders: string[] = [];
    const load = (async () => {
      for (let wave = 0; !isOver; wave++) orders.push(...(await applyRuns(`wave-${wave}`, 8)));
    })();
    for (const replica of old) {
      const next = await cluster.startOperator();
      await eventually(
        async () => (await metricSum([next.metricsUrl], 'mercato_run_shards_open').catch(() => 0)) > 0,
        () => 'the new one has shards',
        PATIENCE_MILLIS,
      );
      cluster.takeOut(replica);
      await replica.stop();
    }
    old = [];
    isOver = true;
    await load;
    await allWell(orders);
  });

  it('take over what one drove that was killed, and nobody else notices', async () => {
    const survivor = await cluster.startOperator();
    await eventually(
      async () => (await metricSum([survivor.metricsUrl], 'mercato_run_shards_open').catch(() => 0)) === SHARDS,
      () => 'the first has all shards',
      PATIENCE_MILLIS,
    );
    const living = await cluster.holders();
    const victim = await cluster.startProcess();
    await eventually(
      async () => (await metricSum([victim.metricsUrl], 'mercato_run_shards_open').catch(() => 0)) === SHARDS / 2,
      () => 'each has half of the shards',
      PATIENCE_MILLIS,
    );
    const orders = await applyRuns('order', 20);
    await atPay(orders);
    await drives(survivor, (runs) => runs > 0 && runs < 20);
    cluster.takeOut(victim);
    await victim.kill();
    await cluster.shortenLeases(living);
    await drives(survivor, (runs) => runs === 20);
    goOn();
    await allWell(orders, true);
    const claimed = await metricSum([survivor.metricsUrl], 'mercato_saga_runs_started_total', { how: 'TakenOver' });
    expect(claimed).to.be.above(0).and.below(20);
  });

  it('go on without one that was frozen past its lease; when it wakes up it does nothing more, and ends', async () => {
    const zombie = await cluster.startProcess('--lease-duration=9s');
    // Asked again and again, so that one that went on would be heard.
    cluster.shop.on('pay', { status: 202, retryAfter: '0' });
    const orders = await applyRuns('order', 6);
    await atPay(orders);
    cluster.takeOut(zombie);
    zombie.freeze();
    const frozen = performance.now();
    await cluster.shortenLeases();
    const next = await cluster.startOperator();
    await drives(next, (runs) => runs === orders.length);
    cluster.shop.on('pay', OK);
    await allWell(orders, true);
    const calls = cluster.shop.calls.length;
    const writes = await Promise.all(
      orders.map(async (orderId) => (await cluster.run(orderId))?.metadata.resourceVersion),
    );
    await eventually(
      () => performance.now() - frozen > 6_000,
      () => 'by its own clock it has lost its lease too, after two thirds of it',
    );
    zombie.thaw();
    const failure = await zombie.ended.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    expect(failure?.message).to.contain('LeaseLostError');
    expect(cluster.shop.calls.length, 'it sent something').to.equal(calls);
    expect(
      await Promise.all(orders.map(async (orderId) => (await cluster.run(orderId))?.metadata.resourceVersion)),
      'it wrote something',
    ).to.deep.equal(writes);
  });
});
