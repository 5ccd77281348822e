import { expect } from 'chai';
import { BROKEN, conditionOf, DECLINED, OK, SAGA, TestCluster } from '../../testing/cluster.ts';

describe('What follows when a step fails', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => cluster.allWell());

  it('undoes in reverse order what was done, and nothing of the step that declined', async () => {
    cluster.shop.on('book', DECLINED);
    await cluster.applyRun('declined');
    const run = await cluster.untilPhase('declined', 'Compensated');
    expect(cluster.shop.commandsOf('declined')).to.deep.equal(['reserve', 'pay', 'book', 'void', 'release']);
    expect(conditionOf(run, 'Succeeded')).to.include({
      status: 'False',
      reason: 'No',
      message: 'everything was undone after book: insufficient funds',
    });
    expect(conditionOf(run, 'Held')).to.include({ status: 'False', reason: 'NotHeld' });
    expect(run.status?.nextAction).to.equal('nothing: everything was undone, because of No at book');
    expect(run.status?.steps?.map(({ state, compensation }) => [state, compensation?.state])).to.deep.equal([
      ['Succeeded', 'Succeeded'],
      ['Succeeded', 'Succeeded'],
      ['Failed', undefined],
      ['Pending', undefined],
    ]);
    expect(await cluster.exceptionsOf('declined')).to.deep.equal([]);
  });

  it('tells the story in events and in kubectl', async () => {
    expect((await cluster.untilEvent('declined', 'Compensated')).note).to.equal('everything was undone after No');
    expect(await cluster.untilEvent('declined', 'StepFailed')).to.include({
      type: 'Warning',
      note: 'book: No: insufficient funds',
    });
    expect((await cluster.untilEvent('declined', 'Compensating')).type).to.equal('Warning');
    const described = await cluster.kubectl('describe', 'osr', 'checkout-declined');
    expect(described).to.match(/Next Action:\s+nothing: everything was undone, because of No at book/);
    expect(described).to.match(/Warning\s+StepFailed\s.*book: No: insufficient funds/);
    const [heading, row] = (await cluster.kubectl('get', 'osr', 'checkout-declined', '-o', 'wide')).split('\n');
    expect(heading).to.match(/^NAME\s+SAGA\s+ORDER\s+PHASE\s+STEP\s+NEXT\s+MODE\s+HOLD\s+AGE$/);
    expect(row).to.match(/^checkout-declined\s+checkout\s+declined\s+Compensated\s+nothing: everything was undone/);
  });

  it('counts what ended how, and what turned back where', async () => {
    const labels = { namespace: cluster.namespace, saga: 'checkout' };
    expect(await cluster.metric('mercato_saga_runs_finished_total', { ...labels, outcome: 'Compensated' })).to.equal(1);
    expect(
      await cluster.metric('mercato_saga_compensations_total', { ...labels, step: 'book', reason: 'No' }),
    ).to.equal(1);
  });

  it('undoes a step of unknown outcome too, once its attempts are used up', async () => {
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('unknown');
    const run = await cluster.untilPhase('unknown', 'Compensated');
    expect(cluster.shop.commandsOf('unknown')).to.deep.equal([
      ...['reserve', 'pay', 'book', 'book', 'book'],
      ...['unbook', 'void', 'release'],
    ]);
    const keys = cluster.shop.calls.filter(({ key, command }) => key.includes('/unknown/') && command === 'book');
    expect(new Set(keys.map(({ key, epoch }) => `${key} ${epoch}`)).size, 'one key and epoch').to.equal(1);
    const { reason, message } = conditionOf(run, 'Succeeded') ?? {};
    expect(reason).to.equal('StepFailed');
    expect(message).to.match(/^everything was undone after book: attempt 3 of 3: HttpStatus404: .*status 404/);
    expect((await cluster.untilEvent('unknown', 'AttemptFailed')).note).to.match(
      /^book: attempt \d of 3: HttpStatus404/,
    );
  });

  it('says between two attempts when the next one is, and what follows', async () => {
    const patient = SAGA.steps.map((step) => ({
      ...step,
      retry: { maxAttempts: 3, initialInterval: '3s', maxInterval: '30s', backoffPercent: 500, jitterPercent: 0 },
    }));
    await cluster.changeSaga({ steps: patient });
    // A busy machine may miss the first pause; not the second, which is longer.
    let isSeen = false;
    cluster.shop.on('pay', () => (isSeen ? OK : BROKEN));
    await cluster.applyRun('waits');
    const waiting = await cluster.until(
      'waits',
      ({ status }) => status?.nextAction?.includes('attempts left') === true,
    );
    isSeen = true;
    expect(waiting.status?.nextAction).to.match(
      /^pay: pay at shop, at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, after HttpStatus404; [21] of 3 attempts left, then it compensates$/,
    );
    expect(waiting.status).to.include({ phase: 'Running', step: 'pay' });
    await cluster.untilPhase('waits', 'Succeeded');
    await cluster.changeSaga();
  });

  it('holds instead where the definition says so', async () => {
    await cluster.changeSaga({ onStepFailure: 'Hold' });
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('held');
    const run = await cluster.untilPhase('held', 'Held');
    await cluster.changeSaga();
    expect(cluster.shop.commandsOf('held')).to.deep.equal(['reserve', 'pay', 'book', 'book', 'book']);
    expect(run.status).to.include({ holdReason: 'StepFailed', step: 'book' });
    expect(conditionOf(run, 'Held')).to.include({ status: 'True', reason: 'StepFailed' });
    expect(conditionOf(run, 'Succeeded')).to.include({ status: 'Unknown', reason: 'Held' });
    expect(run.status?.nextAction).to.contain(
      `a person decides hold ${run.status?.holdId} (StepFailed): set spec.decision to Retry, Skip, Compensate or Abort. book: attempt 3 of 3`,
    );
    expect((await cluster.untilEvent('held', 'Held')).type).to.equal('Warning');
    expect(await cluster.metric('mercato_saga_holds_total', { step: 'book', reason: 'StepFailed' })).to.equal(1);
    const wide = await cluster.kubectl('get', 'osr', 'checkout-held', '-o', 'wide');
    expect(wide, 'the hold that a decision must name').to.contain(` ${run.status?.holdId} `);
  });

  it('holds past the pivot, whatever the definition says, and undoes nothing', async () => {
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('past');
    const run = await cluster.untilPhase('past', 'Held');
    expect(cluster.shop.commandsOf('past')).to.deep.equal(['reserve', 'pay', 'book', 'capture', 'capture', 'capture']);
    expect(run.status?.nextAction).to.contain('set spec.decision to Retry, Skip or Abort. capture: attempt 3 of 3');
  });

  it('undoes everything when the pivot itself declines', async () => {
    cluster.shop.on('capture', DECLINED);
    await cluster.applyRun('pivot-declined');
    await cluster.untilPhase('pivot-declined', 'Compensated');
    expect(cluster.shop.commandsOf('pivot-declined')).to.deep.equal([
      ...['reserve', 'pay', 'book', 'capture'],
      ...['unbook', 'void', 'release'],
    ]);
  });

  it('holds when a compensation cannot succeed', async () => {
    cluster.shop.on('book', DECLINED);
    cluster.shop.on('void', DECLINED);
    await cluster.applyRun('stuck');
    const run = await cluster.untilPhase('stuck', 'Held');
    expect(cluster.shop.commandsOf('stuck')).to.deep.equal(['reserve', 'pay', 'book', 'void']);
    expect(run.status).to.include({ holdReason: 'CompensationFailed', step: 'pay' });
    expect(run.status?.nextAction).to.contain('set spec.decision to Retry, Skip or Abort. pay cannot be undone: No');
  });
});
