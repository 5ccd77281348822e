import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { Cache } from '../kube/cache.ts';
import type { KubeClient } from '../kube/client.ts';
import { configMaps, secrets } from '../kube/resource.ts';
import { clientOf, eventually, FreezableProxy } from '../kube/testing.ts';
import type { ConfigMap, Secret } from '../kube/types.ts';
import { Controller, type ControllerOptions, controllingOwner, type Outcome, watches } from './controller.ts';
import { done, requeueAfter, TerminalError } from './result.ts';

describe('Controller', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let stop: AbortController;
  let running: Promise<unknown>[];

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
  });

  after(() => client?.transport.close());

  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'controller');
    stop = new AbortController();
    running = [];
  });

  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
  });

  async function cacheOf<T extends ConfigMap | Secret>(
    resource: typeof configMaps | typeof secrets,
  ): Promise<Cache<T>> {
    const cache = new Cache({ client, resource: resource as typeof configMaps, namespaces: [namespace] });
    running.push(cache.run(stop.signal));
    await cache.synced();
    return cache as unknown as Cache<T>;
  }

  /** A controller of the namespace's ConfigMaps that runs until the test ends, with what it counted. */
  async function start(
    options: Partial<ControllerOptions<ConfigMap>> & Pick<ControllerOptions<ConfigMap>, 'reconcile'>,
  ) {
    const counts: Partial<Record<Outcome | 'panicked' | 'timedOut' | 'retried', number>> = {};
    const count = (what: keyof typeof counts) => {
      counts[what] = (counts[what] ?? 0) + 1;
    };
    const cache = options.for ?? (await cacheOf<ConfigMap>(configMaps));
    const controller = new Controller<ConfigMap>({
      name: 'test',
      for: cache,
      backoff: { baseMs: 1, maxMs: 20 },
      observer: {
        queue: { added() {}, taken() {}, finished() {}, retried: () => count('retried') },
        reconciled: (outcome) => count(outcome),
        panicked: () => count('panicked'),
        timedOut: () => count('timedOut'),
      },
      ...options,
    });
    running.push(controller.run(stop.signal));
    return { controller, cache, counts };
  }

  const put = (name: string, data: Record<string, string> = {}) =>
    client.apply(configMaps, { namespace, name }, { data });

  it('reconciles what is there at the start, what comes, what changes and what goes', async () => {
    await put('early');
    const seen: string[] = [];
    await start({
      reconcile: (object, context) => {
        expect(context).to.include({ namespace, name: object.metadata.name });
        seen.push(`${object.metadata.name} ${object.data?.['n'] ?? '-'}`);
        return done();
      },
      reconcileAbsent: ({ name }) => {
        seen.push(`${name} absent`);
        return done();
      },
    });
    await eventually('the early one', () => seen.length === 1);
    await put('late');
    await eventually('the late one', () => seen.length === 2);
    await put('late', { n: '1' });
    await eventually('its change', () => seen.length === 3);
    await client.delete(configMaps, { namespace, name: 'late' });
    await eventually('its deletion', () => seen.length === 4);
    expect(seen).to.deep.equal(['early -', 'late -', 'late 1', 'late absent']);
  });

  it('carries out a real loop: mirrors each ConfigMap and converges without further writes', async () => {
    await start({
      maxConcurrentReconciles: 4,
      filter: (change) => change.type === 'deleted' || !change.object.metadata.name.endsWith('-mirror'),
      reconcile: async (object) => {
        const name = `${object.metadata.name}-mirror`;
        if (object.metadata.name.endsWith('-mirror')) return done();
        await client.apply(configMaps, { namespace, name }, { data: object.data ?? {} });
        return done();
      },
    });
    await Promise.all(Array.from({ length: 20 }, (_, i) => put(`c${i}`, { i: String(i) })));
    const mirrors = async () =>
      (await client.list(configMaps, { namespace })).items.filter((item) => item.metadata.name.endsWith('-mirror'));
    await eventually('all are mirrored', async () => (await mirrors()).length === 20);
    expect((await mirrors()).every((mirror) => `c${mirror.data?.['i']}-mirror` === mirror.metadata.name)).to.equal(
      true,
    );
  });

  it('retries what fails with backoff, counts it, and goes on with the others', async () => {
    let failures = 3;
    const retries: number[] = [];
    const { counts } = await start({
      reconcile: (object, context) => {
        if (object.metadata.name !== 'bad') return done();
        retries.push(context.retries);
        if (failures-- > 0) throw new Error('not yet');
        return done();
      },
    });
    await put('bad');
    await put('good');
    await eventually('both succeed', () => counts.success === 2);
    expect(counts).to.include({ error: 3, retried: 3 });
    expect(counts.panicked).to.equal(undefined);
    expect(retries).to.deep.equal([0, 1, 2, 3]);
  });

  it('does not retry a terminal error until the object changes', async () => {
    const { counts, controller } = await start({
      reconcile: (object) => {
        if (object.data?.['valid'] !== 'yes') throw new TerminalError('cannot ever work');
        return done();
      },
    });
    await put('a');
    await eventually('it failed', () => counts.terminal === 1);
    expect(controller.queue.length + controller.queue.delayed).to.equal(0);
    expect(counts.retried).to.equal(undefined);
    await put('a', { valid: 'yes' });
    await eventually('it succeeds', () => counts.success === 1);
  });

  it('counts defects of the program apart and survives them', async () => {
    let calls = 0;
    const { counts } = await start({
      reconcile: () => {
        calls += 1;
        if (calls === 1) return (undefined as unknown as { x: { y: never } }).x.y;
        if (calls === 2) throw 'a string';
        return done();
      },
    });
    await put('a');
    await eventually('it succeeds in the end', () => counts.success === 1);
    expect(counts).to.include({ error: 2, panicked: 2 });
  });

  it('looks again after the time that the reconciler asked for', async () => {
    let calls = 0;
    const { counts } = await start({ reconcile: () => (++calls < 3 ? requeueAfter(5) : done()) });
    await put('a');
    await eventually('it came back twice', () => counts.success === 1);
    expect(counts.requeue_after).to.equal(2);
  });

  it('never runs two reconciles of one key, nor more at a time than it may', async () => {
    const active = new Map<string, number>();
    const together: number[] = [];
    let open = () => {};
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const { controller, counts } = await start({
      maxConcurrentReconciles: 3,
      reconcile: async (_object, { key }) => {
        active.set(key, (active.get(key) ?? 0) + 1);
        together.push([...active.values()].reduce((sum, n) => sum + n, 0));
        expect(active.get(key)).to.equal(1);
        await gate;
        active.set(key, active.get(key)! - 1);
        return done();
      },
    });
    for (let round = 0; round < 3; round++) {
      await Promise.all(['a', 'b', 'c', 'd', 'e'].map((name) => put(name, { round: String(round) })));
    }
    await eventually(
      'all workers are busy and the rest waits',
      () => controller.active === 3 && controller.queue.length === 2,
    );
    open();
    await eventually('all is quiet', () => controller.active === 0 && controller.queue.length === 0);
    expect(Math.max(...together)).to.equal(3);
    expect(counts.error).to.equal(undefined);
  });

  it('aborts the signal of a reconcile that takes too long, and keeps its key until it returns', async () => {
    let entered = 0;
    const leave = Promise.withResolvers<void>();
    const { cache, counts, controller } = await start({
      reconcileTimeoutMs: 30,
      maxConcurrentReconciles: 2,
      reconcile: async (_object, { signal }) => {
        entered += 1;
        if (entered > 1) return done();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
        await leave.promise;
        signal.throwIfAborted();
        return done();
      },
    });
    await put('slow');
    await eventually('it is told to end', () => counts.timedOut === 1);
    await put('slow', { again: '1' });
    await eventually('its key is asked for again', () => cache.get(namespace, 'slow')?.data?.['again'] === '1');
    expect([controller.active, entered], 'no second worker on the key').to.deep.equal([1, 1]);
    leave.resolve();
    await eventually('it succeeds the second time', () => (counts.success ?? 0) > 0);
    expect(counts).to.include({ timedOut: 1, error: 1 });
  });

  it('maps secondary objects to its own, by old and by new state', async () => {
    const own = await cacheOf<ConfigMap>(configMaps);
    const others = await cacheOf<Secret>(secrets);
    const seen: string[] = [];
    await put('x');
    await put('y');
    await eventually('both are cached', () => own.size === 2);
    await start({
      for: own,
      watches: [watches(others, (secret) => [{ namespace, name: secret.metadata.labels?.['for'] ?? '' }])],
      reconcile: (object) => {
        seen.push(object.metadata.name);
        return done();
      },
    });
    await eventually('the start is over', () => seen.length === 2);
    await client.create(secrets, { metadata: { name: 's', namespace, labels: { for: 'x' } } });
    await eventually('x hears of its secret', () => seen.length === 3);
    await client.patch(secrets, { namespace, name: 's' }, { metadata: { labels: { for: 'y' } } });
    await eventually('both hear of the move', () => seen.length === 5);
    expect(seen.slice(2)).to.deep.equal(['x', 'x', 'y']);
  });

  it('maps an owned object to its controlling owner, and to no other', () => {
    const owner = (kind: string, apiVersion: string, controller: boolean) => ({
      kind,
      apiVersion,
      name: 'o',
      uid: 'u',
      controller,
    });
    const map = controllingOwner(configMaps);
    const owned = (...ownerReferences: ReturnType<typeof owner>[]) => ({
      metadata: { name: 'x', namespace: 'ns', ownerReferences },
    });
    expect(map(owned(owner('ConfigMap', 'v1', true)))).to.deep.equal([{ namespace: 'ns', name: 'o' }]);
    expect(
      map(owned(owner('ConfigMap', 'v1', false), owner('ConfigMap', 'other/v1', true), owner('Secret', 'v1', true))),
    ).to.deep.equal([]);
    expect(map({ metadata: { name: 'x' } })).to.deep.equal([]);
  });

  it('does not act on a cache that is older than its own last write', async () => {
    // A charge for each reconcile that sees none: with a stale read the card is charged twice. Argo Workflows lost this race (#13986).
    const orders = Array.from({ length: 5 }, (_, i) => `order-${i}`);
    await Promise.all(orders.map((name) => put(name)));
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    const cache = new Cache<ConfigMap>({ client: through, resource: configMaps, namespaces: [namespace] });
    running.push(cache.run(stop.signal));
    await cache.synced();
    await eventually('the watch runs', () => proxy.connections > 1);
    try {
      // From here the cache shows the past, until the reflector has another connection.
      proxy.freeze();
      const fence = cache.fence();
      let charges = 0;
      const { controller, counts } = await start({
        for: cache,
        fence,
        reconcile: async (object, { name }) => {
          if (object.data?.['charged'] === 'yes') return done();
          charges += 1;
          fence.wrote(await client.patch(configMaps, { namespace, name }, { data: { charged: 'yes' } }));
          return done();
        },
      });
      await eventually('each is charged', () => charges === orders.length && controller.active === 0);
      for (const name of orders) controller.enqueue({ namespace, name });
      await eventually('each was looked at again, in vain', () => (counts.stale ?? 0) >= orders.length);
      await proxy.stop();
      await proxy.restart();
      await eventually('the cache has caught up', () =>
        cache.list().every((order) => order.data?.['charged'] === 'yes'),
      );
      await eventually(
        'all is quiet',
        () => controller.queue.length + controller.queue.delayed + controller.active === 0,
      );
      expect(charges).to.equal(orders.length);
      expect(fence.size).to.equal(0);
    } finally {
      stop.abort();
      await through.transport.close();
      await proxy.stop();
    }
  });

  it('lets timers run while reconciles that never wait keep it busy', async () => {
    let reconciles = 0;
    await start({
      maxConcurrentReconciles: 2,
      reconcile: () => {
        reconciles += 1;
        return requeueAfter(0);
      },
    });
    await put('busy');
    await eventually('it spins', () => reconciles > 0);
    const before = reconciles;
    // Without the yield this timer, and with it a lease's renewal, would never fire.
    await new Promise((resolve) => setTimeout(resolve, 1));
    expect(reconciles).to.be.above(before);
  });

  it('finishes what is under way when it stops, and begins nothing more', async () => {
    let begun = 0;
    let finish = () => {};
    const held = new Promise<void>((resolve) => {
      finish = resolve;
    });
    let cut = false;
    const { controller } = await start({
      reconcile: async (_object, { signal }) => {
        begun += 1;
        await held;
        cut = signal.aborted;
        return done();
      },
    });
    await put('a');
    await put('b');
    await eventually('one is under way and one waits', () => begun === 1 && controller.queue.length === 1);
    stop.abort();
    finish();
    await Promise.all(running);
    expect(begun).to.equal(1);
    expect(cut, 'within the bound it may finish').to.equal(false);
  });

  it('aborts what does not finish within the bound of a drain', async () => {
    const cache = await cacheOf<ConfigMap>(configMaps);
    let aborted = false;
    const controller = new Controller<ConfigMap>({
      name: 'stuck',
      for: cache,
      reconcile: (_object, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(new Error('aborted'));
          });
        }),
    });
    const ended = controller.run(stop.signal, { drainMs: 30 });
    await put('a');
    await eventually('it is stuck', () => controller.active === 1);
    stop.abort();
    await ended;
    expect(aborted).to.equal(true);
  });

  it('refuses to be started twice, or without workers', async () => {
    const { controller } = await start({ reconcile: () => done() });
    const failure = await controller.run(stop.signal).catch((error: unknown) => error);
    expect(String(failure)).to.include('started before');
    const make = () =>
      new Controller({ name: 'x', for: controller.cache, reconcile: () => done(), maxConcurrentReconciles: 0 });
    expect(make).to.throw(RangeError, 'maxConcurrentReconciles');
  });
});
