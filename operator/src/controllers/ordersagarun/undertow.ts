import type { KubeClient } from '../../kube/client.ts';
import { isForbidden, isNotFound } from '../../kube/errors.ts';
import { customResourceDefinitions, namespaces } from '../../kube/resource.ts';

const KIND = 'ordersagaruns.mercato.dev';

/**
 * What pulls a run's object away, whatever the run: the deletion of its namespace, or of its kind. Nothing new can be made there, and whoever
 * deletes them waits for us.
 */
export class Undertow {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Why a run in this namespace cannot be kept; undefined when it can. Rejects with the client's errors. */
  async reasonToLetGo(namespace: string): Promise<string | undefined> {
    const [ours, kind] = await Promise.all([
      this.#client.get(namespaces, { name: namespace }).catch(unless),
      this.#client.get(customResourceDefinitions, { name: KIND }).catch(unless),
    ]);
    if (ours?.metadata.deletionTimestamp !== undefined) return `namespace ${namespace} is being deleted`;
    if (kind?.metadata.deletionTimestamp !== undefined) return 'the kind OrderSagaRun is being deleted';
    return undefined;
  }
}

/** An operator that is confined to namespaces may not look at either: then it keeps to what it was asked. */
function unless(error: unknown): undefined {
  if (isNotFound(error) || isForbidden(error)) return undefined;
  throw error;
}
