import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { configFromText } from '@mercato/operator/kube/config.ts';
import { Reflector } from '@mercato/operator/kube/reflector.ts';
import { Store } from '@mercato/operator/kube/store.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { BenchCluster, sleep } from './cluster.ts';
import { type Figure, percentile } from './figures.ts';

const SAMPLES = 300;
const WARM_UP = 30;

/** From sending one run to an idle system until a watch shows it Succeeded: five steps over HTTP, three durable writes. */
export async function latency(): Promise<Figure[]> {
  const cluster = await BenchCluster.start({});
  const client = new KubeClient(createTransport(configFromText(await cluster.plane.kubeconfigYaml())));
  const stop = new AbortController();
  try {
    const waiting = new Map<string, () => void>();
    const reflector = new Reflector<OrderSagaRun>({
      client,
      resource: orderSagaRuns,
      namespace: 'default',
      store: new Store<OrderSagaRun>(),
      onChange: (change) => {
        if (change.type !== 'deleted' && change.object.status?.phase === 'Succeeded')
          waiting.get(change.object.metadata.name)?.();
      },
    });
    const watching = reflector.run(stop.signal);
    await cluster.startOperator();
    await sleep(2_000);
    const samples: number[] = [];
    for (let n = 0; n < WARM_UP + SAMPLES; n++) {
      const orderId = `one-${n}`;
      const succeeded = new Promise<void>((resolve) => waiting.set(`checkout-${orderId}`, resolve));
      const began = performance.now();
      await cluster.createRun(orderId, []);
      await succeeded;
      if (n >= WARM_UP) samples.push(performance.now() - began);
      waiting.clear();
      await sleep(20);
    }
    stop.abort();
    await watching;
    return [
      { name: 'apply to Succeeded, idle system, p50', value: percentile(samples, 50), unit: 'ms' },
      { name: 'apply to Succeeded, idle system, p99', value: percentile(samples, 99), unit: 'ms', goal: '< 150' },
    ];
  } finally {
    stop.abort();
    await client.transport.close();
    await cluster.stop();
  }
}
