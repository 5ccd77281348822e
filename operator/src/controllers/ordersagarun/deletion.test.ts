import { expect } from 'chai';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { BROKEN, conditionOf, eventually, OK, TestCluster } from '../../testing/cluster.ts';
import { FINALIZER } from './run.ts';

describe('Deleting a run', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => cluster.allWell());

  /** A run whose step waits until the test lets it go on. */
  async function waitingAt(step: string, orderId: string): Promise<() => void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.shop.on(step, async () => {
      await promise;
      return OK;
    });
    await cluster.applyRun(orderId);
    await eventually(
      () => cluster.shop.commandsOf(orderId).includes(step),
      () => `${step} of ${orderId} is sent`,
    );
    return resolve;
  }

  it('before the pivot undoes what was done, then lets it go', async () => {
    const goOn = await waitingAt('book', 'early');
    await cluster.deleteRun('early');
    const event = await cluster.untilEvent('early', 'Compensating');
    expect(event.note).to.equal('Cancelled: its object was deleted');
    goOn();
    await cluster.untilGone('early');
    expect(cluster.shop.commandsOf('early')).to.deep.equal(['reserve', 'pay', 'book', 'unbook', 'void', 'release']);
    expect(await cluster.exceptionsOf('early')).to.deep.equal([]);
    expect(await cluster.metric('mercato_saga_compensations_total', { reason: 'Cancelled' })).to.equal(1);
  });

  it('after the pivot finishes forward, then lets it go', async () => {
    const goOn = await waitingAt('capture', 'late');
    await cluster.deleteRun('late');
    expect((await cluster.untilEvent('late', 'CancelTooLate')).note).to.contain('the run goes on to its end');
    expect(await cluster.run('late'), 'it waits for its end').not.to.equal(undefined);
    goOn();
    await cluster.untilGone('late');
    expect(cluster.shop.commandsOf('late')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    expect((await cluster.untilEvent('late', 'Succeeded')).type).to.equal('Normal');
  });

  it('that has finished lets it go at once, and remembers the order', async () => {
    await cluster.applyRun('done');
    await cluster.untilPhase('done', 'Succeeded');
    await cluster.deleteRun('done');
    await cluster.untilGone('done');
    const calls = cluster.shop.commandsOf('done').length;
    await cluster.applyRun('done');
    const run = await cluster.untilPhase('done', 'Succeeded');
    expect(cluster.shop.commandsOf('done')).to.have.length(calls);
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'True', reason: 'FinishedBefore' });
    expect(run.status?.nextAction).to.equal('nothing: order done has succeeded before; it is not carried out again');
    expect((await cluster.untilEvent('done', 'FinishedBefore')).type).to.equal('Warning');
  });

  it('that is held before the pivot waits for nobody: it compensates', async () => {
    await cluster.changeSaga({ onStepFailure: 'Hold' });
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('held');
    await cluster.untilPhase('held', 'Held');
    cluster.allWell();
    await cluster.deleteRun('held');
    await cluster.untilGone('held');
    await cluster.changeSaga();
    expect(cluster.shop.commandsOf('held').slice(-3)).to.deep.equal(['unbook', 'void', 'release']);
  });

  it('that is held past the pivot waits for a decision, and says so', async () => {
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held-late');
    const { status } = await cluster.untilPhase('held-late', 'Held');
    await cluster.deleteRun('held-late');
    const waiting = await cluster.until('held-late', ({ metadata }) => metadata.deletionTimestamp !== undefined);
    expect(waiting.status?.nextAction).to.contain(`a person decides hold ${status?.holdId}`);
    cluster.allWell();
    await cluster.decide('held-late', { holdId: status?.holdId, do: 'Abort' });
    await cluster.untilGone('held-late');
    expect((await cluster.untilExceptions('held-late', 4)).map(({ data }) => data?.['step']).sort()).to.deep.equal([
      'book',
      'capture',
      'pay',
      'reserve',
    ]);
  });

  it('that never began lets it go at once', async () => {
    await cluster.apply({
      ...cluster.runOf('orphan'),
      metadata: { name: 'missing-orphan' },
      spec: { ...cluster.runOf('orphan').spec, sagaRef: { name: 'missing' } },
    });
    const place = { namespace: cluster.namespace, name: 'missing-orphan' };
    await eventually(
      async () => conditionOf(await cluster.client.get(orderSagaRuns, place), 'Accepted')?.reason === 'SagaNotFound',
      () => 'it says that there is no saga',
    );
    const run = await cluster.client.get(orderSagaRuns, place);
    expect(conditionOf(run, 'Accepted')).to.include({
      status: 'False',
      message: `there is no OrderSaga missing in namespace ${cluster.namespace}: apply it, and the run begins`,
    });
    expect(run.status?.phase).to.equal('Pending');
    await cluster.kubectl('delete', 'osr', 'missing-orphan', '--timeout=30s');
  });

  it('that may have begun, but has neither status nor saga any more, lets it go with a record', async () => {
    const { kind, spec } = cluster.runOf('lost');
    const metadata = { name: 'missing-lost', finalizers: [FINALIZER] };
    await cluster.apply({ kind, metadata, spec: { ...spec, sagaRef: { name: 'missing' } } });
    await cluster.kubectl('delete', 'osr', 'missing-lost', '--timeout=30s');
    const [record] = await cluster.untilExceptions('lost', 1);
    expect(record?.data).to.include({ decision: 'LetGo', state: 'Unknown', step: '-' });
    expect(record?.data?.['reason']).to.match(/^there is no OrderSaga missing .*; its status is lost$/);
  });

  it('while it waits for its saga does not keep it from beginning once the saga is there', async () => {
    await cluster.deleteSaga();
    await cluster.applyRun('patient');
    await cluster.until('patient', (run) => conditionOf(run, 'Accepted')?.reason === 'SagaNotFound');
    await cluster.applySaga();
    const run = await cluster.untilPhase('patient', 'Succeeded');
    expect(conditionOf(run, 'Accepted')).to.include({ status: 'True', reason: 'Accepted' });
  });
});
