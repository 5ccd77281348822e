import type { ControlPlane } from '@mercato/controlplane';
import { uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import type { KubeClient } from '../kube/client.ts';
import { configMaps, events, leases, resource } from '../kube/resource.ts';
import { breakableControlPlane, clientOf, eventually, FreezableProxy } from '../kube/testing.ts';
import { systemClock, VirtualClock } from './clock.ts';
import { Manager, type ManagerOptions } from './manager.ts';
import { done, TerminalError } from './result.ts';

const quick = { backoff: { baseMs: 20, maxMs: 200 }, relistJitterMs: 10 };

describe('Manager', function () {
  this.timeout(90_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let stops: AbortController[];
  let runs: Promise<unknown>[];
  let cleanups: (() => Promise<unknown>)[];

  before(async () => {
    plane = await breakableControlPlane();
    client = await clientOf(plane);
  });

  after(() => client?.transport.close());

  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'manager');
    stops = [];
    runs = [];
    cleanups = [];
  });

  afterEach(async () => {
    for (const stop of stops) stop.abort();
    await Promise.allSettled(runs);
    for (const cleanup of cleanups) await cleanup();
    await plane.startApiServer();
  });

  const make = (options: Partial<ManagerOptions> = {}) =>
    new Manager({ client, namespaces: [namespace], cacheDefaults: quick, ...options });

  function run(manager: Manager) {
    const stop = new AbortController();
    const outcome = manager.run(stop.signal).then(
      () => undefined,
      (error: unknown) => error,
    );
    stops.push(stop);
    runs.push(outcome);
    return { stop, outcome };
  }

  const put = (name: string, data: Record<string, string> = {}) =>
    client.apply(configMaps, { namespace, name }, { data });
  const page = async (manager: Manager, path: string) => {
    const response = await fetch(`${manager.healthUrl}${path}`);
    return { code: response.status, text: await response.text() };
  };

  it('starts caches before controllers, shares them, and serves health and metrics', async () => {
    await put('a');
    const manager = make();
    const cache = manager.cache(configMaps, { indexes: { first: (object) => [object.metadata.name] } });
    expect(manager.cache(configMaps, { indexes: { second: (object) => [object.metadata.name] } })).to.equal(cache);
    expect(() => manager.cache(configMaps, { labelSelector: 'x' })).to.throw('a cache of configmaps already');
    const seen: string[] = [];
    manager.controller({
      name: 'maps',
      for: cache,
      reconcile: (object) => {
        expect(cache.hasSynced).to.equal(true);
        if (object.metadata.name === 'terminal') throw new TerminalError('no');
        seen.push(object.metadata.name);
        return done();
      },
    });
    const { stop, outcome } = run(manager);
    await put('b');
    await put('terminal');
    await eventually('both are reconciled', () => seen.includes('a') && seen.includes('b'));
    expect(cache.byIndex('second', 'a')).to.have.length(1);
    expect(await page(manager, '/healthz')).to.deep.equal({ code: 200, text: 'ok' });
    expect((await page(manager, '/readyz?verbose')).text).to.include('[+]caches ok');
    expect((await page(manager, '/readyz/none')).code).to.equal(404);

    const metrics = await eventually('the terminal error is counted', async () => {
      const { text } = await page(manager, '/metrics');
      return text.includes('controller_runtime_terminal_reconcile_errors_total{controller="maps"} 1')
        ? text
        : undefined;
    });
    for (const line of [
      'workqueue_depth{name="maps",controller="maps"} 0',
      /workqueue_adds_total\{name="maps",controller="maps"\} \d/,
      /workqueue_queue_duration_seconds_count\{name="maps",controller="maps"\} \d/,
      /workqueue_work_duration_seconds_count\{name="maps",controller="maps"\} \d/,
      'workqueue_unfinished_work_seconds{name="maps",controller="maps"} 0',
      'workqueue_longest_running_processor_seconds{name="maps",controller="maps"} 0',
      '# TYPE workqueue_retries_total counter',
      /controller_runtime_reconcile_total\{controller="maps",result="success"\} \d/,
      'controller_runtime_reconcile_total{controller="maps",result="error"} 1',
      'controller_runtime_reconcile_errors_total{controller="maps"} 1',
      /controller_runtime_reconcile_time_seconds_count\{controller="maps"\} \d/,
      'controller_runtime_max_concurrent_reconciles{controller="maps"} 1',
      'controller_runtime_active_workers{controller="maps"} 0',
      '# TYPE rest_client_requests_total counter',
      '# TYPE leader_election_master_status gauge',
      'mercato_reflector_lists_total{resource="configmaps",result="success"} 1',
      /mercato_cache_staleness_seconds\{resource="configmaps"\} \d/,
    ]) {
      if (typeof line === 'string') expect(metrics).to.include(line);
      else expect(metrics).to.match(line);
    }
    stop.abort();
    expect(await outcome).to.equal(undefined);
  });

  it('lets one of two replicas work, keeps the other warm, and hands over on a graceful stop', async () => {
    const leaderElection = {
      namespace,
      name: 'operator',
      leaseDurationMs: 60_000,
      renewDeadlineMs: 40_000,
      retryPeriodMs: 200,
    };
    const worked: string[] = [];
    const replica = (identity: string) => {
      const manager = make({ leaderElection: { ...leaderElection, identity } });
      manager.controller({
        name: 'maps',
        for: manager.cache(configMaps),
        reconcile: (object) => {
          worked.push(`${identity} ${object.metadata.name}`);
          return done();
        },
      });
      return { manager, ...run(manager) };
    };
    const one = replica('one');
    await put('a');
    await eventually('one works', () => worked.includes('one a'));
    const two = replica('two');
    await eventually('two is warm', () => two.manager.cache(configMaps).get(namespace, 'a'));
    await put('b');
    await eventually('one works on', () => worked.includes('one b'));
    expect(worked.some((entry) => entry.startsWith('two'))).to.equal(false);
    expect(await page(two.manager, '/readyz')).to.deep.equal({ code: 200, text: 'ok' });
    const status = async (manager: Manager) =>
      /leader_election_master_status\{name="operator"\} (\d)/.exec((await page(manager, '/metrics')).text)?.[1];
    expect([await status(one.manager), await status(two.manager)]).to.deep.equal(['1', '0']);

    one.stop.abort();
    expect(await one.outcome).to.equal(undefined);
    await eventually('two works on everything', () => worked.includes('two a') && worked.includes('two b'));
    expect(await status(two.manager)).to.equal('1');
  });

  it('drains before it releases the lease', async () => {
    const order: string[] = [];
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const manager = make({
      leaderElection: {
        namespace,
        name: 'drain',
        identity: 'one',
        leaseDurationMs: 60_000,
        renewDeadlineMs: 40_000,
        retryPeriodMs: 200,
      },
    });
    manager.controller({
      name: 'slow',
      for: manager.cache(configMaps),
      reconcile: async () => {
        order.push('begun');
        await held;
        order.push('finished');
        return done();
      },
    });
    const { stop, outcome } = run(manager);
    await put('a');
    await eventually('a reconcile is under way', () => order.length === 1);
    stop.abort();
    const holder = async () => (await client.get(leases, { namespace, name: 'drain' })).spec?.holderIdentity ?? '';
    expect(await holder()).to.equal('one');
    finish();
    expect(await outcome).to.equal(undefined);
    expect(order).to.deep.equal(['begun', 'finished']);
    expect(await holder()).to.equal('');
  });

  it('aborts reconciles at once when the lease is lost, and rejects', async () => {
    const manager = make({
      leaderElection: {
        namespace,
        name: 'lost',
        identity: 'one',
        leaseDurationMs: 60_000,
        renewDeadlineMs: 40_000,
        retryPeriodMs: 100,
      },
      gracefulShutdownMs: 60_000,
    });
    let began = false;
    let reason: unknown;
    manager.controller({
      name: 'stuck',
      for: manager.cache(configMaps),
      reconcile: (_object, { signal }) => {
        began = true;
        return new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            reject(new Error('aborted'));
          });
        });
      },
    });
    const { outcome } = run(manager);
    await put('a');
    await eventually('a reconcile is under way', () => began);
    await eventually('another takes the lease', () =>
      client.patch(
        leases,
        { namespace, name: 'lost' },
        { spec: { holderIdentity: 'other', leaseDurationSeconds: 60 } },
      ),
    );
    expect(await outcome).to.have.property('name', 'LeaseLostError');
    expect(reason).to.have.property('name', 'LeaseLostError');
  });

  it('stops everything and rejects when a runnable fails, or ends before it was told to', async () => {
    const failing = make();
    failing.add({ name: 'intake', start: () => Promise.reject(new Error('port taken')) });
    let stopped = false;
    failing.add({
      name: 'other',
      needsLeaderElection: false,
      start: async (signal) => {
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        stopped = true;
      },
    });
    expect(String(await run(failing).outcome)).to.include('intake failed: port taken');
    expect(stopped).to.equal(true);

    const ending = make();
    ending.add({ name: 'sweeper', start: async () => {} });
    expect(String(await run(ending).outcome)).to.include('sweeper ended before it was told to');
  });

  it('sends the events that wait when it stops, and counts them', async () => {
    // The recorder waits for what is under way for as long as its clock says.
    const manager = make({ clock: new VirtualClock({ epoch: Date.now() }) });
    const recorder = manager.recorder('mercato.dev/test', 'test-0');
    const { stop, outcome } = run(manager);
    const object = await put('a');
    const event = { type: 'Normal' as const, reason: 'Seen', action: 'Look', note: 'seen' };
    recorder.event(object, event);
    await eventually('it is sent', async () =>
      (await page(manager, '/metrics')).text.includes('mercato_events_total{result="sent"} 1'),
    );
    recorder.event(object, event);
    stop.abort();
    expect(await outcome).to.equal(undefined);
    const { items } = await client.list(events, { namespace });
    expect(items.map((item) => item.series?.count)).to.deep.equal([2]);
  });

  it('says which cache does not sync', async () => {
    const manager = make({ cacheSyncTimeoutMs: 300 });
    manager.cache(
      resource({ group: 'none.mercato.dev', version: 'v1', kind: 'None', plural: 'nones', namespaced: true }),
    );
    const { outcome } = run(manager);
    expect(String(await outcome)).to.match(/nones\.none\.mercato\.dev.*is the kind installed/);
  });

  it('fails its liveness when the API server answers but a watch does not advance', async () => {
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    cleanups.push(
      () => through.transport.close(),
      () => proxy.stop(),
    );
    let aheadMillis = 0;
    const manager = make({
      client: through,
      clock: { ...systemClock, monotonic: () => systemClock.monotonic() + aheadMillis },
      cacheDefaults: { ...quick, silenceMs: 3_600_000 },
      staleness: { boundMs: 300_000, answeringMs: 30_000 },
    });
    const cache = manager.cache(configMaps);
    const { stop, outcome } = run(manager);
    await eventually('it has synced', () => cache.hasSynced);
    await put('heard');
    await eventually('its watch runs', () => cache.get(namespace, 'heard'));
    expect((await page(manager, '/healthz')).code).to.equal(200);
    // Only what is open freezes: requests on new connections are answered.
    proxy.freeze();
    aheadMillis += 300_001;
    await put('unheard');
    const failed = await eventually('it is not alive', async () => {
      aheadMillis += 10_000;
      const answer = await page(manager, '/healthz');
      return answer.code === 500 ? answer : undefined;
    });
    expect(failed.text).to.match(/watches failed: the API server answers but nothing was heard of: configmaps/);
    expect((await page(manager, '/readyz')).code, 'readiness is another matter').to.equal(200);
    stop.abort();
    await outcome;
  });

  it('stays alive while the API server is down and after it has come back, however long its watches were silent', async () => {
    const manager = make({ staleness: { boundMs: 100, answeringMs: 60_000 } });
    const cache = manager.cache(configMaps);
    const { stop, outcome } = run(manager);
    await eventually('it has synced', () => cache.hasSynced);
    await plane.killApiServer();
    await eventually('its watches are stale', () => cache.stalenessMs > 500);
    expect(await page(manager, '/healthz')).to.deep.equal({ code: 200, text: 'ok' });
    await plane.startApiServer();
    expect(await page(manager, '/healthz')).to.deep.equal({ code: 200, text: 'ok' });
    await put('after');
    await eventually('the watch is back', () => cache.get(namespace, 'after'));
    stop.abort();
    await outcome;
  });
});
