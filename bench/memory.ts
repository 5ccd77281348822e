import { encode } from '@mercato/operator/journals/kubernetes/codec.ts';
import { revisionFrom } from '@mercato/operator/saga/definition.ts';
import { begin, transition } from '@mercato/operator/saga/engine.ts';
import type { RunState } from '@mercato/operator/saga/types.ts';
import { BenchCluster, concurrently, runPath, sleep, until } from './cluster.ts';
import type { Figure } from './figures.ts';
import { INPUT } from './order.ts';

const FINISHED = 10_000;
const ACTIVE = 1_000;

/** Resident memory of the operator with 10,000 finished runs in its cache and 1,000 active ones that wait for a participant. */
export async function memory(): Promise<Figure[]> {
  const cluster = await BenchCluster.start(
    { ttlAfterFinished: { succeeded: '1h', compensated: '1h', aborted: '1h' } },
    ['--never'],
  );
  try {
    const status = await finishedStatus(cluster);
    await concurrently(FINISHED, 32, async (n) => {
      const orderId = `done-${n}`;
      await cluster.createRun(orderId, []);
      await cluster.request('PATCH', runPath(orderId, '/status'), { status: status(orderId) });
      if (n % 1_000 === 999) process.stderr.write(`${n + 1} finished runs\n`);
    });
    await cluster.startOperator();
    await concurrently(ACTIVE, 32, async (n) => {
      await cluster.createRun(`active-${n}`);
    });
    await until(
      async () => (await cluster.metric('mercato_saga_runs_active')) >= ACTIVE,
      'the runs are active',
      120_000,
    );
    // Long enough for what start and adoption left behind to be collected.
    await sleep(20_000);
    const samples: number[] = [];
    for (let n = 0; n < 10; n++) {
      samples.push((await cluster.metric('process_resident_memory_bytes')) / 1e6);
      await sleep(500);
    }
    const cached = await cluster.metric('mercato_cache_objects');
    return [
      { name: 'objects in the caches', value: cached, unit: 'objects' },
      {
        name: 'resident memory, 10,000 finished and 1,000 active runs',
        value: Math.max(...samples),
        unit: 'MB',
        goal: '< 250',
      },
    ];
  } finally {
    await cluster.stop();
  }
}

/** The status of a run that succeeded, with a checksum that fits: as the operator itself would have written it. */
async function finishedStatus(cluster: BenchCluster): Promise<(orderId: string) => object> {
  const saga = (await cluster.request('GET', '/apis/mercato.dev/v1alpha1/namespaces/default/ordersagas/checkout')) as {
    spec: never;
  };
  const revision = revisionFrom(saga.spec);
  return (orderId) => {
    const context = { id: { namespace: 'default', saga: 'checkout', orderId }, input: INPUT };
    const now = { wall: Date.now(), elapsed: 0 };
    let state: RunState = begin(revision, now.wall);
    let made = transition(revision, context, state, { type: 'Tick' }, now);
    while (made.state.ended === undefined) {
      const send = made.effects.find((effect) => effect.type === 'Send');
      if (send === undefined) throw new Error('the engine sends nothing');
      const output = { reservationId: 'r', authorisationId: 'a', warehouses: 'leeds', bookingId: 'b', captureId: 'c' };
      const answered = {
        type: 'Answered',
        step: send.step,
        kind: send.kind,
        epoch: send.epoch,
        send: send.send,
        answer: { type: 'Success', output },
      } as const;
      state = made.state;
      made = transition(revision, context, state, answered, now);
    }
    return encode(context.id, made.state);
  };
}
