import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { BROKEN, conditionOf, DECLINED, OK, TestCluster } from '../../testing/cluster.ts';

describe('A decision on a held run', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga({ onStepFailure: 'Hold' });
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => cluster.allWell());

  /** A run that is held at a step, and the participant well again. */
  async function heldAt(step: string, orderId: string): Promise<OrderSagaRun> {
    cluster.shop.on(step, BROKEN);
    await cluster.applyRun(orderId);
    const run = await cluster.untilPhase(orderId, 'Held');
    cluster.allWell();
    return run;
  }

  const epochsOf = (orderId: string, command: string): number[] =>
    cluster.shop.calls
      .filter((call) => call.key.includes(`/${orderId}/`) && call.command === command)
      .map(({ epoch }) => epoch);

  it('Retry sends the step again with the next epoch', async () => {
    const { status } = await heldAt('book', 'retried');
    await cluster.decide('retried', { holdId: status?.holdId, do: 'Retry', step: 'book' });
    const run = await cluster.untilPhase('retried', 'Succeeded');
    expect(epochsOf('retried', 'book')).to.deep.equal([1, 1, 1, 2]);
    expect(epochsOf('retried', 'pay')).to.deep.equal([1]);
    expect(run.status?.observedDecision).to.include({ holdId: status?.holdId, do: 'Retry', outcome: 'Accepted' });
    expect(conditionOf(run, 'DecisionAccepted')).to.include({ status: 'True', reason: 'RetryAccepted' });
    expect(conditionOf(run, 'Held')).to.include({ status: 'False' });
    expect(run.status).not.to.have.property('holdId');
    expect((await cluster.untilEvent('retried', 'DecisionAccepted')).note).to.equal('Retry: admin: the test says so');
    expect(await cluster.exceptionsOf('retried')).to.deep.equal([]);
  });

  it('Retry that fails again is another hold, and needs another decision', async () => {
    const first = await heldAt('book', 'again');
    cluster.shop.on('book', BROKEN);
    await cluster.decide('again', { holdId: first.status?.holdId, do: 'Retry' });
    const second = await cluster.until(
      'again',
      ({ status }) => status?.phase === 'Held' && status.holdId !== first.status?.holdId,
    );
    expect(second.status?.holdId).to.match(/^2-/);
    cluster.allWell();
    const before = cluster.shop.commandsOf('again').length;
    // The same words again are no decision on the second hold.
    await cluster.decide('again', { holdId: first.status?.holdId, do: 'Retry', reason: 'once more' });
    await cluster.until('again', ({ metadata, status }) => status?.observedGeneration === metadata.generation);
    expect(cluster.shop.commandsOf('again')).to.have.length(before);
    await cluster.decide('again', { holdId: second.status?.holdId, do: 'Retry' });
    await cluster.untilPhase('again', 'Succeeded');
    expect(epochsOf('again', 'book').slice(-1)).to.deep.equal([3]);
  });

  it('of two people at once is the first; the second hears so', async () => {
    const { status } = await heldAt('book', 'twice');
    cluster.shop.on('capture', { status: 202, retryAfter: '1' });
    await cluster.decide('twice', { holdId: status?.holdId, do: 'Retry' });
    await cluster.until('twice', (run) => run.status?.observedDecision?.outcome === 'Accepted');
    await cluster.decide('twice', { holdId: status?.holdId, do: 'Abort' });
    const event = await cluster.untilEvent('twice', 'DecisionTooLate');
    expect(event.note).to.equal(`Abort by admin: the run has followed Retry for hold ${status?.holdId} already`);
    cluster.allWell();
    await cluster.untilPhase('twice', 'Succeeded');
  });

  it('Skip with outputs goes on with them, keeps the step registered, and leaves a record', async () => {
    const { status } = await heldAt('reserve', 'skipped');
    cluster.shop.on('capture', DECLINED);
    await cluster.decide('skipped', {
      holdId: status?.holdId,
      do: 'Skip',
      outputs: { reservationId: 'r-by-hand' },
      reason: 'reserved by hand',
    });
    const run = await cluster.untilPhase('skipped', 'Compensated');
    const book = cluster.shop.calls.find(({ key, command }) => key.includes('/skipped/') && command === 'book');
    expect(book?.body).to.deep.equal({ reservationId: 'r-by-hand' });
    // It may have taken effect before it was skipped.
    expect(cluster.shop.commandsOf('skipped').slice(-3)).to.deep.equal(['unbook', 'void', 'release']);
    expect(run.status?.givenUp).to.deep.equal([
      { decision: 'Skip', kind: 'action', step: 'reserve', state: 'Unknown', by: 'admin', reason: 'reserved by hand' },
    ]);
    const [record, ...more] = await cluster.untilExceptions('skipped', 1);
    expect(more).to.deep.equal([]);
    expect(record?.immutable).to.equal(true);
    expect(record?.data).to.include({
      run: `${cluster.namespace}/checkout/skipped`,
      decision: 'Skip',
      step: 'reserve',
      by: 'admin',
      reason: 'reserved by hand',
    });
    expect(await cluster.metric('mercato_saga_exceptions_total', { decision: 'Skip' })).to.equal(1);
  });

  it('Skip without the outputs that later steps use is refused, and may be amended', async () => {
    const { status } = await heldAt('reserve', 'amended');
    const { holdId } = status ?? {};
    const calls = cluster.shop.commandsOf('amended').length;
    await cluster.decide('amended', { holdId, do: 'Skip' });
    const refused = await cluster.until('amended', (run) => conditionOf(run, 'DecisionAccepted')?.status === 'False');
    expect(conditionOf(refused, 'DecisionAccepted')).to.include({
      reason: 'SkipRefused',
      message: 'later steps use outputs of reserve: supply reservationId in decision.outputs',
    });
    expect(refused.status).to.include({ phase: 'Held', holdId });
    expect(await cluster.untilEvent('amended', 'DecisionRefused')).to.include({ type: 'Warning' });
    expect(cluster.shop.commandsOf('amended')).to.have.length(calls);
    expect(await cluster.exceptionsOf('amended')).to.deep.equal([]);
    await cluster.decide('amended', { holdId, do: 'Skip', outputs: { reservationId: 'r-9' } });
    const run = await cluster.untilPhase('amended', 'Succeeded');
    expect(conditionOf(run, 'DecisionAccepted')).to.include({ status: 'True', reason: 'SkipAccepted' });
  });

  it('Compensate undoes everything, the held step of unknown outcome first', async () => {
    const { status } = await heldAt('book', 'undone');
    await cluster.decide('undone', { holdId: status?.holdId, do: 'Compensate' });
    const run = await cluster.untilPhase('undone', 'Compensated');
    expect(cluster.shop.commandsOf('undone').slice(-3)).to.deep.equal(['unbook', 'void', 'release']);
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'False', reason: 'Decided' });
  });

  it('Compensate past the pivot is refused with what is possible', async () => {
    const { status } = await heldAt('capture', 'too-late');
    await cluster.decide('too-late', { holdId: status?.holdId, do: 'Compensate' });
    const run = await cluster.until('too-late', (seen) => conditionOf(seen, 'DecisionAccepted')?.status === 'False');
    expect(conditionOf(run, 'DecisionAccepted')?.message).to.contain(
      'can only go forward (Retry, Skip) or end where it is (Abort)',
    );
    expect(cluster.shop.commandsOf('too-late')).not.to.include('unbook');
  });

  it('Abort ends it where it is, with a record of all that may be in place', async () => {
    const { status } = await heldAt('book', 'aborted');
    await cluster.decide('aborted', { holdId: status?.holdId, do: 'Abort', reason: 'settled by telephone' });
    const run = await cluster.untilPhase('aborted', 'Aborted');
    const records = await cluster.untilExceptions('aborted', 3);
    expect(records.map(({ data }) => [data?.['step'], data?.['state']]).sort()).to.deep.equal([
      ['book', 'Unknown'],
      ['pay', 'Succeeded'],
      ['reserve', 'Succeeded'],
    ]);
    expect(records[0]?.data).to.include({ decision: 'Abort', by: 'admin', reason: 'settled by telephone' });
    expect(run.status?.givenUp).to.have.length(3);
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'False', reason: 'Aborted' });
    expect(run.status?.nextAction).to.equal('nothing: it was aborted, see the exception record');
    expect(cluster.shop.commandsOf('aborted')).to.deep.equal(['reserve', 'pay', 'book', 'book', 'book']);
    expect((await cluster.untilEvent('aborted', 'Aborted')).type).to.equal('Warning');
  });

  it('for another hold is refused with a condition and changes nothing', async () => {
    const { status } = await heldAt('book', 'stale');
    await cluster.decide('stale', { holdId: '1-other', do: 'Abort' });
    const run = await cluster.until('stale', (seen) => conditionOf(seen, 'DecisionAccepted') !== undefined);
    expect(conditionOf(run, 'DecisionAccepted')).to.include({
      status: 'False',
      reason: 'AbortRefused',
      message: `it names hold 1-other, the run is in hold ${status?.holdId}: look at the run again and decide anew`,
    });
    expect(run.status).to.include({ phase: 'Held', holdId: status?.holdId });
    expect(run.status?.nextAction).to.contain(`hold ${status?.holdId}`);
  });

  it('for another step is refused', async () => {
    const { status } = await heldAt('book', 'elsewhere');
    await cluster.decide('elsewhere', { holdId: status?.holdId, do: 'Retry', step: 'pay' });
    const run = await cluster.until('elsewhere', (seen) => conditionOf(seen, 'DecisionAccepted') !== undefined);
    expect(conditionOf(run, 'DecisionAccepted')).to.include({
      status: 'False',
      message: 'it names step pay, the run is held at book',
    });
  });

  it('on a run that is not held is refused, and the run goes on', async () => {
    let answer: () => void = () => undefined;
    const wait = new Promise<void>((resolve) => {
      answer = resolve;
    });
    cluster.shop.on('pay', async () => {
      await wait;
      return OK;
    });
    await cluster.applyRun('unheld');
    await cluster.until('unheld', () => cluster.shop.commandsOf('unheld').includes('pay'));
    await cluster.decide('unheld', { holdId: '1-none', do: 'Abort' });
    const run = await cluster.until('unheld', (seen) => conditionOf(seen, 'DecisionAccepted') !== undefined);
    answer();
    expect(conditionOf(run, 'DecisionAccepted')).to.include({
      status: 'False',
      message: 'the run is not held: there is nothing to decide',
    });
    await cluster.untilPhase('unheld', 'Succeeded');
  });

  it('on a finished run is refused, and what was is kept', async () => {
    await cluster.applyRun('over');
    await cluster.untilPhase('over', 'Succeeded');
    await cluster.decide('over', { holdId: '1-none', do: 'Abort' });
    const run = await cluster.until('over', (seen) => conditionOf(seen, 'DecisionAccepted') !== undefined);
    expect(conditionOf(run, 'DecisionAccepted')).to.include({ status: 'False', reason: 'AbortRefused' });
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'True' });
    expect(run.status?.phase).to.equal('Succeeded');
    expect(run.status?.nextAction).to.equal('nothing: every step succeeded');
    expect(run.status?.observedGeneration).to.equal(run.metadata.generation);
    expect(await cluster.exceptionsOf('over')).to.deep.equal([]);
  });

  it('that was taken is not taken again when the object is applied once more', async () => {
    const { status } = await heldAt('book', 'repeated');
    const decision = { holdId: status?.holdId, do: 'Retry', reason: 'again', by: 'admin' };
    await cluster.applyRun('repeated', { decision });
    await cluster.untilPhase('repeated', 'Succeeded');
    const calls = cluster.shop.commandsOf('repeated').length;
    const { metadata } = (await cluster.run('repeated')) as OrderSagaRun;
    await cluster.applyRun('repeated', { decision: { ...decision, reason: 'said otherwise' } });
    await cluster.until('repeated', (run) => run.metadata.resourceVersion !== metadata.resourceVersion);
    expect(cluster.shop.commandsOf('repeated')).to.have.length(calls);
    expect(await cluster.condition('repeated', 'DecisionAccepted')).to.include({ status: 'True' });
  });

  it('on a compensation that failed: Retry with its next epoch, Skip with a record', async () => {
    await cluster.changeSaga();
    for (const orderId of ['back-retried', 'back-skipped']) {
      cluster.shop.on('book', DECLINED);
      cluster.shop.on('void', DECLINED);
      await cluster.applyRun(orderId);
      const { status } = await cluster.untilPhase(orderId, 'Held');
      cluster.allWell();
      await cluster.decide(orderId, { holdId: status?.holdId, do: orderId === 'back-retried' ? 'Retry' : 'Skip' });
      await cluster.untilPhase(orderId, 'Compensated');
    }
    expect(epochsOf('back-retried', 'void')).to.deep.equal([1, 2]);
    expect(epochsOf('back-skipped', 'void')).to.deep.equal([1]);
    expect(await cluster.exceptionsOf('back-retried')).to.deep.equal([]);
    const [record] = await cluster.untilExceptions('back-skipped', 1);
    expect(record?.data).to.include({ decision: 'Skip', kind: 'compensation', step: 'pay' });
    const skipped = await cluster.run('back-skipped');
    expect(skipped?.status?.steps?.[1]?.compensation?.state).to.equal('GivenUp');
  });
});
