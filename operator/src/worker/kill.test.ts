import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually, TestCluster } from '../testing/cluster.ts';
import { OrderRelay } from '../testing/order-relay.ts';
import { Subscriber } from '../testing/subscriber.ts';

const ORDERS = 200;
const PATIENCE_MILLIS = 90_000;

describe('A worker of the sqlite journal', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let subscriber: Subscriber;
  let relay: OrderRelay;
  let directory: string;
  let flags: string[];

  before(async () => {
    cluster = await TestCluster.create();
    subscriber = await Subscriber.start();
    relay = await OrderRelay.of(cluster);
    directory = await mkdtemp(join(tmpdir(), 'mercato-worker-'));
    const journal = ['--journal=sqlite', `--journal-path=${join(directory, 'journal.db')}`];
    flags = [...journal, ...relay.flags, `--announce-to=${subscriber.url}`];
    await cluster.applySaga();
    cluster.allWell();
  });

  after(async () => {
    await cluster.close();
    await subscriber.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('brings every order to its end once, also when it is killed on the way', async () => {
    const orders = Array.from({ length: ORDERS }, (_, index) => `o-${index}`);
    const first = await cluster.startProcess(...flags);
    for (let at = 0; at < ORDERS; at += 50)
      expect(await relay.deliver(orders.slice(at, at + 50).map((order) => relay.placed(order)))).to.include({
        Begun: 50,
      });
    await eventually(
      async () => cluster.shop.calls.some(({ command }) => command === 'capture'),
      () => `no capture: ${first.output}`,
    );
    await first.kill();
    cluster.takeOut(first);
    const second = await cluster.startProcess(...flags);
    // What was taken before is known, in this life too.
    const again = [...orders, 'o-new'].map((order) => relay.placed(order));
    expect(await relay.deliver(again)).to.include({ Known: ORDERS, Begun: 1 });
    const ended = (): number => new Set(subscriber.events.map(({ subject }) => subject)).size;
    await eventually(
      async () => ended() === ORDERS + 1,
      () => `${ended()} of ${ORDERS + 1} ends were told: ${second.output}`,
      PATIENCE_MILLIS,
    );
    for (const order of [...orders, 'o-new']) {
      expect(new Set(cluster.shop.commandsOf(order)), order).to.have.all.keys('reserve', 'pay', 'book', 'capture');
      expect(subscriber.toldOf(order), order).to.deep.equal(['succeeded']);
    }
    expect([...subscriber.authorizations].every((value) => value.startsWith('Bearer ey'))).to.equal(true);
    await eventually(
      async () => (await cluster.metric('mercato_worker_runs_in_work')) === 0,
      () => 'runs stay in memory after their end',
    );
    expect(await cluster.metric('mercato_worker_runs_claimed_total', { died: 'false' })).to.equal(0);
    await cluster.stopOperator();
  });

  it('tells a customer that their cancel won, and that it came too late', async () => {
    cluster.shop.on('book', { status: 202, retryAfter: '0.1' });
    const operator = await cluster.startProcess(...flags);
    await relay.deliver([relay.placed('o-cancelled')]);
    await eventually(
      async () => cluster.shop.commandsOf('o-cancelled').includes('book'),
      () => operator.output,
    );
    expect(await relay.deliver([relay.cancel('o-cancelled')])).to.include({ Cancelled: 1 });
    await eventually(
      async () => subscriber.toldOf('o-cancelled').includes('compensated'),
      () => `told ${subscriber.toldOf('o-cancelled')}, called ${cluster.shop.commandsOf('o-cancelled')}`,
    );
    expect(subscriber.events.find(({ subject }) => subject === 'o-cancelled')?.data).to.include({
      reason: 'Cancelled',
    });
    expect(cluster.shop.commandsOf('o-cancelled')).to.include.members(['unbook', 'void', 'release']);
    expect(await relay.deliver([relay.cancel('o-cancelled')])).to.include({ CancelTooLate: 1 });
    await eventually(
      async () => (await cluster.metric('mercato_worker_mail_total', { type: 'Cancel' })) === 1,
      () => 'the cancel is not counted',
    );
    await cluster.stopOperator();
    cluster.allWell();
  });

  it('leaves a run of the kubernetes journal as it is, and says where runs live', async () => {
    await cluster.startProcess(...flags);
    await cluster.applyRun('o-object');
    const run = await cluster.until('o-object', ({ status }) => status?.nextAction?.includes('sqlite') === true);
    expect(run.status?.conditions).to.deep.include.members([
      {
        type: 'Accepted',
        status: 'False',
        reason: 'JournalElsewhere',
        message: 'runs live in sqlite: give its order to intake (POST /events), or delete it',
        observedGeneration: 1,
        lastTransitionTime: run.status?.conditions?.[0]?.lastTransitionTime,
      },
    ]);
    await cluster.untilEvent('o-object', 'JournalElsewhere');
    expect(cluster.shop.commandsOf('o-object')).to.deep.equal([]);
    await cluster.stopOperator();
  });
});
