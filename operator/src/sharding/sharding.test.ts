import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import type { KubeClient } from '../kube/client.ts';
import { LeaseLostError } from '../kube/leases.ts';
import { leases } from '../kube/resource.ts';
import { clientOf, eventually, FreezableProxy } from '../kube/testing.ts';
import type { Lease } from '../kube/types.ts';
import { type Clock, systemClock, VirtualClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import type { RunId } from '../saga/types.ts';
import { LEASE_LABEL, replicaLeaseName, shardLeaseName, type Written } from './lease.ts';
import type { Shard } from './shard.ts';
import { ShardCountError, Sharding, type ShardWork, type Taken } from './sharding.ts';

const SHARDS = 6;
/** Long enough that nothing expires on a busy machine: what happens, happens for another reason. */
const TIMES = { leaseDurationMs: 60_000, renewDeadlineMs: 40_000, retryPeriodMs: 400 };

/** A replica that only takes note of what becomes of its shards. */
class Replica implements ShardWork {
  readonly sharding: Sharding;
  readonly ended: Promise<void>;
  readonly told: string[] = [];
  readonly taken: Taken[] = [];
  isDurable = true;
  /** Shards of which some runs have yet to be looked at. */
  readonly notTakenUp = new Set<Shard>();
  /** What opening shards waits for. */
  preparing: Promise<void> = Promise.resolve();
  draining: Promise<void> = Promise.resolve();
  readonly #stop = new AbortController();

  /** How far its clock has gone ahead without any timer having fired: what a process sees that was frozen. */
  frozenMillis = 0;

  constructor(
    client: KubeClient,
    namespace: string,
    identity: string,
    leads = false,
    shards = SHARDS,
    clock: Clock = systemClock,
  ) {
    this.sharding = new Sharding({
      client,
      namespace,
      identity,
      shards,
      ...TIMES,
      makesLeases: () => leads,
      work: this,
      clock: {
        monotonic: () => clock.monotonic() + this.frozenMillis,
        wall: () => clock.wall(),
        after: (ms, fn) => clock.after(ms, fn),
      },
      logger: silentLogger,
    });
    this.ended = this.sharding.start(this.#stop.signal);
    this.ended.catch(() => undefined);
  }

  get open(): Shard[] {
    return Array.from({ length: this.sharding.shards }, (_, shard) => shard).filter((shard) =>
      this.sharding.isOpen(shard),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort(new Error('the test stops it'));
    await this.ended;
  }

  async prepare(taken: readonly Taken[]): Promise<void> {
    for (const { shard } of taken) expect(this.open, 'open before it is prepared').not.to.include(shard);
    await this.preparing;
  }

  opened(taken: readonly Taken[]): void {
    this.taken.push(...taken);
  }

  async drain(shards: ReadonlySet<Shard>): Promise<boolean> {
    this.told.push(`drain ${[...shards].sort().join(' ')}`);
    await this.draining;
    return this.isDurable;
  }

  isTakenUp(shard: Shard): boolean {
    return !this.notTakenUp.has(shard);
  }

  writtenOf(shard: Shard): Written {
    return this.taken.some((taken) => taken.shard === shard) ? { shop: `${shard + 1}00` } : {};
  }

  abandon(shards: ReadonlySet<Shard>): void {
    this.told.push(`abandon ${[...shards].sort().join(' ')}`);
  }
}

describe('Shards', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let replicas: Replica[];

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
  });
  after(() => client.transport.close());
  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'shards');
    replicas = [];
  });
  afterEach(() => Promise.allSettled(replicas.map((replica) => replica.stop())));

  const start = (identity: string, leads = false, via = client, shards = SHARDS, clock?: Clock): Replica => {
    const replica = new Replica(via, namespace, identity, leads, shards, clock);
    replicas.push(replica);
    return replica;
  };
  const holds = (replica: Replica, count: number): Promise<unknown> =>
    eventually(`${count} shards are open, not ${replica.open.length}`, () => replica.open.length === count);
  const leaseOf = (shard: Shard): Promise<Lease> => client.get(leases, { namespace, name: shardLeaseName(shard) });
  const replicaLeases = async (): Promise<Lease[]> =>
    (await client.list(leases, { namespace, labelSelector: `${LEASE_LABEL}=replica` })).items;
  /** A run of this shard. */
  const runIn = (sharding: Sharding, shard: Shard): RunId => {
    for (let n = 0; ; n++) {
      const id = { namespace: 'shop', saga: 'checkout', orderId: `o-${n}` };
      if (sharding.of(id) === shard) return id;
    }
  };

  it('are all with a replica that is alone, once the leader has made their Leases; its holder is on each, and only its own is renewed', async () => {
    const replica = start('one_1', true);
    await holds(replica, SHARDS);
    const lease = await leaseOf(3);
    expect(lease.spec?.holderIdentity).to.equal('one_1');
    expect(lease.metadata.annotations?.['mercato.dev/shards']).to.equal(String(SHARDS));
    expect(
      replica.taken.map(({ died }) => died),
      'nobody can say what was before',
    ).to.deep.equal(new Array(SHARDS).fill(true));
    expect(replica.sharding.mayAct(runIn(replica.sharding, 3))).to.equal(true);
    const [own] = await replicaLeases();
    await eventually(
      'it renews its Lease',
      async () => (await replicaLeases())[0]?.spec?.renewTime !== own?.spec?.renewTime,
    );
    expect((await leaseOf(3)).metadata.resourceVersion).to.equal(lease.metadata.resourceVersion);
  });

  it('wait for the leader where there are none: a replica of an older version may drive all runs until it stops', async () => {
    const standby = start('standby_1');
    await eventually('it lives', async () => (await replicaLeases()).length === 1);
    expect(standby.open).to.deep.equal([]);
    expect(standby.sharding.unheld).to.equal(SHARDS);
    start('leader_1', true);
    await holds(standby, SHARDS / 2);
  });

  it('are shared with a replica that comes: drained one after the other, and known to have been left in order', async () => {
    const first = start('one_1', true);
    await holds(first, SHARDS);
    const second = start('two_1');
    await holds(second, SHARDS / 2);
    await holds(first, SHARDS / 2);
    // Two that are free at once are taken in any order.
    expect(first.told).to.have.members(second.taken.map(({ shard }) => `drain ${shard}`));
    expect(second.taken.map(({ died }) => died)).to.deep.equal([false, false, false]);
    for (const { shard, written } of second.taken) expect(written).to.deep.equal({ shop: `${shard + 1}00` });
    expect([...first.open, ...second.open].sort()).to.deep.equal([0, 1, 2, 3, 4, 5]);
    await eventually('the first sees that the second has them', () => first.sharding.unheld === 0);
  });

  it('are not handed over before what is known of them is durable, and nothing of them is looked at meanwhile', async () => {
    const first = start('one_1', true);
    await holds(first, SHARDS);
    const looking = Promise.withResolvers<void>();
    const looks = first.open.map((shard) => first.sharding.during(shard, () => looking.promise));
    const writing = Promise.withResolvers<void>();
    first.draining = writing.promise;
    const second = start('two_1');
    await eventually('one shard is closed', () => first.open.length === SHARDS - 1);
    expect(first.told, 'while a run of it is looked at').to.deep.equal([]);
    looking.resolve();
    await Promise.all(looks);
    await eventually('it is drained', () => first.told.length === 1);
    const draining = Number(first.told[0]?.split(' ')[1]);
    expect(first.sharding.mayAct(runIn(first.sharding, draining)), 'it has yet to write').to.equal(true);
    expect((await leaseOf(draining)).spec?.holderIdentity).to.equal('one_1');
    expect(second.open).to.deep.equal([]);
    writing.resolve();
    await holds(second, SHARDS / 2);
    expect(first.sharding.mayAct(runIn(first.sharding, draining))).to.equal(false);
  });

  it('go to the others at once when a replica stops, and its Lease goes', async () => {
    const [first, second] = [start('one_1', true), start('two_1')];
    await holds(second, SHARDS / 2);
    await holds(first, SHARDS / 2);
    await second.stop();
    await holds(first, SHARDS);
    expect(
      first.taken.slice(-3).map(({ died }) => died),
      'no Lease had to expire',
    ).to.deep.equal([false, false, false]);
    expect(await replicaLeases()).to.have.length(1);
  });

  it('of a replica that could not write what it knows are left to expire: the next one has to know', async () => {
    const [first, second] = [start('one_1', true), start('two_1')];
    await holds(second, SHARDS / 2);
    await holds(first, SHARDS / 2);
    second.isDurable = false;
    await second.stop();
    // It is not released; so that it expires soon, it is made shorter.
    const place = { namespace, name: replicaLeaseName('two_1') };
    const left = await client.patch(leases, place, { spec: { leaseDurationSeconds: 1 } });
    expect(left.spec?.holderIdentity).to.equal('two_1');
    await holds(first, SHARDS);
    expect(first.taken.slice(-3).map(({ died }) => died)).to.deep.equal([true, true, true]);
  });

  it('that a dead one left are handed over as such while a run of theirs was not taken up: nobody may forget what it did', async () => {
    const first = start('one_1', true);
    await holds(first, SHARDS);
    first.notTakenUp.add(2);
    await first.stop();
    const second = start('two_1', true);
    await holds(second, SHARDS);
    const doubted = (replica: Replica): Shard[] =>
      replica.taken
        .filter(({ died }) => died)
        .map(({ shard }) => shard)
        .sort();
    expect(doubted(second), 'nobody had the others before').to.deep.equal([2]);
    await second.stop();
    const third = start('three_1', true);
    await holds(third, SHARDS);
    expect(doubted(third), 'the second took all of them up').to.deep.equal([]);
  });

  it('that were never opened are handed over as they came, and say what was written of them before', async () => {
    const first = start('one_1', true);
    await holds(first, SHARDS);
    first.notTakenUp.add(2);
    await first.stop();
    const second = start('two_1', true);
    const prepared = Promise.withResolvers<void>();
    second.preparing = prepared.promise;
    await eventually('it has them', () => second.sharding.takenOf(2) !== undefined);
    const stopped = second.stop();
    prepared.resolve();
    await stopped;
    expect(second.taken).to.deep.equal([]);
    const third = start('three_1', true);
    await holds(third, SHARDS);
    for (const { shard, died, written } of third.taken) {
      expect(died, `shard ${shard}`).to.equal(shard === 2);
      expect(written, `shard ${shard}`).to.deep.equal(shard === 2 ? {} : { shop: `${shard + 1}00` });
    }
  });

  it('of a replica that is cut off: it stops by itself before another takes them, and fails', async () => {
    const proxy = await FreezableProxy.start(plane.url);
    const cutOff = await clientOf(plane, { server: proxy.url });
    const clock = new VirtualClock({ epoch: Date.now() });
    /** Time goes on for both, but no faster than one of them renews its Lease: that one keeps it, however busy the machine is. */
    const holdsWhile = (identity: string, replica: Replica, count: number): Promise<unknown> =>
      eventually(`${count} shards are open`, async () => {
        const { spec } = await client.get(leases, { namespace, name: replicaLeaseName(identity) });
        if (clock.wall() - Date.parse(spec?.renewTime ?? '') <= 2 * TIMES.retryPeriodMs) clock.advance(200);
        return replica.open.length === count;
      });
    try {
      const dying = start('dying_1', true, cutOff, SHARDS, clock);
      await holdsWhile('dying_1', dying, SHARDS);
      const other = start('other_1', true, client, SHARDS, clock);
      await holdsWhile('dying_1', other, SHARDS / 2);
      const kept = dying.open.map((shard) => runIn(dying.sharding, shard));
      let isTwice = false;
      const watch = setInterval(() => {
        const theirs = (id: RunId): boolean => other.sharding.takenOf(other.sharding.of(id)) !== undefined;
        isTwice ||= kept.some((id) => dying.sharding.mayAct(id) && theirs(id));
      }, 5);
      proxy.freeze();
      await holdsWhile('other_1', other, SHARDS);
      clearInterval(watch);
      expect(other.taken.slice(-3).map(({ died }) => died)).to.deep.equal([true, true, true]);
      expect(kept.map((id) => dying.sharding.mayAct(id))).to.deep.equal([false, false, false]);
      expect(isTwice, 'both could act for a run at one moment').to.equal(false);
      const failure = await dying.ended.then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(failure).to.be.instanceOf(LeaseLostError);
      expect(dying.told.at(-1)).to.match(/^abandon \d \d \d$/);
      const dead = (await replicaLeases()).find(({ metadata }) => metadata.name === 'mercato-replica-dying-1');
      expect(dead?.spec?.holderIdentity, 'no renewal of it can succeed').to.equal('fenced by other_1');
    } finally {
      await proxy.stop();
      await cutOff.transport.close();
    }
  });

  it('of a replica that was frozen for longer than its deadline: nothing may be done for them, before any timer has said so', async () => {
    const replica = start('one_1', true);
    await holds(replica, SHARDS);
    const runs = replica.open.map((shard) => runIn(replica.sharding, shard));
    const mayAct = (): boolean[] => runs.map((id) => replica.sharding.mayAct(id));
    expect(mayAct()).not.to.include(false);
    replica.frozenMillis = TIMES.renewDeadlineMs;
    expect(mayAct()).not.to.include(true);
    const failure = await replica.ended.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).to.be.instanceOf(LeaseLostError);
    expect(replica.told).to.deep.equal(['abandon 0 1 2 3 4 5']);
  });

  it('that somebody takes away are stopped at once', async () => {
    const replica = start('one_1', true);
    await holds(replica, SHARDS);
    const lease = await leaseOf(2);
    await client.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: 'a person' } });
    await eventually('it is abandoned', () => replica.told.includes('abandon 2'));
    await client.delete(leases, { namespace, name: shardLeaseName(4) });
    await eventually('this too', () => replica.told.includes('abandon 4'));
    // Neither is held by a replica that lives.
    await holds(replica, SHARDS);
    expect(replica.taken.slice(SHARDS).map(({ died }) => died)).to.deep.equal([true, true]);
  });

  it('are counted the same by all replicas: one that counts otherwise says what to do, and takes none', async () => {
    const replica = start('one_1', true);
    await holds(replica, SHARDS);
    const other = start('other_1', false, client, SHARDS + 1);
    const failure = await other.ended.then(
      () => undefined,
      (error: unknown) => error as Error,
    );
    expect(failure).to.be.instanceOf(ShardCountError);
    expect(failure?.message).to.match(
      /^--shards 7: Lease shards-[^/]+\/mercato-runs-\d says 6, .* scale the operator to 0/,
    );
    expect(await replicaLeases()).to.have.length(1);
    expect(replica.open).to.have.length(SHARDS);
  });
});
