import { readFile } from 'node:fs/promises';
import type { ControlPlane } from '@mercato/controlplane';
import { startControlPlane } from '@mercato/controlplane';
import { expect } from 'chai';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { isNotFound } from '../../kube/errors.ts';
import { customResourceDefinitions, namespaces } from '../../kube/resource.ts';
import { BROKEN, conditionOf, eventually, OK, TestCluster } from '../../testing/cluster.ts';

const KIND = 'ordersagaruns.mercato.dev';
const PATIENCE_MILLIS = 90_000;

describe('Deleting what holds runs', function () {
  this.timeout(240_000);
  let plane: ControlPlane;
  let cluster: TestCluster;
  let goOn: () => void;

  before(async () => {
    plane = await startControlPlane({ controllerManager: true, etcdUnsafeNoFsync: true });
  });
  after(() => plane.stop());
  beforeEach(async () => {
    cluster = await TestCluster.create({ plane });
    await cluster.applySaga();
    await cluster.startOperator();
    cluster.allWell();
    await populate();
  });
  afterEach(async () => {
    goOn();
    await cluster.close();
  });

  /** One run at work, one past its pivot, one held, one finished, one that never began. */
  async function populate(): Promise<void> {
    await cluster.applyRun('finished');
    await cluster.untilPhase('finished', 'Succeeded');
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held');
    await cluster.untilPhase('held', 'Held');
    const { promise, resolve } = Promise.withResolvers<void>();
    goOn = resolve;
    for (const command of ['capture', 'pay']) {
      cluster.shop.on(command, async ({ key }) => {
        if (command === 'capture' || key.includes('/working/')) await promise;
        return OK;
      });
    }
    for (const orderId of ['working', 'past']) await cluster.applyRun(orderId);
    await eventually(
      () => cluster.shop.commandsOf('working').includes('pay') && cluster.shop.commandsOf('past').includes('capture'),
      () => 'both runs are at work',
    );
    const spec = { ...cluster.runOf('orphan').spec, sagaRef: { name: 'missing' } };
    await cluster.apply({ ...cluster.runOf('orphan'), metadata: { name: 'missing-orphan' }, spec });
    await eventually(
      async () =>
        conditionOf(
          await cluster.client.get(orderSagaRuns, { namespace: cluster.namespace, name: 'missing-orphan' }),
          'Accepted',
        ) !== undefined,
      () => 'the orphan says so',
    );
  }

  /** What may be in place is on record, and nothing else is. */
  async function expectRecords(reason: string): Promise<void> {
    const steps = async (orderId: string, count: number): Promise<unknown[]> => {
      const records = await cluster.untilExceptions(orderId, count);
      for (const { data } of records) expect(data).to.include({ decision: 'LetGo', by: 'mercato-operator', reason });
      return records.map(({ data }) => `${data?.['step']} ${data?.['state']}`).sort();
    };
    const before = ['book Succeeded', 'capture Unknown', 'pay Succeeded', 'reserve Succeeded'];
    expect(await steps('held', 4)).to.deep.equal(before);
    expect(await steps('past', 4)).to.deep.equal(before.map((line) => line.replace('Unknown', 'InFlight')));
    expect(await steps('working', 2)).to.deep.equal(['pay InFlight', 'reserve Succeeded']);
    expect(await cluster.exceptionsOf('finished')).to.deep.equal([]);
    expect(await cluster.exceptionsOf('orphan')).to.deep.equal([]);
  }

  const calls = (): number => cluster.shop.calls.length;

  it('a namespace: its runs are let go with their records, and it goes', async () => {
    const before = calls();
    await plane.kubectl(['delete', 'namespace', cluster.namespace, '--wait=false']);
    await eventually(
      async () =>
        cluster.client.get(namespaces, { name: cluster.namespace }).then(
          () => false,
          (error) => isNotFound(error),
        ),
      () => 'the namespace is gone',
      PATIENCE_MILLIS,
    );
    await expectRecords(`namespace ${cluster.namespace} is being deleted`);
    expect(calls(), 'nothing was sent').to.equal(before);
    await eventually(
      async () => (await cluster.metric('mercato_saga_runs_active')) === 0,
      () => 'nobody drives them any more',
    );
  });

  it('the kind: its runs are let go with their records; once it is back, the operator goes on', async () => {
    const before = calls();
    await plane.kubectl(['delete', 'crd', KIND, '--wait=false']);
    await eventually(
      async () =>
        cluster.client.get(customResourceDefinitions, { name: KIND }).then(
          () => false,
          (error) => isNotFound(error),
        ),
      () => 'the kind is gone',
      PATIENCE_MILLIS,
    );
    await expectRecords('the kind OrderSagaRun is being deleted');
    expect(calls(), 'nothing was sent').to.equal(before);
    goOn();
    cluster.allWell();
    const crd = await readFile(new URL(`../../../../crds/${KIND}.yaml`, import.meta.url), 'utf8');
    await plane.kubectl(['apply', '--server-side', '-f', '-'], crd);
    await plane.kubectl(['wait', '--for=condition=Established', `crd/${KIND}`]);
    await eventually(
      () =>
        cluster.applyRun('afterwards').then(
          () => true,
          () => false,
        ),
      () => 'a run can be applied again',
    );
    await cluster.untilPhase('afterwards', 'Succeeded');
    // What had finished is still remembered, although every object of the kind is gone.
    await cluster.applyRun('finished');
    const again = await cluster.until('finished', ({ status }) => status?.phase !== undefined);
    expect(conditionOf(again, 'Succeeded')?.reason).to.equal('FinishedBefore');
  });
});
