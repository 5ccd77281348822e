import { expect } from 'chai';
import { Registry } from 'prom-client';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { JournalUnavailable } from '../../journals/journal.ts';
import { ApiError, TransportError } from '../../kube/errors.ts';
import type { EventInput } from '../../kube/events.ts';
import { Store } from '../../kube/store.ts';
import { VirtualClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import type { RunState } from '../../saga/types.ts';
import { runMetrics } from './metrics.ts';
import { observeRuns } from './observer.ts';

const id = { namespace: 'shop', saga: 'checkout', orderId: 'o-1' };
const request = { method: 'PATCH', path: '/apis/mercato.dev/...' };

describe('What is told of runs', () => {
  let told: EventInput[];
  let clock: VirtualClock;
  let registry: Registry;

  const observer = () => {
    registry = new Registry();
    told = [];
    clock = new VirtualClock();
    const runs = new Store<OrderSagaRun>();
    const metadata = { name: 'checkout-o-1', namespace: 'shop', uid: 'u', resourceVersion: '1' };
    runs.upsert({
      apiVersion: 'mercato.dev/v1alpha1',
      kind: 'OrderSagaRun',
      metadata,
      spec: {},
    } as unknown as OrderSagaRun);
    const metrics = runMetrics(
      registry,
      () => 0,
      () => 0,
    );
    const recorder = { event: (_: unknown, event: EventInput) => void told.push(event) };
    return observeRuns({
      runs,
      recorder,
      metrics,
      logger: silentLogger,
      clock,
      ended: () => undefined,
      left: () => undefined,
      parted: () => undefined,
    });
  };

  it('a journal write that the API server refuses is told on the run: only a person can help', () => {
    const refused = new ApiError(request, 422, { reason: 'Invalid', message: 'status.steps: too many' }, '');
    observer().journalFailed?.(id, new JournalUnavailable('x', { cause: refused }));
    expect(told.map(({ type, reason }) => `${type} ${reason}`)).to.deep.equal(['Warning JournalRefused']);
    expect(told[0]?.note).to.include('too many');
  });

  it('an API server that does not answer is not: it will, and each run would say so', () => {
    const lost = new TransportError(request, 'timeout', 'no answer');
    observer().journalFailed?.(id, new JournalUnavailable('x', { cause: lost }));
    expect(told).to.deep.equal([]);
  });

  it('progress is told within a budget, so that a busy operator writes journals instead; warnings always', () => {
    const heard = observer();
    const state = { steps: [] } as unknown as RunState;
    const tell = (level: 'Normal' | 'Warning') =>
      heard.transitioned?.(id, state, state, { type: 'Tick' }, [
        { type: 'Notice', level, reason: 'Told', message: level },
      ]);
    for (let n = 0; n < 200; n++) tell('Normal');
    expect(told).to.have.length(40);
    for (let n = 0; n < 200; n++) tell('Warning');
    expect(told).to.have.length(240);
    clock.advance(1_000);
    for (let n = 0; n < 200; n++) tell('Normal');
    expect(told).to.have.length(245);
  });

  it('exceptions are counted from 0, so that an alert on their increase hears of the first', async () => {
    observer().adopted?.(id, 'New');
    for (const decision of ['Skip', 'Abort', 'LetGo'])
      expect(await registry.metrics()).to.include(
        `mercato_saga_exceptions_total{namespace="shop",saga="checkout",decision="${decision}"} 0`,
      );
  });
});
