import type { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { isConflict, isNotFound } from '../kube/errors.ts';
import { leases } from '../kube/resource.ts';
import type { Change } from '../kube/store.ts';
import type { Lease } from '../kube/types.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import { CALL, unless } from './calls.ts';
import { fenced, isReplicaLease, LEAVING_ANNOTATION, replicaOf, versionOf } from './lease.ts';

/** Leases of replicas that ended are deleted when nobody has touched them for so many lease durations: by then no request of theirs is under way. */
const FORGET_AFTER_DURATIONS = 4;

export interface RosterOptions {
  readonly client: KubeClient;
  /** Who looks. */
  readonly identity: string;
  /** Of Leases that do not say for how long they hold, in milliseconds. */
  readonly leaseDurationMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Which replicas live, by their Leases. One is dead when its Lease has not been seen to change for its duration, on our own monotonic clock, and
 * when we have then taken the Lease away from it: until that has succeeded, it may just have renewed it.
 */
export class Roster {
  readonly #o: RosterOptions;
  readonly #cache: Cache<Lease>;
  /** By name: when, on the monotonic clock, a Lease was seen to change. */
  readonly #seen = new Map<string, { readonly version: string; readonly at: number }>();

  /** @param cache the Leases of replicas, and maybe others */
  constructor(cache: Cache<Lease>, options: RosterOptions) {
    this.#o = options;
    this.#cache = cache;
    cache.onChange((change) => this.#see(change));
  }

  /** The replicas that live, the one that looks among them. */
  get alive(): ReadonlySet<string> {
    return new Set([this.#o.identity, ...this.#replicas()]);
  }

  /** Those that do not say that they leave. */
  get staying(): ReadonlySet<string> {
    return new Set(this.#replicas((lease) => lease.metadata.annotations?.[LEAVING_ANNOTATION] !== 'true'));
  }

  /** Milliseconds until the next replica counts as dead if it renews nothing. */
  get nextDeathInMs(): number {
    const left = this.#leases()
      .filter((lease) => replicaOf(lease) !== undefined && replicaOf(lease) !== this.#o.identity)
      .map((lease) => this.#durationOf(lease) - this.#ageOf(lease))
      // What is over could not be fenced off just now, and is tried again with the rest.
      .filter((millis) => millis > 0);
    return Math.min(Number.POSITIVE_INFINITY, ...left);
  }

  /** Fences off replicas that are dead, and forgets those that are long gone. Rejects with the client's errors. */
  async bury(): Promise<void> {
    for (const lease of this.#leases()) {
      const replica = replicaOf(lease);
      const age = this.#ageOf(lease);
      if (replica === this.#o.identity || age < this.#durationOf(lease)) continue;
      if (replica !== undefined) await this.#fenceOff(lease, replica);
      else if (age > FORGET_AFTER_DURATIONS * this.#o.leaseDurationMs) await this.#forget(lease);
    }
  }

  async #fenceOff(lease: Lease, replica: string): Promise<void> {
    const { client, identity, clock, logger } = this.#o;
    await client
      .update(leases, fenced(lease, identity, clock.wall()), CALL)
      .then(() => logger.warn('a replica is dead: others take its shards', { replica }))
      .catch(unless(isConflict, isNotFound));
  }

  async #forget({ metadata }: Lease): Promise<void> {
    const { name, namespace = '', uid, resourceVersion } = metadata;
    await this.#o.client
      .delete(
        leases,
        { name, namespace },
        { ...CALL, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) },
      )
      .catch(unless(isConflict, isNotFound));
  }

  #see(change: Change<Lease>): void {
    const lease = change.type === 'deleted' ? change.old : change.object;
    if (!isReplicaLease(lease)) return;
    const { name } = lease.metadata;
    if (change.type === 'deleted') this.#seen.delete(name);
    else if (this.#seen.get(name)?.version !== versionOf(lease))
      this.#seen.set(name, { version: versionOf(lease), at: this.#o.clock.monotonic() });
  }

  #leases(): Lease[] {
    return this.#cache.list().filter(isReplicaLease);
  }

  #replicas(wanted: (lease: Lease) => boolean = () => true): string[] {
    return this.#leases()
      .filter(wanted)
      .map(replicaOf)
      .filter((replica) => replica !== undefined);
  }

  /** Milliseconds since this Lease was seen to change. */
  #ageOf({ metadata }: Lease): number {
    const at = this.#seen.get(metadata.name)?.at;
    return at === undefined ? 0 : this.#o.clock.monotonic() - at;
  }

  #durationOf({ spec }: Lease): number {
    return spec?.leaseDurationSeconds === undefined ? this.#o.leaseDurationMs : spec.leaseDurationSeconds * 1000;
  }
}
