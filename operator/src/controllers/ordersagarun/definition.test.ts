import { expect } from 'chai';
import { configMaps, controllerRevisions } from '../../kube/resource.ts';
import { conditionOf, eventually, OK, SAGA, TestCluster } from '../../testing/cluster.ts';
import { orderSagas } from '../ordersaga/controller.ts';

describe('An OrderSaga with runs in flight', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let goOn: () => void;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(async () => {
    await cluster.changeSaga();
    cluster.allWell();
    const { promise, resolve } = Promise.withResolvers<void>();
    goOn = resolve;
    cluster.shop.on('pay', async () => {
      await promise;
      return OK;
    });
  });
  afterEach(() => goOn());

  const at = async (orderId: string, command: string): Promise<void> =>
    eventually(
      () => cluster.shop.commandsOf(orderId).includes(command),
      () => `${command} of ${orderId} is sent`,
    );
  const saga = () => cluster.client.get(orderSagas, { namespace: cluster.namespace, name: 'checkout' });
  const short = { steps: SAGA.steps.filter(({ name }) => name !== 'book') };

  it('that is changed: they finish with the revision that they began with, new ones follow the new one', async () => {
    await cluster.applyRun('old');
    await at('old', 'pay');
    await cluster.changeSaga(short);
    goOn();
    const old = await cluster.untilPhase('old', 'Succeeded');
    expect(cluster.shop.commandsOf('old')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    await cluster.applyRun('new');
    const young = await cluster.untilPhase('new', 'Succeeded');
    expect(cluster.shop.commandsOf('new')).to.deep.equal(['reserve', 'pay', 'capture']);
    expect(young.status?.revision).not.to.equal(old.status?.revision);
    for (const run of [old, young]) {
      const name = `checkout-${run.status?.revision}`;
      const kept = await cluster.client.get(controllerRevisions, { namespace: cluster.namespace, name });
      expect(kept.metadata.ownerReferences, 'runs outlive their saga').to.equal(undefined);
    }
    await eventually(
      async () => (await saga()).status?.currentRevision === young.status?.revision,
      () => 'the saga shows its current revision',
    );
  });

  it('that is changed while the operator is down: the same', async () => {
    await cluster.applyRun('asleep');
    await at('asleep', 'pay');
    goOn();
    // Not further: what was in flight is unknown after a hand-over.
    cluster.shop.on('pay', { status: 202 });
    await cluster.stopOperator();
    await cluster.applySaga(short);
    cluster.allWell();
    await cluster.startOperator();
    await cluster.untilPhase('asleep', 'Succeeded');
    expect(cluster.shop.commandsOf('asleep')).to.include('book');
  });

  it('that is deleted: they finish', async () => {
    await cluster.applyRun('bereft');
    await at('bereft', 'pay');
    await cluster.kubectl('delete', 'saga', 'checkout');
    goOn();
    await cluster.untilPhase('bereft', 'Succeeded');
    expect(cluster.shop.commandsOf('bereft')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
  });

  it('that is paused until a time: nothing begins, what is in flight ends, and it goes on by itself', async () => {
    await cluster.applyRun('stopped');
    await at('stopped', 'pay');
    const reason = 'the bank is down';
    const until = new Date(Date.now() + 3_600_000).toISOString();
    await cluster.changeSaga({ pause: { until, reason } });
    await cluster.until('stopped', (run) => conditionOf(run, 'Paused')?.status === 'True');
    goOn();
    const paused = await cluster.until('stopped', ({ status }) => status?.steps?.[1]?.state === 'Succeeded');
    expect(paused.status?.nextAction).to.equal(`nothing until ${until}: the bank is down`);
    await cluster.applyRun('meanwhile');
    const waiting = await cluster.until('meanwhile', (run) => conditionOf(run, 'Paused')?.status === 'True');
    expect(waiting.status?.phase).to.equal('Pending');
    await eventually(
      async () => (await saga()).status?.phase === 'Paused',
      () => 'the saga says that it is paused',
    );
    const shown = await saga();
    expect(shown.status?.conditions?.find(({ type }) => type === 'Paused')).to.include({ status: 'True' });
    expect(shown.status?.conditions?.find(({ type }) => type === 'Paused')?.message).to.contain('the bank is down');
    expect(cluster.shop.commandsOf('stopped')).to.deep.equal(['reserve', 'pay']);
    expect(cluster.shop.commandsOf('meanwhile')).to.deep.equal([]);
    // All was looked at; its end can come.
    const soon = new Date(Date.now() + 1_500).toISOString();
    await cluster.applySaga({ pause: { until: soon, reason } });
    for (const orderId of ['stopped', 'meanwhile']) {
      const run = await cluster.untilPhase(orderId, 'Succeeded');
      expect(conditionOf(run, 'Paused')).to.include({ status: 'False' });
      expect(Date.parse(run.status?.finishedAt ?? '')).to.be.at.least(Date.parse(soon));
    }
    await eventually(
      async () => (await saga()).status?.phase === 'Ready',
      () => 'the saga says that it goes on',
    );
  });

  it('a run alone can be paused, and for years', async () => {
    await cluster.applyRun('alone', { pause: { until: '2199-01-01T00:00:00Z', reason: 'ask the customer' } });
    await cluster.applyRun('other');
    goOn();
    await cluster.untilPhase('other', 'Succeeded');
    const paused = await cluster.until('alone', (run) => conditionOf(run, 'Paused')?.status === 'True');
    expect(paused.status?.nextAction).to.equal('nothing until 2199-01-01T00:00:00Z: ask the customer');
    await cluster.applyRun('alone', { pause: { until: '2198-01-01T00:00:00Z', reason: 'ask again' } });
    await cluster.until(
      'alone',
      ({ status }) => status?.nextAction === 'nothing until 2198-01-01T00:00:00Z: ask again',
    );
    expect(cluster.shop.commandsOf('alone')).to.deep.equal([]);
    await cluster.applyRun('alone');
    await cluster.untilPhase('alone', 'Succeeded');
  });

  it('with maxActive: never more at once, the others wait and say so, and all get their turn', async () => {
    await cluster.applySaga({ maxActive: 2 });
    let active = 0;
    let most = 0;
    cluster.shop.on('reserve', () => {
      active += 1;
      most = Math.max(most, active);
      return OK;
    });
    cluster.shop.on('capture', () => {
      active -= 1;
      return OK;
    });
    // All are there when it starts, so that it looks at many at once.
    await cluster.stopOperator();
    const orders = Array.from({ length: 9 }, (_, index) => `many-${index}`);
    const list = orders.map((orderId) => ({
      apiVersion: 'mercato.dev/v1alpha1',
      ...cluster.runOf(orderId),
      metadata: { name: `checkout-${orderId}`, namespace: cluster.namespace },
    }));
    await cluster.plane.kubectl(['create', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: list }));
    await cluster.startOperator();
    await eventually(
      () => orders.filter((orderId) => cluster.shop.commandsOf(orderId).includes('pay')).length >= 2,
      () => 'two are at work',
    );
    const idle = orders.find((orderId) => cluster.shop.commandsOf(orderId).length === 0) as string;
    const waiting = await cluster.until(idle, ({ status }) => status?.nextAction !== undefined);
    expect(waiting.status?.nextAction).to.equal('it begins when fewer than 2 runs of checkout are active (maxActive)');
    expect(waiting.status?.phase).to.equal('Pending');
    goOn();
    for (const orderId of orders) await cluster.untilPhase(orderId, 'Succeeded');
    expect(most).to.equal(2);
  });

  it('with a time to live for finished runs: they go, and their order is remembered', async () => {
    await cluster.changeSaga({ ttlAfterFinished: { succeeded: '1s' } });
    goOn();
    await cluster.applyRun('short-lived');
    await cluster.untilGone('short-lived');
    expect(cluster.shop.commandsOf('short-lived')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    await cluster.changeSaga({ ttlAfterFinished: { succeeded: '1h' } });
    await cluster.applyRun('short-lived');
    const run = await cluster.untilPhase('short-lived', 'Succeeded');
    expect(conditionOf(run, 'Succeeded')?.reason).to.equal('FinishedBefore');
    expect(cluster.shop.commandsOf('short-lived')).to.have.length(4);
    const pages = await cluster.client.list(configMaps, {
      namespace: cluster.system,
      labelSelector: 'mercato.dev/record=finished',
    });
    expect(pages.items).not.to.deep.equal([]);
  });

  it('whose participant or command is not there: a condition on both, and runs wait', async () => {
    await cluster.changeSaga({ steps: [{ ...SAGA.steps[0], command: 'juggle', uses: [] }] });
    await cluster.applyRun('unknown-command');
    const run = await cluster.until('unknown-command', (seen) => conditionOf(seen, 'Accepted')?.status === 'False');
    const told = 'step reserve uses command juggle, which participant shop does not declare';
    expect(conditionOf(run, 'Accepted')?.reason).to.equal('SagaNotAccepted');
    expect(conditionOf(run, 'Accepted')?.message).to.contain(told);
    await eventually(
      async () => (await saga()).status?.phase === 'NotAccepted',
      () => 'the saga says so',
    );
    const ready = (await saga()).status?.conditions?.find(({ type }) => type === 'Ready');
    expect(ready).to.include({ status: 'False', reason: 'CommandUnknown' });
    expect(ready?.message).to.contain(told);
    goOn();
    await cluster.applySaga();
    await cluster.untilPhase('unknown-command', 'Succeeded');
  });
});
