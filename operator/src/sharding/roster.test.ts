import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { leases } from '../kube/resource.ts';
import { clientOf, eventually } from '../kube/testing.ts';
import { type Lease, microTime } from '../kube/types.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import { LEASE_LABEL, LEAVING_ANNOTATION, replicaLeaseName } from './lease.ts';
import { Roster } from './roster.ts';

const DURATION_MILLIS = 15_000;

describe('The roster of replicas', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let clock: VirtualClock;
  let cache: Cache<Lease>;
  let roster: Roster;
  let stop: AbortController;
  let watched: Promise<void>;

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
  });
  after(() => client.transport.close());
  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'roster');
    clock = new VirtualClock();
    cache = new Cache<Lease>({ client, resource: leases, namespaces: [namespace], labelSelector: LEASE_LABEL });
    roster = new Roster(cache, {
      client,
      identity: 'me_1',
      leaseDurationMs: DURATION_MILLIS,
      clock,
      logger: silentLogger,
    });
    stop = new AbortController();
    watched = cache.run(stop.signal);
    await cache.synced();
  });
  afterEach(async () => {
    stop.abort();
    await watched;
  });

  const place = (identity: string) => ({ namespace, name: replicaLeaseName(identity) });
  /** A replica's Lease, and its cache shows it. */
  async function live(identity: string, annotations: Record<string, string> = {}): Promise<Lease> {
    const lease = await client.create(leases, {
      metadata: { ...place(identity), labels: { [LEASE_LABEL]: 'replica' }, annotations },
      spec: {
        holderIdentity: identity,
        leaseDurationSeconds: DURATION_MILLIS / 1000,
        renewTime: microTime(Date.now()),
      },
    });
    await shown(lease);
    return lease;
  }
  const shown = (lease: Lease): Promise<unknown> =>
    eventually(
      'the cache shows it',
      () => cache.get(namespace, lease.metadata.name)?.metadata.resourceVersion === lease.metadata.resourceVersion,
    );
  const renew = async (lease: Lease): Promise<Lease> =>
    client.update(leases, { ...lease, spec: { ...lease.spec, renewTime: microTime(Date.now()) } });

  it('has who renews, whatever its wall clock says, and knows who leaves', async () => {
    let other = await live('other_1');
    await live('leaving_1', { [LEAVING_ANNOTATION]: 'true' });
    for (let n = 0; n < 3; n++) {
      clock.advance(DURATION_MILLIS - 1);
      other = await renew(other);
      await shown(other);
      expect(roster.nextDeathInMs).to.equal(n === 0 ? 1 : DURATION_MILLIS);
      await roster.bury();
    }
    await eventually('the silent one is fenced off', () => !roster.alive.has('leaving_1'));
    expect([...roster.alive].sort()).to.deep.equal(['me_1', 'other_1']);
    const back = await live('leaving_2', { [LEAVING_ANNOTATION]: 'true' });
    expect([...roster.staying]).to.deep.equal(['other_1']);
    expect([...roster.alive]).to.include(back.spec?.holderIdentity);
  });

  it('does not fence off one that has just renewed its Lease although the watch has not shown it yet', async () => {
    const other = await live('other_1');
    clock.advance(DURATION_MILLIS);
    // Nothing comes between the write and the look but the watch.
    stop.abort();
    await watched;
    await renew(other);
    await roster.bury();
    expect((await client.get(leases, place('other_1'))).spec?.holderIdentity).to.equal('other_1');
    expect([...roster.alive]).to.include('other_1');
  });

  it('forgets replicas that are long gone, and never itself', async () => {
    const [own, gone] = [await live('me_1'), await live('gone_1')];
    clock.advance(DURATION_MILLIS);
    await roster.bury();
    await eventually('it is fenced off', () => !roster.alive.has('gone_1'));
    clock.advance(4 * DURATION_MILLIS);
    await roster.bury();
    expect((await client.get(leases, { namespace, name: gone.metadata.name })).spec?.holderIdentity).to.equal(
      'fenced by me_1',
    );
    clock.advance(1);
    await roster.bury();
    await eventually('it is deleted', () => cache.get(namespace, gone.metadata.name) === undefined);
    expect((await client.get(leases, place('me_1'))).metadata.resourceVersion).to.equal(own.metadata.resourceVersion);
  });
});
