import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import { controllerRevisions } from '../../kube/resource.ts';
import type { Revision } from '../../saga/types.ts';

/**
 * Revisions of OrderSagas as apps/v1 ControllerRevisions, Kubernetes' own object for just this: immutable data, found by name. They have no owner,
 * since runs outlive their OrderSaga. What was read or written once is kept in memory: a revision never changes.
 */
export class Revisions {
  readonly #client: KubeClient;
  readonly #known = new Map<string, Revision>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Rejects with the client's errors. */
  async save(namespace: string, saga: string, revision: Revision): Promise<void> {
    const name = nameOf(saga, revision.hash);
    if (this.#known.has(`${namespace}/${name}`)) return;
    const labels = { 'mercato.dev/saga': saga, 'app.kubernetes.io/managed-by': 'mercato-operator' };
    try {
      await this.#client.create(controllerRevisions, {
        metadata: { name, namespace, labels },
        data: revision as unknown as Record<string, unknown>,
        revision: 1,
      });
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
    }
    this.#known.set(`${namespace}/${name}`, revision);
  }

  /** @returns undefined where it was never saved, or was deleted. Rejects with the client's errors. */
  async load(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    const name = nameOf(saga, hash);
    const known = this.#known.get(`${namespace}/${name}`);
    if (known !== undefined) return known;
    try {
      const found = await this.#client.get(controllerRevisions, { namespace, name });
      const revision = found.data as unknown as Revision;
      this.#known.set(`${namespace}/${name}`, revision);
      return revision;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** What was saved or loaded before, without asking anyone. */
  cached(namespace: string, saga: string, hash: string): Revision | undefined {
    return this.#known.get(`${namespace}/${nameOf(saga, hash)}`);
  }

  /** Forgets what it knows of a namespace that is gone. */
  forget(namespace: string): void {
    for (const key of this.#known.keys()) if (key.startsWith(`${namespace}/`)) this.#known.delete(key);
  }
}

function nameOf(saga: string, hash: string): string {
  return `${saga}-${hash}`;
}
