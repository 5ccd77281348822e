import { expect } from 'chai';
import { Registry } from 'prom-client';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { Store } from '../../kube/store.ts';
import { standingMetrics, standingRuns } from './standing.ts';

const now = Date.parse('2026-11-22T12:00:00Z');
const ago = (seconds: number): string => new Date(now - seconds * 1000).toISOString();

/** As the cache has it; one without `input` was trimmed, since it has ended. */
function run(order: string, saga: string, more: object, conditions: object[] = [], ended = false): OrderSagaRun {
  return {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'OrderSagaRun',
    metadata: { name: `${saga}-${order}`, namespace: 'shop', uid: order, resourceVersion: '1', ...more },
    spec: { sagaRef: { name: saga }, orderId: order, mode: 'Execute', ...(ended ? {} : { input: {} }) },
    status: { phase: ended ? 'Succeeded' : 'Running', conditions },
  } as unknown as OrderSagaRun;
}

const condition = (type: string, status: string, seconds: number) => ({
  type,
  status,
  lastTransitionTime: ago(seconds),
});

describe('What stands still', () => {
  it('is told for each saga: the oldest hold, what is overdue, the oldest deletion', () => {
    const runs = [
      run('1', 'checkout', {}, [condition('Held', 'True', 60)]),
      run('2', 'checkout', {}, [condition('Held', 'True', 900), condition('Overdue', 'True', 5)]),
      run('3', 'checkout', { deletionTimestamp: ago(30) }),
      run('4', 'checkout', { deletionTimestamp: ago(4000) }, [], true),
      run('5', 'returns', {}, [condition('Held', 'False', 7000), condition('Overdue', 'True', 5)]),
    ];
    expect(standingRuns(runs, now)).to.deep.equal([
      { namespace: 'shop', saga: 'checkout', oldestHold: 900, overdue: 1, oldestDeletion: 4000 },
      { namespace: 'shop', saga: 'returns', oldestHold: 0, overdue: 1, oldestDeletion: 0 },
    ]);
  });

  it('does not count runs that have ended, whatever their conditions said last', () => {
    const ended = run('1', 'checkout', {}, [condition('Held', 'True', 60), condition('Overdue', 'True', 60)], true);
    expect(standingRuns([ended], now)).to.deep.include({
      namespace: 'shop',
      saga: 'checkout',
      oldestHold: 0,
      overdue: 0,
      oldestDeletion: 0,
    });
  });

  it('is never younger than new, when the wall clock was set back', () => {
    expect(standingRuns([run('1', 'checkout', {}, [condition('Held', 'True', -60)])], now)[0]?.oldestHold).to.equal(0);
  });

  it('is read anew at each scrape', async () => {
    const runs = new Store<OrderSagaRun>();
    const registry = new Registry();
    standingMetrics(registry, runs, () => now);
    runs.upsert(run('1', 'checkout', {}, [condition('Held', 'True', 60), condition('Overdue', 'True', 60)]));
    const labels = '{namespace="shop",saga="checkout"}';
    expect(await registry.metrics()).to.include(`mercato_saga_oldest_hold_seconds${labels} 60`);
    runs.upsert(run('1', 'checkout', { resourceVersion: '2' }, [condition('Held', 'False', 1)]));
    expect(await registry.metrics())
      .to.include(`mercato_saga_oldest_hold_seconds${labels} 0`)
      .and.to.include(`mercato_saga_runs_overdue${labels} 0`)
      .and.to.include(`mercato_saga_oldest_deletion_seconds${labels} 0`);
  });
});
