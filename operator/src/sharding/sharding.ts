import { UsageError } from '../flags.ts';
import { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { isAlreadyExists, isConflict, isNotFound } from '../kube/errors.ts';
import { LeaderElector } from '../kube/leases.ts';
import { leases } from '../kube/resource.ts';
import type { Lease } from '../kube/types.ts';
import { compareVersions } from '../kube/version.ts';
import { type Clock, pause } from '../runtime/clock.ts';
import type { Logger } from '../runtime/logger.ts';
import type { Runnable } from '../runtime/manager.ts';
import type { RunId } from '../saga/types.ts';
import { CALL, unless } from './calls.ts';
import {
  handedOver,
  LEASE_LABEL,
  LEAVING_ANNOTATION,
  leftInDoubt,
  newShardLease,
  replicaLeaseName,
  replicaOf,
  SHARDS_ANNOTATION,
  shardLeaseName,
  shardOfLease,
  taken,
  versionOf,
  type Written,
  wasLeftByDeath,
  writtenBefore,
} from './lease.ts';
import { plan } from './plan.ts';
import { Roster } from './roster.ts';
import { type Shard, shardOf } from './shard.ts';

/** Between attempts to give a shard's Lease back. */
const RETRY_MILLIS = 200;
/** A shard that came to this replica. */
export interface Taken {
  readonly shard: Shard;
  /** The Lease's resourceVersion when we got it: what was written under its last holder has none above it. */
  readonly since: string;
  /** The last holder did not hand it over, or nobody can say. */
  readonly died: boolean;
  /** What the last holder wrote of it, where it says so. */
  readonly written: Written;
}

/** What is done with the runs of shards. */
export interface ShardWork {
  /** Shards came: reads what must be known before any of their runs is looked at. May reject; it is tried again. */
  prepare(shards: readonly Taken[]): Promise<void>;
  /** Their runs may be looked at from now on. */
  opened(shards: readonly Taken[]): void;
  /** Makes durable what is known of their runs, and stops them. No run of theirs is looked at any more. @returns whether all is durable */
  drain(shards: ReadonlySet<Shard>): Promise<boolean>;
  /**
   * Asked of a shard that was drained and whose last holder had died: whether all runs that it left were taken up since, so that what was not known of
   * them is on record. Of the others the next holder has yet to doubt what the dead one did (design rule 3).
   */
  isTakenUp(shard: Shard): boolean;
  /** What was written of a shard's runs since it was taken. */
  writtenOf(shard: Shard): Written;
  /** Stops their runs at once, without another word. */
  abandon(shards: ReadonlySet<Shard>): void;
}

export interface ShardingOptions {
  readonly client: KubeClient;
  /** Where the Leases are: the operator's own namespace. */
  readonly namespace: string;
  /** Unique among replicas and across restarts. */
  readonly identity: string;
  /** How many shards there are; the same for all replicas. */
  readonly shards: number;
  /** Others take the shards of a replica that they have not seen renew its Lease for this long, in milliseconds. */
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** Whether this replica makes the Leases that are missing: of all replicas, the leader. */
  readonly makesLeases: () => boolean;
  readonly work: ShardWork;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Held {
  readonly taken: Taken;
  state: 'Preparing' | 'Open' | 'Draining' | 'GivingBack';
  /** Its runs could be looked at. */
  wasOpened: boolean;
  lease: Lease;
}

/** The replicas do not agree on the number of shards. */
export class ShardCountError extends UsageError {}

/**
 * Divides runs among the replicas (docs/adr/sharded-runs.md). A replica shows that it lives by one Lease, which alone it renews; each shard is a Lease
 * too, written only when it changes hands. A shard is taken when nobody holds it, or when its holder is dead: then the dead one's own Lease is taken
 * away first, so that no renewal of it can succeed any more.
 *
 * A replica that stops, or has too many shards, drains them and says so on their Leases. One whose own Lease is lost stops all of its runs at once,
 * and fails: by its clock that is before anybody else takes them.
 */
export class Sharding implements Runnable {
  readonly name = 'shards';
  readonly needsLeaderElection = false;
  readonly #o: ShardingOptions;
  readonly #membership: LeaderElector;
  readonly #cache: Cache<Lease>;
  readonly #roster: Roster;
  readonly #held = new Map<Shard, Held>();
  /** What was last written of a shard that we gave away: the cache may show us as its holder for a while. */
  readonly #given = new Map<Shard, string>();
  /** Reconciles under way, by shard. */
  readonly #busy = new Map<Shard, number>();
  #handing: Promise<void> | undefined;
  #wake: () => void = () => undefined;
  #isWoken = false;
  #onIdle: (() => void)[] = [];

  constructor(options: ShardingOptions) {
    const { client, namespace, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs, clock, logger } = options;
    this.#o = options;
    this.#membership = new LeaderElector({
      client,
      namespace,
      name: replicaLeaseName(identity),
      labels: { [LEASE_LABEL]: 'replica' },
      identity,
      leaseDurationMs,
      renewDeadlineMs,
      retryPeriodMs,
      clock,
      logger,
    });
    this.#cache = new Cache<Lease>({
      client,
      resource: leases,
      namespaces: [namespace],
      labelSelector: LEASE_LABEL,
      clock,
      logger,
    });
    this.#roster = new Roster(this.#cache, { client, identity, leaseDurationMs, clock, logger });
    this.#cache.onChange(() => this.look());
  }

  /** How many shards there are. */
  get shards(): number {
    return this.#o.shards;
  }

  /** How many shards this replica drives. */
  get open(): number {
    return this.#inState('Open').length;
  }

  /** How many shards nobody drives, as far as this replica sees: those without a Lease, and its own while they open or are drained, are among them. */
  get unheld(): number {
    const { identity, shards } = this.#o;
    const others = new Set([...this.#roster.alive].filter((replica) => replica !== identity));
    const theirs = this.#shardLeases().filter(({ spec }) => others.has(spec?.holderIdentity ?? ''));
    return Math.max(0, shards - theirs.length - this.open);
  }

  /** The shard of a run. */
  of(id: RunId): Shard {
    return shardOf(id, this.#o.shards);
  }

  /** Whether this replica drives the shard, and may take up runs of it. */
  isOpen(shard: Shard): boolean {
    return this.#held.get(shard)?.state === 'Open';
  }

  /** How the shard came to this replica; undefined where it is not here. */
  takenOf(shard: Shard): Taken | undefined {
    return this.#held.get(shard)?.taken;
  }

  /** Whether this replica may write and send for a run at this moment (design rule 10); looks at the clock, so it is right even when a timer is late. */
  mayAct(id: RunId): boolean {
    return this.#held.has(this.of(id)) && this.#membership.isLeading;
  }

  /** Does something with a run of an open shard: the shard is not handed over before that has ended. */
  async during<T>(shard: Shard, work: () => Promise<T>): Promise<T> {
    this.#busy.set(shard, (this.#busy.get(shard) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#busy.get(shard) ?? 1) - 1;
      if (left > 0) this.#busy.set(shard, left);
      else this.#busy.delete(shard);
      for (const resolve of this.#onIdle.splice(0)) resolve();
    }
  }

  /** What the leader runs beside: it makes the Leases that are missing as soon as it leads. */
  asLeader(): Runnable {
    return {
      name: 'shards-leader',
      start: async (signal) => {
        this.look();
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      },
    };
  }

  /** Looks at the Leases now: something changed that they do not show (the leader is another). */
  look(): void {
    this.#isWoken = true;
    this.#wake();
  }

  /**
   * Takes part until `signal` aborts and all shards are handed over. Rejects with a LeaseLostError when the replica's own Lease is lost, and with a
   * ShardCountError when other replicas divide runs otherwise.
   */
  async start(signal: AbortSignal): Promise<void> {
    const { client, namespace, identity } = this.#o;
    const watching = new AbortController();
    const watched = this.#cache.run(watching.signal);
    try {
      await this.#cache.synced(signal);
      if (!signal.aborted) this.#agree();
      await this.#membership.run((working) => this.#takePart(working), signal);
      if (!this.#membership.inOrder) return;
      const name = replicaLeaseName(identity);
      await client
        .delete(leases, { namespace, name }, CALL)
        .catch((error) => this.#o.logger.warn('the Lease of this replica stays; others delete it', { error }));
    } finally {
      watching.abort();
      await watched;
    }
  }

  async #takePart(signal: AbortSignal): Promise<void> {
    const { logger, retryPeriodMs, clock } = this.#o;
    this.#membership.inOrder = false;
    const ended = (): void => {
      if (!this.#membership.isLeading) this.#abandonAll();
      this.look();
    };
    signal.addEventListener('abort', ended, { once: true });
    if (signal.aborted) ended();
    while (!signal.aborted) {
      this.#isWoken = false;
      try {
        await this.#step(signal);
      } catch (error) {
        if (error instanceof ShardCountError) {
          this.#abandonAll();
          throw error;
        }
        logger.warn('shards could not be looked after, trying again', { error });
      }
      if (this.#isWoken) continue;
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      await pause(clock, Math.max(0, Math.min(retryPeriodMs, this.#roster.nextDeathInMs)), woken.signal);
    }
    if (this.#membership.isLeading) await this.#leave();
  }

  /** One look at all Leases. */
  async #step(signal: AbortSignal): Promise<void> {
    this.#agree();
    if (this.#o.makesLeases()) await this.#makeLeases();
    this.#noticeLosses();
    await this.#roster.bury();
    const { alive, staying } = this.#roster;
    const shards = this.#shardLeases().map((lease) => {
      const shard = shardOfLease(lease) as Shard;
      return { shard, holder: this.#held.has(shard) ? this.#o.identity : this.#holderOf(shard, lease) };
    });
    const { take, give } = plan({ me: this.#o.identity, alive, staying, shards });
    if (!signal.aborted) await Promise.all(take.map((shard) => this.#take(shard)));
    await this.#open(signal);
    const next = give.find((shard) => this.isOpen(shard));
    if (next !== undefined && this.#handing === undefined && !signal.aborted) this.#startHandingOver(next);
  }

  /** @throws ShardCountError when a shard's Lease says another number than ours */
  #agree(): void {
    const { shards, namespace } = this.#o;
    for (const { metadata } of this.#shardLeases()) {
      const said = metadata.annotations?.[SHARDS_ANNOTATION];
      if (said === String(shards)) continue;
      throw new ShardCountError(
        `--shards ${shards}: Lease ${namespace}/${metadata.name} says ${said ?? 'nothing'}, and all replicas need the same number, or two would drive one run. ` +
          `Give the number that it says; or, to change it, scale the operator to 0, run kubectl delete lease -n ${namespace} -l ${LEASE_LABEL}=shard, and scale it up again.`,
      );
    }
  }

  async #makeLeases(): Promise<void> {
    const { shards, namespace, client } = this.#o;
    const missing = Array.from({ length: shards }, (_, shard) => shard).filter(
      (shard) => this.#leaseOf(shard) === undefined,
    );
    await Promise.all(
      missing.map((shard) =>
        client.create(leases, newShardLease(namespace, shard, shards), CALL).catch(unless(isAlreadyExists)),
      ),
    );
  }

  /** Somebody wrote over the Lease of a shard that we hold, or deleted it: only a person does, and whoever takes the shard next believes it. */
  #noticeLosses(): void {
    for (const [shard, held] of this.#held) {
      // Its next version is our own, or a conflict.
      if (held.state === 'GivingBack') continue;
      const lease = this.#leaseOf(shard);
      // Older than what we wrote: the watch is behind.
      if (lease !== undefined && compareVersions(versionOf(lease), versionOf(held.lease)) < 0) continue;
      if (lease === undefined) {
        if (!this.#hasSeen(versionOf(held.lease))) continue;
      } else if (lease.spec?.holderIdentity === this.#o.identity) {
        held.lease = lease;
        continue;
      }
      this.#o.logger.error('a shard was taken away', { shard, holder: lease?.spec?.holderIdentity ?? '' });
      this.#held.delete(shard);
      this.#o.work.abandon(new Set([shard]));
    }
  }

  #hasSeen(version: string): boolean {
    const seen = this.#cache.observedVersion(this.#o.namespace);
    return seen !== undefined && compareVersions(seen, version) >= 0;
  }

  async #take(shard: Shard): Promise<void> {
    const { client, identity, leaseDurationMs, clock, logger } = this.#o;
    const lease = this.#leaseOf(shard);
    if (lease === undefined) return;
    // What a write left whose answer was lost names us already, and no longer says how the shard was left.
    const died = wasLeftByDeath(lease);
    const written = died ? {} : writtenBefore(lease);
    try {
      const ours = taken(lease, identity, leaseDurationMs, clock.wall());
      const answer = await client.update(leases, ours, CALL);
      const { resourceVersion: since = '' } = answer.metadata;
      this.#given.delete(shard);
      this.#held.set(shard, {
        taken: { shard, since, died, written },
        state: 'Preparing',
        wasOpened: false,
        lease: answer,
      });
      logger.info('shard taken', { shard, died });
    } catch (error) {
      // Another replica was first.
      if (!isConflict(error) && !isNotFound(error)) throw error;
    }
  }

  /** Opens what came and is prepared. */
  async #open(signal: AbortSignal): Promise<void> {
    const coming = this.#inState('Preparing');
    if (coming.length === 0) return;
    const shards = coming.map((held) => held.taken);
    await this.#o.work.prepare(shards);
    if (signal.aborted) return;
    const open = coming.filter((held) => this.#held.get(held.taken.shard) === held);
    for (const held of open) {
      held.state = 'Open';
      held.wasOpened = true;
    }
    this.#o.work.opened(open.map((held) => held.taken));
  }

  /** Hands one shard over while this replica goes on with the others. */
  #startHandingOver(shard: Shard): void {
    const handing = this.#handOver([shard]).then(() => undefined);
    this.#handing = handing
      .catch((error) => {
        this.#o.logger.warn('a shard could not be handed over, and stays', { shard, error });
        const held = this.#held.get(shard);
        if (held?.state === 'Draining') held.state = 'Preparing';
      })
      .finally(() => {
        this.#handing = undefined;
        this.look();
      });
  }

  /** Everything, at the end. What others may take is free before this replica's own Lease is. */
  async #leave(): Promise<void> {
    await Promise.all([this.#announceLeaving(), this.#handing]);
    const isInOrder = await this.#handOver([...this.#held.keys()]);
    this.#membership.inOrder = isInOrder;
  }

  /** From now on nobody leaves room for us. Without it the others wait for our own Lease, which goes a moment later. */
  async #announceLeaving(): Promise<void> {
    const { client, namespace, identity } = this.#o;
    try {
      const current = await client.get(leases, { namespace, name: replicaLeaseName(identity) }, CALL);
      if (replicaOf(current) !== identity) return;
      const annotations = { ...current.metadata.annotations, [LEAVING_ANNOTATION]: 'true' };
      await client.update(leases, { ...current, metadata: { ...current.metadata, annotations } }, CALL);
    } catch (error) {
      this.#o.logger.info('others are not told that this replica leaves', { error });
    }
  }

  /** @returns whether all is durable and given back */
  async #handOver(shards: readonly Shard[]): Promise<boolean> {
    const going = shards.map((shard) => this.#held.get(shard)).filter((held) => held !== undefined);
    for (const held of going) held.state = 'Draining';
    const set = new Set(going.map((held) => held.taken.shard));
    while ([...set].some((shard) => this.#busy.has(shard)))
      await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    const isDurable = await this.#o.work.drain(set);
    if (!isDurable || !this.#membership.isLeading) return false;
    const given = await Promise.all(going.map((held) => this.#giveBack(held)));
    return given.every(Boolean);
  }

  /** @returns whether the shard is free, and its next holder knows how it was left */
  async #giveBack(held: Held): Promise<boolean> {
    const { client, namespace, identity, clock, logger } = this.#o;
    const { shard } = held.taken;
    const isKnown = this.#isKnown(held);
    // Whoever did not see what the last holder wrote leaves that to the next one.
    const written = { ...held.taken.written, ...this.#o.work.writtenOf(shard) };
    held.state = 'GivingBack';
    while (this.#membership.isLeading && this.#held.get(shard) === held) {
      try {
        const ours = isKnown ? handedOver(held.lease, written, clock.wall()) : leftInDoubt(held.lease, clock.wall());
        const answer = await client.update(leases, ours, CALL);
        this.#given.set(shard, versionOf(answer));
        this.#held.delete(shard);
        if (isKnown) logger.info('shard handed over', { shard });
        else
          logger.warn(
            'shard given up; runs of it that a dead replica left were not taken up: the next one doubts them',
            {
              shard,
            },
          );
        return true;
      } catch (error) {
        if (isNotFound(error)) break;
        if (!isConflict(error)) logger.warn('a shard cannot be given back, trying again', { shard, error });
      }
      await pause(clock, RETRY_MILLIS);
      // A person wrote to it; or our own write was done, and its answer lost.
      const current = await client.get(leases, { namespace, name: shardLeaseName(shard) }, CALL).catch(() => undefined);
      if (current?.spec?.holderIdentity === identity) held.lease = current;
      else if (current !== undefined) {
        this.#held.delete(shard);
        return true;
      }
    }
    this.#held.delete(shard);
    return false;
  }

  /** Whether nothing of a shard has to be doubted any more: neither its last holder died, nor was a run that a dead one left passed over by us. */
  #isKnown({ taken, wasOpened }: Held): boolean {
    return !taken.died || (wasOpened && this.#o.work.isTakenUp(taken.shard));
  }

  #abandonAll(): void {
    const shards = new Set(this.#held.keys());
    this.#held.clear();
    this.#o.work.abandon(shards);
  }

  #shardLeases(): Lease[] {
    return this.#cache.list().filter((lease) => shardOfLease(lease) !== undefined);
  }

  #leaseOf(shard: Shard): Lease | undefined {
    return this.#cache.get(this.#o.namespace, shardLeaseName(shard));
  }

  /**
   * Who holds a shard that we do not. A Lease that names us either is older than the write by which we gave it back, or was taken by a write whose
   * answer was lost: then it is free.
   */
  #holderOf(shard: Shard, lease: Lease): string {
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== this.#o.identity) return holder;
    const given = this.#given.get(shard);
    return given !== undefined && compareVersions(versionOf(lease), given) < 0 ? holder : '';
  }

  #inState(state: Held['state']): Held[] {
    return [...this.#held.values()].filter((held) => held.state === state);
  }
}
