import type { KubeClient } from '../../kube/client.ts';
import { isForbidden, isNotFound } from '../../kube/errors.ts';
import { customResourceDefinitions, namespaces } from '../../kube/resource.ts';
import type { Clock } from '../../runtime/clock.ts';

const KIND = 'ordersagaruns.mercato.dev';
/** Thousands of runs may be waiting to go at once; they share an answer for so long. */
const SHARED_MILLIS = 1_000;

/**
 * What pulls a run's object away, whatever the run: the deletion of its namespace, or of its kind. Nothing new can be made there, and whoever
 * deletes them waits for us.
 */
export class Undertow {
  readonly #client: KubeClient;
  readonly #clock: Clock;
  readonly #answers = new Map<string, { readonly until: number; readonly reason: Promise<string | undefined> }>();

  constructor(client: KubeClient, clock: Clock) {
    this.#client = client;
    this.#clock = clock;
  }

  /** Why a run in this namespace cannot be kept, as of a second ago at most; undefined when it can. Rejects with the client's errors. */
  reasonToLetGo(namespace: string): Promise<string | undefined> {
    const now = this.#clock.monotonic();
    const known = this.#answers.get(namespace);
    if (known !== undefined && now < known.until) return known.reason;
    for (const [key, { until }] of this.#answers) if (until <= now) this.#answers.delete(key);
    const reason = this.#ask(namespace);
    this.#answers.set(namespace, { until: now + SHARED_MILLIS, reason });
    reason.catch(() => this.#answers.delete(namespace));
    return reason;
  }

  async #ask(namespace: string): Promise<string | undefined> {
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
