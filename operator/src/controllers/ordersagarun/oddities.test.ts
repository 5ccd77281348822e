import { startControlPlane } from '@mercato/controlplane';
import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { checksumOf } from '../../journals/kubernetes/codec.ts';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { conditionOf, eventually, OK, TestCluster } from '../../testing/cluster.ts';

const CRD = 'ordersagaruns.mercato.dev';

describe('A run that this operator does not know all of', function () {
  this.timeout(180_000);

  it('from a newer version, with fields that it does not know: carried out, and nothing of it is lost', async () => {
    const plane = await startControlPlane({ etcdUnsafeNoFsync: true });
    const cluster = await TestCluster.create({ plane });
    try {
      await cluster.applySaga();
      cluster.allWell();
      const widen = [
        { path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/giftNote', type: 'string' },
        { path: '/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/forecast', type: 'string' },
      ].map(({ path, type }) => ({
        op: 'add',
        path,
        value: { type, maxLength: 64, description: 'of a newer version' },
      }));
      await plane.kubectl(['patch', 'crd', CRD, '--type=json', '-p', JSON.stringify(widen)]);
      const place = { namespace: cluster.namespace, name: 'checkout-newer' };
      const { promise, resolve } = Promise.withResolvers<void>();
      cluster.shop.on('pay', async () => {
        await promise;
        return OK;
      });
      await cluster.startOperator();
      await eventually(
        async () => {
          await cluster.applyRun('newer', { giftNote: 'happy birthday' }).catch(() => undefined);
          const spec = (await cluster.run('newer'))?.spec as { giftNote?: string } | undefined;
          return spec?.giftNote === 'happy birthday';
        },
        () => 'the wider schema is in force',
      );
      await cluster.client.patchStatus<OrderSagaRun>(orderSagaRuns, place, { status: { forecast: 'sunny' } } as object);
      resolve();
      const run = await cluster.untilPhase('newer', 'Succeeded');
      expect(run.spec).to.include({ giftNote: 'happy birthday' });
      expect(run.status).to.include({ forecast: 'sunny' });
      expect(cluster.shop.commandsOf('newer')).to.deep.equal(['reserve', 'pay', 'book', 'capture']);
    } finally {
      await cluster.close();
      await plane.stop();
    }
  });

  it('in a journal of a newer format: left as it is, with what to do, until the newer operator is back', async () => {
    const cluster = await TestCluster.create();
    try {
      await cluster.applySaga();
      cluster.allWell();
      cluster.shop.on('pay', { status: 202 });
      await cluster.startOperator();
      await cluster.applyRun('future');
      await cluster.until('future', ({ status }) => status?.steps?.[0]?.state === 'Succeeded');
      await cluster.stopOperator();
      const calls = cluster.shop.calls.length;
      const { status } = (await cluster.run('future')) as OrderSagaRun;
      const journal = JSON.stringify({ ...JSON.parse(status?.journal ?? '{}'), v: 2 });
      const id = { namespace: cluster.namespace, saga: 'checkout', orderId: 'future' };
      const checksum = checksumOf(id, { ...status, journal });
      await cluster.client.patchStatus<OrderSagaRun>(
        orderSagaRuns,
        { namespace: cluster.namespace, name: 'checkout-future' },
        { status: { journal, checksum } } as object,
      );
      await cluster.startOperator();
      const run = await cluster.until('future', (seen) => conditionOf(seen, 'Accepted')?.status === 'False');
      expect(conditionOf(run, 'Accepted')).to.include({
        reason: 'JournalTooNew',
        message: 'the journal has format 2, this operator reads 1: run the newer operator again',
      });
      expect(run.status).to.include({ journal, checksum, phase: 'Running' });
      expect(cluster.shop.calls).to.have.length(calls);
      await cluster.stopOperator();
      // The newer operator writes what this one knows again.
      cluster.allWell();
      await cluster.client.patchStatus<OrderSagaRun>(
        orderSagaRuns,
        { namespace: cluster.namespace, name: 'checkout-future' },
        { status: { journal: status?.journal, checksum: status?.checksum } } as object,
      );
      await cluster.startOperator();
      await cluster.untilPhase('future', 'Succeeded');
    } finally {
      await cluster.close();
    }
  });

  it('of mode View is left alone, also when it is deleted', async () => {
    const cluster = await TestCluster.create();
    try {
      await cluster.applySaga();
      cluster.allWell();
      await cluster.startOperator();
      await cluster.applyRun('view', { mode: 'View' });
      await cluster.applyRun('after');
      await cluster.untilPhase('after', 'Succeeded');
      const view = await cluster.run('view');
      expect(view?.status).to.equal(undefined);
      expect(view?.metadata.finalizers).to.equal(undefined);
      await cluster.deleteRun('view');
      expect(await cluster.run('view')).to.equal(undefined);
      expect(cluster.shop.commandsOf('view')).to.deep.equal([]);
    } finally {
      await cluster.close();
    }
  });
});
