import { connect } from 'node:net';
import type { ControlPlane } from '@mercato/controlplane';
import { uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import type { KubeClient } from './client.ts';
import { LeaderElector, type LeaderElectorOptions, LeaseLostError } from './leases.ts';
import { leases } from './resource.ts';
import { breakableControlPlane, clientOf, eventually, FreezableProxy } from './testing.ts';

/** Long enough that nothing expires during a test: what happens, happens for another reason. */
const long = { leaseDurationMs: 60_000, renewDeadlineMs: 40_000, retryPeriodMs: 200 };
/** Production's proportions, a fifth of its times, for tests of what expires. */
const short = { leaseDurationMs: 3000, renewDeadlineMs: 2000, retryPeriodMs: 200 };

/** Who worked when, on the monotonic clock of the one process that all electors of a test share. */
interface Spell {
  who: string;
  from: number;
  /** When its work was told to stop. */
  until: number;
}

describe('LeaderElector', function () {
  this.timeout(90_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let spells: Spell[];
  let stops: AbortController[];
  let runs: Promise<unknown>[];

  before(async () => {
    plane = await breakableControlPlane();
    client = await clientOf(plane);
  });

  after(() => client?.transport.close());

  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'leases');
    spells = [];
    stops = [];
    runs = [];
  });

  afterEach(async () => {
    for (const stop of stops) stop.abort();
    await Promise.allSettled(runs);
  });

  function candidate(identity: string, options: Partial<LeaderElectorOptions> = {}) {
    const elector = new LeaderElector({ client, namespace, name: 'leader', identity, ...long, ...options });
    const stop = new AbortController();
    const ended = elector.run(async (signal) => {
      const spell = { who: identity, from: performance.now(), until: Number.POSITIVE_INFINITY };
      spells.push(spell);
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      spell.until = performance.now();
    }, stop.signal);
    const outcome = ended.then(
      () => undefined,
      (error: unknown) => error,
    );
    stops.push(stop);
    runs.push(outcome);
    return { elector, stop, outcome };
  }

  const expectNoOverlap = () => {
    for (const [i, spell] of spells.entries()) {
      const next = spells[i + 1];
      if (next !== undefined) expect(spell.until, `${spell.who} worked while ${next.who} did`).to.be.below(next.from);
    }
  };

  it('renews while every connection of its client is in use', async () => {
    const busy = await clientOf(plane, { connections: 1 });
    const over = new AbortController();
    try {
      const { elector } = candidate('one', { client: busy });
      await eventually('one leads', () => spells.length === 1);
      const watch = { method: 'GET', path: '/api/v1/namespaces', query: { watch: true }, signal: over.signal } as const;
      void busy.transport.request(watch).catch(() => {});
      const renewed = async () => (await client.get(leases, { namespace, name: 'leader' })).spec?.renewTime;
      for (const _ of [1, 2, 3]) {
        const last = await renewed();
        await eventually('the lease was renewed', async () => (await renewed()) !== last);
      }
      expect(elector.isLeading).to.equal(true);
    } finally {
      over.abort();
      for (const stop of stops) stop.abort();
      await Promise.allSettled(runs);
      await busy.transport.close();
    }
  });

  it('lets one of two lead, and hands over at once when it stops in order', async () => {
    const one = candidate('one');
    await eventually('one leads', () => spells.length === 1);
    const two = candidate('two');
    await eventually('two has seen who leads', () => two.elector.holder === 'one');
    expect([one.elector.isLeading, two.elector.isLeading]).to.deep.equal([true, false]);

    one.stop.abort();
    expect(await one.outcome).to.equal(undefined);
    await eventually('two leads, long before the lease would expire', () => spells.length === 2);
    expectNoOverlap();
    const lease = await client.get(leases, { namespace, name: 'leader' });
    expect(lease.spec).to.include({ holderIdentity: 'two', leaseTransitions: 1 });
    expect(lease.spec?.renewTime).to.match(/\.\d{6}Z$/);
  });

  it('fails over after the leader has died, not before its lease is over', async () => {
    // A leader that dies does not release: it is cut off by a proxy that goes silent.
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url, connections: 1 });
    const one = candidate('one', { client: through, ...short });
    await eventually('one leads', () => spells.length === 1);
    candidate('two', short);
    await proxy.stop();
    await eventually('two leads', () => spells.length === 2);
    expectNoOverlap();
    expect(await one.outcome).to.be.instanceOf(LeaseLostError);
    await through.transport.close();
  });

  it('takes over as soon as the lease is over, not at the next retry', async () => {
    const spec = { holderIdentity: 'dead', leaseDurationSeconds: 60, leaseTransitions: 0 };
    await client.create(leases, { metadata: { namespace, name: 'leader' }, spec });
    const clock = new VirtualClock();
    const { elector } = candidate('one', { clock, retryPeriodMs: 30_000, random: () => 1 });
    await eventually('one has seen who leads, and waits', () => elector.holder === 'dead' && clock.pending === 1);
    clock.advance(59_999);
    expect(clock.pending, 'it has not tried again').to.equal(1);
    clock.advance(3_001);
    await eventually('one leads', () => spells.length === 1);
  });

  it('aborts work when the API server is away for longer than the renew deadline, before another could take over', async () => {
    // Time stands still until the API server is away: a busy machine could take the lease from them before.
    const clock = new VirtualClock();
    const one = candidate('one', { ...short, clock });
    await eventually('one leads', () => spells.length === 1);
    const two = candidate('two', { ...short, clock });
    await eventually('two has seen who leads', () => two.elector.holder === 'one');
    const renewed = async () => (await client.get(leases, { namespace, name: 'leader' })).spec?.renewTime;
    const first = await renewed();
    clock.advance(short.retryPeriodMs);
    await eventually('the lease was renewed', async () => (await renewed()) !== first);

    await plane.killApiServer();
    let lost: unknown;
    void one.outcome.then((error) => {
      lost = error;
    });
    await eventually('one has lost its lease', () => {
      clock.advance(50);
      return lost !== undefined;
    });
    expect(lost).to.be.instanceOf(LeaseLostError).with.property('message').that.includes('not renewed for 2000 ms');
    expect(one.elector.isLeading).to.equal(false);
    await plane.startApiServer();
    await eventually('two leads', () => {
      clock.advance(50);
      return spells.length === 2;
    });
    expectNoOverlap();
  });

  it('keeps the lease through an outage shorter than the deadline', async () => {
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    const one = candidate('one', { client: through });
    await eventually('one leads', () => spells.length === 1);
    await proxy.stop();
    await eventually('it is cut off', () => refused(proxy.url));
    await proxy.restart();
    const now = new Date().toISOString();
    await eventually(
      'it renews',
      async () => ((await client.get(leases, { namespace, name: 'leader' })).spec?.renewTime ?? '') > now,
    );
    expect(one.elector.isLeading).to.equal(true);
    expect(spells).to.have.length(1);
    one.stop.abort();
    await one.outcome;
    await through.transport.close();
    await proxy.stop();
  });

  it('stops at once when it sees that another holds its lease', async () => {
    const one = candidate('one');
    await eventually('one leads', () => spells.length === 1);
    await eventually('it was taken', () =>
      client.patch(
        leases,
        { namespace, name: 'leader' },
        { spec: { holderIdentity: 'usurper', leaseDurationSeconds: 60 } },
      ),
    );
    const lost = await one.outcome;
    expect(lost).to.be.instanceOf(LeaseLostError).with.property('message').that.includes('held by "usurper"');
    expect(
      (await client.get(leases, { namespace, name: 'leader' })).spec?.holderIdentity,
      'it does not release what is not its own',
    ).to.equal('usurper');
  });

  it('renews until work has drained, and only then releases', async () => {
    const stop = new AbortController();
    const elector = new LeaderElector({ client, namespace, name: 'slow', identity: 'one', ...long });
    let finish = () => {};
    const draining = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let told = false;
    const run = elector.run(async (signal) => {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      told = true;
      await draining;
    }, stop.signal);
    await eventually('it leads', () => elector.isLeading);
    stop.abort();
    await eventually('work was told to stop', () => told);
    const spec = async () => (await client.get(leases, { namespace, name: 'slow' })).spec;
    const before = (await spec())?.renewTime;
    await eventually('it renews while it drains', async () => (await spec())?.renewTime !== before);
    expect((await spec())?.holderIdentity).to.equal('one');
    finish();
    await run;
    expect((await spec())?.holderIdentity ?? '').to.equal('');
  });

  it('passes on what its work fails with, and releases', async () => {
    const elector = new LeaderElector({ client, namespace, name: 'failing', identity: 'one', ...long });
    const failure = await elector
      .run(() => Promise.reject(new Error('broken')), new AbortController().signal)
      .catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(Error).with.property('message', 'broken');
    expect((await client.get(leases, { namespace, name: 'failing' })).spec?.holderIdentity ?? '').to.equal('');
  });

  it('refuses times that would let two work at once', () => {
    const make = (times: object) => () => new LeaderElector({ client, namespace, name: 'x', identity: 'x', ...times });
    expect(make({ leaseDurationMs: 10_000, renewDeadlineMs: 10_000 })).to.throw(
      RangeError,
      'leaseDurationMs (10000) must exceed',
    );
    expect(make({ renewDeadlineMs: 2000, retryPeriodMs: 2000 })).to.throw(RangeError, 'renewDeadlineMs');
    expect(make({ identity: '' })).to.throw(RangeError, 'identity');
  });
});

/** Whether nobody listens at a URL. */
function refused(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.once('error', () => resolve(true));
  });
}
