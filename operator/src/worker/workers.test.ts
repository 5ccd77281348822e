import { randomBytes } from 'node:crypto';
import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { eventually, TestCluster } from '../testing/cluster.ts';
import { createJournalTable } from '../testing/journal-table.ts';
import { OrderRelay } from '../testing/order-relay.ts';
import { Subscriber } from '../testing/subscriber.ts';

const ORDERS = 40;
/** For what begins when a worker has been silent for nine seconds. */
const PATIENCE_MILLIS = 90_000;
const AWS = {
  AWS_REGION: 'eu-west-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'test',
};

describe('Workers of the dynamodb journal', function () {
  this.timeout(300_000);
  let cluster: TestCluster;
  let subscriber: Subscriber;
  const before_ = { ...process.env };

  before(async () => {
    const { client } = await sharedDynamoDbLocal();
    const table = `runs-${randomBytes(4).toString('hex')}`;
    await createJournalTable(client, table);
    Object.assign(process.env, AWS, {
      AWS_REGION: client.region,
      AWS_ENDPOINT_URL_DYNAMODB: client.endpoint,
      MERCATO_JOURNAL: 'dynamodb',
      MERCATO_JOURNAL_TABLE: table,
    });
    cluster = await TestCluster.create();
    subscriber = await Subscriber.start();
    await cluster.applySaga();
    cluster.allWell();
  });

  after(async () => {
    await cluster.close();
    await subscriber.stop();
    for (const name of Object.keys(process.env)) if (!(name in before_)) delete process.env[name];
    Object.assign(process.env, before_);
  });

  it('go on with the runs of one that was killed, and bring each to its end once', async () => {
    const relays = [await OrderRelay.of(cluster), await OrderRelay.of(cluster)] as const;
    const flags = (relay: OrderRelay): string[] => ['--role=worker', ...relay.flags, `--announce-to=${subscriber.url}`];
    const controllers = await cluster.startProcess('--role=controllers');
    const victim = await cluster.startProcess(...flags(relays[0]));
    const other = await cluster.startProcess(...flags(relays[1]));
    // Nobody gets past booking while both live.
    cluster.shop.on('book', { status: 202, retryAfter: '0.2' });
    const half = (worker: number) =>
      Array.from({ length: ORDERS / 2 }, (_, index) => relays[0].placed(`o-${worker}-${index}`));
    expect(await relays[0].deliver(half(0))).to.include({ Begun: ORDERS / 2 });
    expect(await relays[1].deliver(half(1))).to.include({ Begun: ORDERS / 2 });
    expect(await relays[1].deliver(half(0))).to.include({ Known: ORDERS / 2 });
    await eventually(
      async () => cluster.shop.calls.filter(({ command }) => command === 'book').length >= ORDERS,
      () => `${victim.output}${other.output}`,
    );
    await victim.kill();
    cluster.takeOut(victim);
    cluster.allWell();
    const ended = (): number => new Set(subscriber.events.map(({ subject }) => subject)).size;
    await eventually(
      async () => ended() === ORDERS,
      () => `${ended()} of ${ORDERS} ends were told: ${other.output}`,
      PATIENCE_MILLIS,
    );
    expect(await cluster.metric('mercato_worker_runs_claimed_total', { died: 'true' })).to.equal(ORDERS / 2);
    expect(new Set(subscriber.events.map(({ id }) => id)).size).to.equal(ORDERS);
    for (let index = 0; index < ORDERS / 2; index++)
      expect(subscriber.toldOf(`o-0-${index}`), `o-0-${index}`).to.deep.equal(['succeeded']);
    expect(controllers.output).not.to.contain('failed');
    await cluster.stopOperator();
  });

  it('go on without one that was frozen; when it wakes up it sends and writes nothing more, and ends', async () => {
    const relay = await OrderRelay.of(cluster);
    const zombie = await cluster.startProcess('--role=worker', ...relay.flags);
    cluster.takeOut(zombie);
    // Asked again and again, so that one that went on would be heard.
    cluster.shop.on('book', { status: 202, retryAfter: '0' });
    const orders = ['z-0', 'z-1', 'z-2'];
    await relay.deliver(orders.map((order) => relay.placed(order)));
    await eventually(
      async () => orders.every((order) => cluster.shop.commandsOf(order).includes('book')),
      () => zombie.output,
    );
    zombie.freeze();
    const heir = await cluster.startProcess('--role=worker', `--announce-to=${subscriber.url}`);
    cluster.allWell();
    for (const order of orders)
      await eventually(
        async () => subscriber.toldOf(order).includes('succeeded'),
        () => `${order} came no further than ${cluster.shop.commandsOf(order)}: ${heir.output}`,
        PATIENCE_MILLIS,
      );
    const calls = cluster.shop.calls.length;
    zombie.thaw();
    const failure = await zombie.ended.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    expect(failure?.message).to.match(/no sign of life reached the journal|was declared dead/);
    expect(cluster.shop.calls, 'it sent something').to.have.length(calls);
    for (const order of orders) expect(subscriber.toldOf(order), order).to.deep.equal(['succeeded']);
    await cluster.stopOperator();
  });
});
