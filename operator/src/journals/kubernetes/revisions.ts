import type { KubeClient } from '../../kube/client.ts';
import { isAlreadyExists, isNotFound } from '../../kube/errors.ts';
import { controllerRevisions } from '../../kube/resource.ts';
import { REVISIONS_KEPT, Recent } from '../../runtime/recent.ts';
import { revisionOf } from '../../saga/revision.ts';
import type { Revision } from '../../saga/types.ts';

/** A revision that was stored this long ago is stored again: its namespace may have been deleted since and made anew, and nobody else has a copy. */
const STORED_AGAIN_MILLIS = 60_000;

/**
 * Revisions of OrderSagas as apps/v1 ControllerRevisions, Kubernetes' own object for just this: immutable data, found by name. They have no owner,
 * since runs outlive their OrderSaga. What was read or written lately is kept in memory: a revision never changes.
 */
export class Revisions {
  readonly #client: KubeClient;
  readonly #wall: () => number;
  readonly #known = new Recent<string, Revision>(REVISIONS_KEPT);
  /** When the API server last said that it has them. */
  readonly #stored = new Recent<string, number>(REVISIONS_KEPT);

  /** @param wall Unix milliseconds. @default the machine's */
  constructor(client: KubeClient, wall: () => number = Date.now) {
    this.#client = client;
    this.#wall = wall;
  }

  /** Rejects with the client's errors. */
  async save(namespace: string, saga: string, revision: Revision): Promise<void> {
    const name = nameOf(saga, revision.hash);
    const now = this.#wall();
    if (Math.abs(now - (this.#stored.get(`${namespace}/${name}`) ?? 0)) < STORED_AGAIN_MILLIS) return;
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
    this.#stored.set(`${namespace}/${name}`, now);
  }

  /** @returns undefined where it was never saved, or was deleted. Rejects with the client's errors. */
  async load(namespace: string, saga: string, hash: string): Promise<Revision | undefined> {
    const name = nameOf(saga, hash);
    const known = this.#known.get(`${namespace}/${name}`);
    if (known !== undefined) return known;
    try {
      const found = await this.#client.get(controllerRevisions, { namespace, name });
      const revision = found.data as unknown as Revision;
      // Its name is a hash of its content: one that says something else was not written by us.
      if (revisionOf(revision).hash !== hash) return undefined;
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
}

function nameOf(saga: string, hash: string): string {
  return `${saga}-${hash}`;
}
