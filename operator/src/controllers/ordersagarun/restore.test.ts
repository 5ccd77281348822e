import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { isConflict } from '../../kube/errors.ts';
import { BROKEN, conditionOf, eventually, OK, TestCluster } from '../../testing/cluster.ts';
import type { Call, Reply } from '../../testing/participant.ts';
import { FINALIZER } from './run.ts';

describe('A run whose object was lost', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let goOn: () => void;
  /** Distinct keys and epochs that came in: how many effects a participant that keeps its promises would have had. */
  const effects = (orderId: string): string[] => [
    ...new Set(
      cluster.shop.calls
        .filter(({ key }) => key.split('/')[2] === orderId)
        .map(({ command, epoch }) => `${command} ${epoch}`),
    ),
  ];

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
    waitFor('pay', promise);
  });
  afterEach(() => goOn());

  function waitFor(command: string, promise: Promise<void>): void {
    cluster.shop.on(command, async (): Promise<Reply> => {
      await promise;
      return OK;
    });
  }

  const at = (orderId: string, command: string, count = 1): Promise<void> =>
    eventually(
      () => cluster.shop.commandsOf(orderId).filter((name) => name === command).length >= count,
      () => `${command} of ${orderId} is sent`,
    );

  /**
   * Takes the object away without a word, as who restores etcd does: its finalizer first, and then, if the operator has not put that back meanwhile, the object.
   * One that was deleted while it had its finalizer would be a cancel to an operator that sees it in between.
   */
  async function tearAway(orderId: string): Promise<OrderSagaRun> {
    const place = { namespace: cluster.namespace, name: `checkout-${orderId}` };
    const run = (await cluster.run(orderId)) as OrderSagaRun;
    await eventually(
      async () => {
        try {
          const bare = await cluster.client.patch<OrderSagaRun>(orderSagaRuns, place, { metadata: { finalizers: [] } });
          const { resourceVersion } = bare.metadata;
          await cluster.client.delete(orderSagaRuns, place, resourceVersion === undefined ? {} : { resourceVersion });
          return true;
        } catch (error) {
          if (!isConflict(error)) throw error;
          return false;
        }
      },
      () => `${orderId} is torn away`,
    );
    return run;
  }

  it('and is applied again under a new uid goes on where it was', async () => {
    await cluster.applyRun('torn');
    await at('torn', 'pay');
    const before = await tearAway('torn');
    await cluster.applyRun('torn');
    const again = await cluster.run('torn');
    expect(again?.metadata.uid).not.to.equal(before.metadata.uid);
    goOn();
    await cluster.untilPhase('torn', 'Succeeded');
    expect(effects('torn')).to.deep.equal(['reserve 1', 'pay 1', 'book 1', 'capture 1']);
  });

  it('and is not applied again: it stops, and what may be in place is on record', async () => {
    const dropped = await cluster.metric('mercato_saga_runs_dropped_total', { why: 'Gone' });
    await cluster.applyRun('gone');
    await at('gone', 'pay');
    await tearAway('gone');
    const records = await cluster.untilExceptions('gone', 2);
    goOn();
    expect(records.map(({ data }) => `${data?.['step']} ${data?.['state']}`).sort()).to.deep.equal([
      'pay InFlight',
      'reserve Succeeded',
    ]);
    expect(records[0]?.data).to.include({
      decision: 'LetGo',
      reason: 'its object was removed while it was in flight',
    });
    expect(cluster.shop.commandsOf('gone'), 'the intent of the pivot could not be written').not.to.include('capture');
    await eventually(
      async () => (await cluster.metric('mercato_saga_runs_dropped_total', { why: 'Gone' })) === dropped + 1,
      () => 'it is counted',
    );
  });

  it('while it was held: applied again it is held again, and can be decided', async () => {
    goOn();
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held');
    const { status } = await cluster.untilPhase('held', 'Held');
    await tearAway('held');
    await cluster.applyRun('held');
    const run = await cluster.untilPhase('held', 'Held');
    expect(run.status?.holdId).to.equal(status?.holdId);
    cluster.allWell();
    await cluster.decide('held', { holdId: status?.holdId, do: 'Retry' });
    await cluster.untilPhase('held', 'Succeeded');
    expect(effects('held').slice(-1)).to.deep.equal(['capture 2']);
  });

  it('for good while it was held: that is found out, and is on record', async () => {
    goOn();
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held-gone');
    await cluster.untilPhase('held-gone', 'Held');
    await tearAway('held-gone');
    await cluster.untilExceptions('held-gone', 4);
    await eventually(
      async () => (await cluster.metric('mercato_saga_runs_active')) === 0,
      () => 'nobody drives it any more',
    );
  });

  it('in a restore of everything without status: the unfinished are the runs they were, the finished stay finished', async () => {
    goOn();
    await cluster.applyRun('finished');
    await cluster.untilPhase('finished', 'Succeeded');
    cluster.shop.on('book', { status: 202 });
    const restored = ['half', 'half-done', 'half-again'];
    for (const orderId of restored) await cluster.applyRun(orderId);
    for (const orderId of restored) await at(orderId, 'book');
    await cluster.stopOperator();
    const backup = [];
    for (const orderId of [...restored, 'finished']) {
      const { apiVersion, kind, metadata, spec } = await tearAway(orderId);
      const { name, namespace, finalizers } = metadata;
      backup.push({ apiVersion, kind, metadata: { name, namespace, finalizers }, spec });
    }
    await cluster.plane.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items: backup }),
    );
    cluster.allWell();
    const finished = cluster.shop.commandsOf('finished').length;
    await cluster.startOperator();
    for (const orderId of restored) {
      await cluster.untilPhase(orderId, 'Succeeded');
      expect(effects(orderId), 'the same keys and epochs').to.deep.equal(['reserve 1', 'pay 1', 'book 1', 'capture 1']);
    }
    const again = await cluster.untilPhase('finished', 'Succeeded');
    expect(conditionOf(again, 'Succeeded')?.reason).to.equal('FinishedBefore');
    expect(cluster.shop.commandsOf('finished')).to.have.length(finished);
  });

  it('and turns back after a restore: whatever its earlier life may have done is undone', async () => {
    goOn();
    cluster.shop.on('book', { status: 202 });
    await cluster.applyRun('back');
    await at('back', 'book');
    await cluster.stopOperator();
    const { apiVersion, kind, metadata, spec } = await tearAway('back');
    const { name, namespace, finalizers } = metadata;
    await cluster.plane.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion, kind, metadata: { name, namespace, finalizers }, spec }),
    );
    expect(finalizers).to.include(FINALIZER);
    cluster.allWell();
    // The first step cannot be repeated now: the run turns back before it comes to the others again.
    cluster.shop.on('reserve', BROKEN);
    await cluster.startOperator();
    await cluster.untilPhase('back', 'Compensated');
    expect(cluster.shop.commandsOf('back').slice(-3)).to.deep.equal(['unbook', 'void', 'release']);
  });

  it('the same while the operator runs', async () => {
    goOn();
    cluster.shop.on('book', BROKEN);
    await cluster.changeSaga({ onStepFailure: 'Hold' });
    await cluster.applyRun('live');
    await cluster.untilPhase('live', 'Held');
    const { apiVersion, kind, metadata, spec } = await tearAway('live');
    const { name, namespace, finalizers } = metadata;
    await cluster.plane.kubectl(
      ['create', '-f', '-'],
      JSON.stringify({ apiVersion, kind, metadata: { name, namespace, finalizers }, spec }),
    );
    await cluster.untilPhase('live', 'Held');
    await cluster.applySaga();
    await cluster.deleteRun('live');
    cluster.allWell();
    await cluster.untilGone('live');
    expect(cluster.shop.commandsOf('live').slice(-3)).to.deep.equal(['unbook', 'void', 'release']);
  });

  it('is told apart from another run of the same order id in another saga', async () => {
    goOn();
    await cluster.apply({
      kind: 'OrderSaga',
      metadata: { name: 'other' },
      spec: { steps: [{ name: 'only', participant: 'shop', command: 'reserve', uses: [] }] },
    });
    await cluster.apply({
      ...cluster.runOf('torn'),
      metadata: { name: 'other-torn' },
      spec: { ...cluster.runOf('torn').spec, sagaRef: { name: 'other' } },
    });
    await eventually(
      async () =>
        (await cluster.client.get(orderSagaRuns, { namespace: cluster.namespace, name: 'other-torn' })).status
          ?.phase === 'Succeeded',
      () => 'it is carried out',
    );
    const keyed = (call: Call): boolean => call.key === `${cluster.namespace}/other/torn/only/action`;
    expect(cluster.shop.calls.filter(keyed)).to.have.length(1);
  });
});
