import { API_VERSION } from '@mercato/operator/api/kind.ts';
import type { RunPhase } from '@mercato/operator/api/ordersagarun.ts';
import { FINALIZER } from '@mercato/operator/controllers/ordersagarun/run.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { ApiError, isAlreadyExists } from '@mercato/operator/kube/errors.ts';
import { isPassing } from './observe.ts';
import type { PlannedOrder } from './order.ts';
import { pause } from './patience.ts';

/** What became of an order that was brought: it is taken, under an id, or refused for good. */
export type Brought = { readonly orderId: string } | { readonly refusal: string };

/** What a customer is told of an order, in the words of its run. */
export interface Told {
  /** `Running` for everything that is neither over nor held. */
  readonly phase: RunPhase;
  readonly reason?: string;
  readonly message?: string;
}

/** Where orders are brought. */
export interface Counter {
  /** Brings an order, again and again until it is known what became of it. Rejects only when `signal` aborts. */
  bring(order: PlannedOrder, signal: AbortSignal): Promise<Brought>;
  /** What its customer is told of an order that was taken; undefined while nobody answers. @default nothing: the run is all that there is */
  told?(orderId: string): Promise<Told | undefined>;
}

/** Something whose outcome nobody knows is sent again after this long. */
export const RETRY_MS = 250;

/** The API server: an order is applied as the OrderSagaRun that it becomes, under its own id. */
export function apiServer(client: KubeClient, namespace: string, saga: string): Counter {
  const runOf = ({ orderId, input }: PlannedOrder) => ({
    apiVersion: API_VERSION,
    kind: orderSagaRuns.kind,
    // The operator would add the finalizer with a write of its own; whoever creates many runs saves it that.
    metadata: { name: `${saga}-${orderId}`, namespace, finalizers: [FINALIZER] },
    spec: { sagaRef: { name: saga }, orderId, input },
  });
  return {
    async bring(order, signal) {
      const { orderId } = order;
      for (;;) {
        try {
          await client.transport.request({
            method: 'POST',
            path: `/apis/${API_VERSION}/namespaces/${namespace}/${orderSagaRuns.plural}`,
            query: { fieldManager: client.fieldManager },
            body: runOf(order),
            signal,
          });
          return { orderId };
        } catch (error) {
          signal.throwIfAborted();
          // An earlier try of ours came through, and its answer was lost.
          if (isAlreadyExists(error)) return { orderId };
          if (error instanceof ApiError && !isPassing(error))
            return { refusal: error.status?.message ?? error.message };
          await pause(RETRY_MS, signal);
        }
      }
    },
  };
}
