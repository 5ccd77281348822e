import { BenchCluster, concurrently, runPath, sleep, until } from './cluster.ts';
import { type Figure, median } from './figures.ts';

/** Runs a round; rounds alternate, so that a machine that changes its speed changes both sides. */
const RUNS = Number(process.env['BENCH_RUNS'] ?? 1_500);
const ROUNDS = 3;
const IN_FLIGHT = 64;

/**
 * Completed runs per second with the kubernetes journal, over what the same API server takes from a pooled raw client that does the same writes in
 * the same order: create, pivot intent, end, finalizer, delete. The raw client has nothing else to do; the operator watches, decides, and calls
 * five participants over HTTP for each run.
 */
export async function kubernetesJournal(): Promise<Figure[]> {
  const cluster = await BenchCluster.start({ ttlAfterFinished: { succeeded: '0s', compensated: '0s', aborted: '0s' } });
  try {
    const intents = await recordWrites(cluster);
    await rawRound(cluster, 'warm', 300, intents);
    await operatorRound(cluster, 'warm', 300);
    const raw: number[] = [];
    const operator: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      raw.push(await rawRound(cluster, `raw-${round}`, RUNS, intents));
      operator.push(await operatorRound(cluster, `op-${round}`, RUNS));
      process.stderr.write(
        `round ${round + 1} of ${ROUNDS}: raw ${raw.at(-1)?.toFixed(0)}, operator ${operator.at(-1)?.toFixed(0)} runs/s\n`,
      );
    }
    const ratio = median(operator.map((rate, round) => rate / (raw[round] as number)));
    return [
      { name: 'raw client', value: median(raw), unit: 'runs/s' },
      { name: 'operator, kubernetes journal', value: median(operator), unit: 'runs/s' },
      { name: 'operator over raw client', value: ratio, unit: 'ratio', goal: '>= 0.7' },
    ];
  } finally {
    await cluster.stop();
  }
}

interface Written {
  readonly intent: string;
  readonly end: string;
}

/** Lets the operator carry one run, and keeps the two statuses that it wrote: the raw client writes the very same bytes. */
async function recordWrites(cluster: BenchCluster): Promise<Written> {
  const seen: { status?: { phase?: string; step?: string } }[] = [];
  await cluster.plane.kubectl([
    'patch',
    'ordersaga',
    'checkout',
    '--type=merge',
    '-p',
    '{"spec":{"ttlAfterFinished":{"succeeded":"1h"}}}',
  ]);
  await cluster.startOperator();
  await cluster.createRun('sample');
  await until(
    async () => {
      const run = (await cluster.request('GET', runPath('sample'))) as { status?: { phase?: string; step?: string } };
      if (run.status !== undefined) seen.push(run);
      return run.status?.phase === 'Succeeded';
    },
    'a sample run completes',
    20_000,
  );
  await cluster.stopOperator();
  await cluster.plane.kubectl([
    'patch',
    'ordersaga',
    'checkout',
    '--type=merge',
    '-p',
    '{"spec":{"ttlAfterFinished":{"succeeded":"0s"}}}',
  ]);
  const end = seen.at(-1)?.status as { steps?: { state: string }[] } & object;
  // The pivot's intent looks like the end, but for the last step's answer.
  const intent = {
    ...end,
    phase: 'Running',
    steps: end.steps?.map((step, index, all) => (index === all.length - 1 ? { ...step, state: 'InFlight' } : step)),
  };
  return { intent: JSON.stringify({ status: intent }), end: JSON.stringify({ status: end }) };
}

/** @returns runs per second */
async function rawRound(
  cluster: BenchCluster,
  prefix: string,
  count: number,
  { intent, end }: Written,
): Promise<number> {
  await cluster.stopOperator();
  const begin = performance.now();
  await concurrently(count, IN_FLIGHT, async (n) => {
    const orderId = `${prefix}-${n}`;
    const made = await cluster.createRun(orderId);
    let version = made.metadata.resourceVersion;
    for (const status of [intent, end]) {
      const body = `{"metadata":{"resourceVersion":"${version}"},${status.slice(1)}`;
      const answer = (await cluster.request('PATCH', runPath(orderId, '/status'), body)) as typeof made;
      version = answer.metadata.resourceVersion;
    }
    await cluster.request('PATCH', runPath(orderId), { metadata: { resourceVersion: version, finalizers: [] } });
    await cluster.request('DELETE', runPath(orderId));
  });
  const rate = count / ((performance.now() - begin) / 1000);
  await cluster.startOperator();
  await sleep(500);
  return rate;
}

/** @returns runs per second, from the first create to the last delete */
async function operatorRound(cluster: BenchCluster, prefix: string, count: number): Promise<number> {
  const finished = await cluster.metric('mercato_saga_runs_finished_total');
  const begin = performance.now();
  let created = 0;
  let ended = 0;
  const watching = (async () => {
    while (ended < count) {
      // Each look costs the operator a rendering of its metrics.
      await sleep(250);
      ended = (await cluster.metric('mercato_saga_runs_finished_total')) - finished;
    }
  })();
  await concurrently(count, 32, async (n) => {
    // The raw client has as many runs under way.
    while (created - ended > IN_FLIGHT * 4) await sleep(2);
    created++;
    await cluster.createRun(`${prefix}-${n}`);
  });
  await watching;
  await until(async () => (await remaining(cluster)) === 0, 'every run was deleted', 60_000);
  return count / ((performance.now() - begin) / 1000);
}

async function remaining(cluster: BenchCluster): Promise<number> {
  const list = (await cluster.request(
    'GET',
    '/apis/mercato.dev/v1alpha1/namespaces/default/ordersagaruns?limit=1',
  )) as {
    items: { metadata: { name: string } }[];
    metadata: { remainingItemCount?: number };
  };
  const left = list.items.filter(({ metadata }) => metadata.name !== 'checkout-sample').length;
  return left + (list.metadata.remainingItemCount ?? 0);
}
