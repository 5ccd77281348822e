import { startControlPlane } from '@mercato/controlplane';
import { expect } from 'chai';
import { LeaseLostError } from '../../kube/leases.ts';
import { eventually, OK, TestCluster } from '../../testing/cluster.ts';

const PATIENCE_MILLIS = 60_000;

describe('Another operator takes over', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let goOn: () => void;

  beforeEach(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
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

  const at = (orderId: string, command: string, count = 1): Promise<void> =>
    eventually(
      () => cluster.shop.commandsOf(orderId).filter((name) => name === command).length >= count,
      () => `${command} of ${orderId} is sent ${count} times`,
      PATIENCE_MILLIS,
    );
  const ended = (orderId: string, phase: string): Promise<void> =>
    eventually(
      async () => (await cluster.run(orderId))?.status?.phase === phase,
      () => `${orderId} is ${phase}`,
      PATIENCE_MILLIS,
    );
  const claimsOf = async (orderId: string): Promise<unknown> =>
    (JSON.parse((await cluster.run(orderId))?.status?.journal ?? '{}') as { claims?: number }).claims;
  const effects = (orderId: string): string[] => [
    ...new Set(
      cluster.shop.calls
        .filter(({ key }) => key.split('/')[2] === orderId)
        .map(({ key, epoch, body }) => `${key.split('/').slice(3).join('/')} ${epoch} ${JSON.stringify(body)}`),
    ),
  ];

  it('in good order: it goes on where the last one stood, and repeats only what was in flight', async () => {
    await cluster.startOperator();
    await cluster.applyRun('handed');
    await at('handed', 'pay');
    await cluster.stopOperator();
    const left = await cluster.run('handed');
    expect(left?.status?.steps?.map(({ state }) => state)).to.deep.equal([
      'Succeeded',
      'InFlight',
      'Pending',
      'Pending',
    ]);
    await cluster.startOperator();
    await at('handed', 'pay', 2);
    goOn();
    await ended('handed', 'Succeeded');
    expect(cluster.shop.commandsOf('handed')).to.deep.equal(['reserve', 'pay', 'pay', 'book', 'capture']);
    expect(effects('handed')).to.have.length(4);
    expect(await claimsOf('handed'), 'nobody died').to.equal(0);
  });

  it('after it died in mid-step: the same key, epoch and content again; the claim counts until there is progress', async () => {
    const first = await cluster.startProcess();
    await cluster.applyRun('killed');
    await at('killed', 'pay');
    cluster.takeOut(first);
    await first.kill();
    await cluster.shortenLeases();
    const second = await cluster.startProcess();
    await at('killed', 'pay', 2);
    expect(await claimsOf('killed')).to.equal(1);
    cluster.takeOut(second);
    await second.kill();
    await cluster.shortenLeases();
    await cluster.startProcess();
    await at('killed', 'pay', 3);
    expect(await claimsOf('killed')).to.equal(2);
    goOn();
    await ended('killed', 'Succeeded');
    expect(await claimsOf('killed')).to.equal(0);
    expect(effects('killed').map((line) => line.split(' ')[0])).to.deep.equal([
      'reserve/action',
      'pay/action',
      'book/action',
      'capture/action',
    ]);
  });

  it('after one that died and one that could not take the run up: it is doubted still, although the last one stopped in order', async () => {
    const first = await cluster.startProcess();
    await cluster.applyRun('passed-on');
    await cluster.until('passed-on', ({ status }) => status?.steps?.[1]?.state === 'InFlight');
    cluster.takeOut(first);
    await first.kill();
    await cluster.shortenLeases();
    const { namespace } = cluster;
    await cluster.plane.kubectl(['delete', 'ordersagas,controllerrevisions', '--all', '-n', namespace]);
    await cluster.startOperator();
    await eventually(
      async () =>
        (await cluster.run('passed-on'))?.status?.conditions?.some(({ reason }) => reason === 'SagaNotFound') === true,
      () => 'nobody knows what it follows',
      PATIENCE_MILLIS,
    );
    await cluster.stopOperator();
    await cluster.applySaga();
    await cluster.startOperator();
    await at('passed-on', 'pay', 2);
    expect(await claimsOf('passed-on'), 'what the dead one did is not known').to.equal(1);
    goOn();
    await ended('passed-on', 'Succeeded');
  });

  it('after it died at the pivot: forward only', async () => {
    cluster.shop.on('capture', { status: 202 });
    goOn();
    const first = await cluster.startProcess();
    await cluster.applyRun('pivot');
    await at('pivot', 'capture');
    cluster.takeOut(first);
    await first.kill();
    await cluster.shortenLeases();
    await cluster.deleteRun('pivot');
    cluster.allWell();
    await cluster.startProcess();
    await eventually(
      async () => (await cluster.run('pivot')) === undefined,
      () => 'it finishes forward, then goes',
      PATIENCE_MILLIS,
    );
    expect(cluster.shop.commandsOf('pivot')).not.to.include('void');
    expect(cluster.shop.commandsOf('pivot').slice(-1)).to.deep.equal(['capture']);
  });

  it('while it compensated: the compensations go on', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    goOn();
    cluster.shop.on('book', { status: 422, body: { type: 'urn:no', title: 'no', reason: 'No' } });
    cluster.shop.on('void', async () => {
      await promise;
      return OK;
    });
    const first = await cluster.startProcess();
    await cluster.applyRun('back');
    await at('back', 'void');
    cluster.takeOut(first);
    await first.kill();
    await cluster.shortenLeases();
    await cluster.startProcess();
    await at('back', 'void', 2);
    resolve();
    await ended('back', 'Compensated');
    expect(effects('back').map((line) => line.split(' ')[0])).to.include.members([
      'pay/compensation',
      'reserve/compensation',
    ]);
    expect(cluster.shop.commandsOf('back')).not.to.include('capture');
  });
});

describe('An operator that lost its lease', function () {
  this.timeout(180_000);

  it('sends nothing more, and ends; its successor finishes the run', async () => {
    const plane = await startControlPlane({ etcdUnsafeNoFsync: true });
    const cluster = await TestCluster.create({ plane, lease: '9s' });
    try {
      await cluster.applySaga();
      cluster.allWell();
      // Asked again and again, so that a leader that went on would be heard.
      cluster.shop.on('pay', { status: 202, retryAfter: '0' });
      const leader = await cluster.startOperator();
      cluster.takeOut(leader);
      const failure = leader.ended.then(
        () => undefined,
        (error: unknown) => error,
      );
      await cluster.applyRun('order');
      await cluster.until('order', ({ status }) => status?.steps?.[0]?.state === 'Succeeded');
      await plane.killApiServer();
      expect(await failure).to.be.instanceOf(LeaseLostError);
      const calls = cluster.shop.calls.length;
      await plane.startApiServer();
      expect(cluster.shop.calls, 'after it ended').to.have.length(calls);
      cluster.allWell();
      await cluster.shortenLeases();
      await cluster.startOperator();
      await eventually(
        async () => (await cluster.run('order'))?.status?.phase === 'Succeeded',
        () => 'the successor finishes it',
        PATIENCE_MILLIS,
      );
      expect(new Set(cluster.shop.calls.map(({ key, epoch }) => `${key} ${epoch}`)).size).to.equal(4);
    } finally {
      await cluster.close();
      await plane.stop();
    }
  });
});
