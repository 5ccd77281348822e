import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { BROKEN, conditionOf, eventually, OK, TestCluster } from '../../testing/cluster.ts';

describe('A status edited by hand', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let goOn: () => void;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga();
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => {
    cluster.allWell();
    const { promise, resolve } = Promise.withResolvers<void>();
    goOn = resolve;
    cluster.shop.on('pay', async () => {
      await promise;
      return OK;
    });
  });
  afterEach(() => goOn());

  async function edit(orderId: string, status: object): Promise<void> {
    const place = { namespace: cluster.namespace, name: `checkout-${orderId}` };
    await cluster.client.patchStatus<OrderSagaRun>(orderSagaRuns, place, { status } as object);
  }

  /** A run in mid-step, its progress written. */
  async function working(orderId: string): Promise<void> {
    await cluster.applyRun(orderId);
    await cluster.until(orderId, ({ status }) => status?.steps?.[0]?.state === 'Succeeded');
  }

  const damaged = (orderId: string): Promise<OrderSagaRun> =>
    cluster.until(orderId, ({ status }) => status?.phase === 'Held' && status.holdReason === 'JournalDamaged');

  it('while the run is driven: it is held once, what was known is written again, and Retry goes on from there', async () => {
    await working('driven');
    const holds = await cluster.metric('mercato_saga_holds_total', { reason: 'JournalDamaged' });
    await edit('driven', { phase: 'Succeeded' });
    const run = await damaged('driven');
    expect(conditionOf(run, 'Held')).to.include({ status: 'True', reason: 'JournalDamaged' });
    expect(conditionOf(run, 'Held')?.message).to.contain('the status was edited');
    expect(run.status?.nextAction).to.contain('set spec.decision to Retry, Compensate or Abort.');
    expect(run.status?.steps?.[0]).to.include({ name: 'reserve', state: 'Succeeded' });
    expect((await cluster.untilEvent('driven', 'Held')).type).to.equal('Warning');
    goOn();
    const settled = await cluster.until('driven', ({ status }) => status?.steps?.[1]?.state === 'Succeeded');
    expect(settled.status, 'an answer changes nothing about the hold').to.include({
      phase: 'Held',
      holdId: run.status?.holdId,
    });
    expect(cluster.shop.commandsOf('driven')).to.deep.equal(['reserve', 'pay']);
    await cluster.decide('driven', { holdId: run.status?.holdId, do: 'Retry' });
    await cluster.untilPhase('driven', 'Succeeded');
    expect(cluster.shop.commandsOf('driven')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    expect(await cluster.metric('mercato_saga_holds_total', { reason: 'JournalDamaged' })).to.equal(holds + 1);
  });

  it('while the run is driven: Compensate undoes what was done', async () => {
    await working('driven-back');
    await edit('driven-back', { steps: [] });
    const run = await damaged('driven-back');
    goOn();
    await cluster.decide('driven-back', { holdId: run.status?.holdId, do: 'Compensate' });
    await cluster.untilPhase('driven-back', 'Compensated');
    expect(cluster.shop.commandsOf('driven-back')).to.deep.equal(['reserve', 'pay', 'void', 'release']);
  });

  it('while the run is driven: Skip is refused, since no single step is in doubt; Abort leaves a record', async () => {
    await working('driven-aborted');
    await edit('driven-aborted', { journal: '{}' });
    const { status } = await damaged('driven-aborted');
    await cluster.decide('driven-aborted', { holdId: status?.holdId, do: 'Skip' });
    const refused = await cluster.until('driven-aborted', (run) => conditionOf(run, 'DecisionAccepted') !== undefined);
    expect(conditionOf(refused, 'DecisionAccepted')?.message).to.contain('decide Retry, Compensate or Abort');
    await cluster.decide('driven-aborted', { holdId: status?.holdId, do: 'Abort' });
    await cluster.untilPhase('driven-aborted', 'Aborted');
    expect((await cluster.untilExceptions('driven-aborted', 2)).map(({ data }) => data?.['step']).sort()).to.deep.equal(
      ['pay', 'reserve'],
    );
  });

  it('wiped while the run is driven: it is written again, and the run goes on', async () => {
    await working('wiped');
    await cluster.kubectl(
      ...['patch', 'osr', 'checkout-wiped', '--subresource=status', '--type=json'],
      ...['-p', '[{"op":"remove","path":"/status"}]'],
    );
    goOn();
    await cluster.untilPhase('wiped', 'Succeeded');
    expect(cluster.shop.commandsOf('wiped')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
  });

  it('of a finished run: it is not carried out again', async () => {
    goOn();
    await cluster.applyRun('finished');
    await cluster.untilPhase('finished', 'Succeeded');
    await edit('finished', { phase: 'Running' });
    const run = await cluster.until('finished', (seen) => conditionOf(seen, 'Succeeded')?.reason === 'FinishedBefore');
    expect(run.status?.phase).to.equal('Succeeded');
    expect(cluster.shop.commandsOf('finished')).to.have.length(4);
  });

  it('while the operator was down: nothing of it is believed, nothing is undone by itself', async () => {
    for (const orderId of ['down-retry', 'down-abort', 'down-phase']) await working(orderId);
    await cluster.stopOperator();
    goOn();
    cluster.allWell();
    await edit('down-retry', { steps: [] });
    await edit('down-abort', { revision: 'nonsense' });
    await edit('down-phase', { phase: 'Succeeded' });
    const calls = cluster.shop.calls.length;
    await cluster.startOperator();
    const run = await damaged('down-retry');
    expect(run.status?.steps?.map(({ state }) => state)).to.deep.equal(Array(4).fill('Unknown'));
    expect(run.status?.nextAction, 'it may be past the pivot').to.contain('set spec.decision to Retry or Abort.');
    expect((await damaged('down-phase')).status?.phase, 'the phase that it claimed').to.equal('Held');
    expect(cluster.shop.calls).to.have.length(calls);
    await cluster.decide('down-retry', { holdId: run.status?.holdId, do: 'Compensate' });
    const refused = await cluster.until('down-retry', (seen) => conditionOf(seen, 'DecisionAccepted') !== undefined);
    expect(conditionOf(refused, 'DecisionAccepted')?.message).to.contain(
      'the pivot was sent and may have taken effect',
    );
    await cluster.decide('down-retry', { holdId: run.status?.holdId, do: 'Retry' });
    await cluster.untilPhase('down-retry', 'Succeeded');
    expect(
      new Set(cluster.shop.calls.filter(({ key }) => key.includes('/down-retry/')).map(({ epoch }) => epoch)),
    ).to.deep.equal(new Set([1]));
  });

  it('so that its revision is none: it is held as well, and Abort leaves a record of all that may be in place', async () => {
    const { status } = await damaged('down-abort');
    expect(cluster.shop.commandsOf('down-abort')).not.to.include.members(['book', 'void', 'release']);
    await cluster.decide('down-abort', { holdId: status?.holdId, do: 'Abort' });
    await cluster.untilPhase('down-abort', 'Aborted');
    const records = await cluster.untilExceptions('down-abort', 4);
    expect(records.map(({ data }) => data?.['state'])).to.deep.equal(Array(4).fill('Unknown'));
  });

  it('by a person who also holds a decision: the hold of a step gives way to the doubt', async () => {
    await cluster.changeSaga({ onStepFailure: 'Hold' });
    goOn();
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('both');
    const first = await cluster.untilPhase('both', 'Held');
    await edit('both', { holdId: 'mine' });
    const second = await damaged('both');
    expect(second.status?.holdId).not.to.equal(first.status?.holdId);
    cluster.allWell();
    await cluster.decide('both', { holdId: second.status?.holdId, do: 'Retry' });
    await cluster.untilPhase('both', 'Succeeded');
    await cluster.applySaga();
    await eventually(
      () => cluster.shop.commandsOf('both').at(-1) === 'capture',
      () => 'it went on from where it was held',
    );
  });
});
