import { BoundaryBenchCluster, cardNamespace, SIZE } from './boundary-cluster.ts';
import { sleep } from './cluster.ts';
import { type Figure, percentile } from './figures.ts';

/** Drifts one after the other, and as many at once. */
const DRIFTS = 60;
const BOUNDARIES = 10;
const RULES = 24;
/** Changes of other pods meanwhile, one each so many milliseconds: a cluster is never still. */
const CHURN_MILLIS = 20;

const POLICIES = '/apis/networking.k8s.io/v1/namespaces';

/** What somebody does to a policy. */
interface Drift {
  readonly path: string;
  readonly how: 'edit' | 'delete';
}

/**
 * How long a NetworkPolicy that somebody edited or deleted is away, as a client sees it, in a cluster of 500 of the boundary's policies and 2,000 pods
 * of which 50 change each second; and the controller's memory after that.
 */
export async function boundary(): Promise<Figure[]> {
  const cluster = await BoundaryBenchCluster.start();
  const stop = new AbortController();
  let churning = Promise.resolve();
  try {
    await cluster.startController();
    churning = churn(cluster, stop.signal);
    await sleep(3_000);
    const alone: number[] = [];
    for (let n = 0; n < DRIFTS; n++) alone.push(await revert(cluster, driftOf(n)));
    const together = await Promise.all(Array.from({ length: DRIFTS }, (_, n) => revert(cluster, driftOf(n + DRIFTS))));
    stop.abort();
    await churning;
    // Long enough for what start and drift left behind to be collected.
    await sleep(20_000);
    const samples: number[] = [];
    for (let n = 0; n < 10; n++) {
      samples.push((await cluster.metric('process_resident_memory_bytes')) / 1e6);
      await sleep(500);
    }
    const size = `${SIZE.policies} policies, ${SIZE.pods.toLocaleString('en-GB')} pods`;
    return [
      { name: `drift to revert, ${size}, p50`, value: percentile(alone, 50) / 1000, unit: 's' },
      {
        name: `drift to revert, ${size}, longest of ${DRIFTS}`,
        value: Math.max(...alone) / 1000,
        unit: 's',
        goal: '<= 5',
      },
      {
        name: `${DRIFTS} drifts at once, until the last is reverted`,
        value: Math.max(...together) / 1000,
        unit: 's',
        goal: '<= 5',
      },
      { name: 'objects in the caches', value: await cluster.metric('mercato_cache_objects'), unit: 'objects' },
      { name: `resident memory of the controller, ${size}`, value: Math.max(...samples), unit: 'MB', goal: '< 150' },
    ];
  } finally {
    stop.abort();
    await churning;
    await cluster.stop();
  }
}

/** Another policy each time, over all boundaries; the last ten of each {@link DRIFTS} are the ones that deny. */
function driftOf(n: number): Drift {
  const boundary = n % BOUNDARIES;
  const rule = Math.floor(n / BOUNDARIES) % RULES;
  const denies = n % DRIFTS >= DRIFTS - BOUNDARIES;
  const name = denies ? 'default-deny' : `boundary-${boundary}.ingress.way-${rule}`;
  return {
    path: `${POLICIES}/${cardNamespace(boundary)}/networkpolicies/${name}`,
    how: rule % 2 === 0 ? 'edit' : 'delete',
  };
}

/** Changes a policy and waits until it is as it was. In milliseconds, from the answer to the change on. */
async function revert(cluster: BoundaryBenchCluster, { path, how }: Drift): Promise<number> {
  const specOf = async () =>
    JSON.stringify(((await cluster.request('GET', path)) as { spec?: object } | undefined)?.spec);
  const before = await specOf();
  if (how === 'edit') await cluster.request('PATCH', path, { spec: { ingress: [{}], policyTypes: ['Ingress'] } });
  else await cluster.request('DELETE', path);
  const began = performance.now();
  while ((await specOf()) !== before) {
    if (performance.now() - began > 60_000) throw new Error(`${path} is not back after a minute`);
    await sleep(5);
  }
  return performance.now() - began;
}

/** Changes pods, as rollouts and agents do. */
async function churn(cluster: BoundaryBenchCluster, stop: AbortSignal): Promise<void> {
  const { items } = (await cluster.request('GET', '/api/v1/pods?limit=500')) as {
    items: { metadata: { namespace: string; name: string } }[];
  };
  for (let n = 0; !stop.aborted; n++) {
    const item = items[n % items.length];
    if (item === undefined) throw new Error('there are no pods to change');
    const { namespace, name } = item.metadata;
    // One in ten is a change that the controller must look at.
    const metadata = { [n % 10 === 0 ? 'labels' : 'annotations']: { 'example.org/churn': String(n) } };
    await cluster.request('PATCH', `/api/v1/namespaces/${namespace}/pods/${name}`, { metadata });
    await sleep(CHURN_MILLIS);
  }
}
