import { expect } from 'chai';
import { eventually, OK, TestCluster } from '../../testing/cluster.ts';

describe('Deleting a run that has not begun', function () {
  this.timeout(120_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await TestCluster.create();
    await cluster.applySaga({ maxActive: 1 });
    await cluster.startOperator();
  });
  after(() => cluster.close());
  beforeEach(() => cluster.allWell());

  it('does not begin it, also where somebody else keeps its object for a while', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.shop.on('pay', async () => {
      await promise;
      return OK;
    });
    await cluster.applyRun('first');
    await eventually(
      () => cluster.shop.commandsOf('first').includes('pay'),
      () => 'the first run takes the only place',
    );
    const second = cluster.runOf('second');
    second.metadata.finalizers = ['example.com/kept'];
    await cluster.apply(second);
    await cluster.until('second', ({ status }) => status?.nextAction?.includes('maxActive') === true);
    await cluster.deleteRun('second');
    // Once it has seen what came later, the operator has seen the deletion too.
    await cluster.applyRun('third');
    await cluster.until('third', ({ status }) => status?.nextAction?.includes('maxActive') === true);
    resolve();
    await cluster.untilPhase('first', 'Succeeded');
    // What came later has had its turn: so has the one that is being deleted.
    await cluster.untilPhase('third', 'Succeeded');
    expect(cluster.shop.commandsOf('second')).to.deep.equal([]);
    await cluster.kubectl(
      'patch',
      'ordersagarun',
      'checkout-second',
      '--type=merge',
      '-p',
      '{"metadata":{"finalizers":null}}',
    );
    await cluster.untilGone('second');
    expect(await cluster.exceptionsOf('second')).to.deep.equal([]);
  });
});
