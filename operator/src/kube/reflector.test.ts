import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from '@mercato/controlplane';
import { uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { Cache, type CacheOptions } from './cache.ts';
import { KubeClient } from './client.ts';
import type { ReflectorObserver } from './reflector.ts';
import { configMaps } from './resource.ts';
import { breakableControlPlane, clientOf, eventually, FreezableProxy } from './testing.ts';
import { createTransport } from './transport.ts';
import type { ConfigMap } from './types.ts';

/** Counts what a reflector tells. */
function counting(): ReflectorObserver & { counts: Record<string, number> } {
  const counts: Record<string, number> = {};
  const count = (what: string) => {
    counts[what] = (counts[what] ?? 0) + 1;
  };
  return {
    counts,
    listed: () => count('listed'),
    listFailed: () => count('listFailed'),
    watchStarted: () => count('watchStarted'),
    watchEnded: (why) => count(why),
    progressed: () => count('progressed'),
    handlerFailed: () => count('handlerFailed'),
  };
}

const tight = { backoff: { baseMs: 20, maxMs: 100 }, relistJitterMs: 10 };

describe('Cache and Reflector', function () {
  this.timeout(90_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let stop: AbortController;
  let running: Promise<void>[];

  before(async () => {
    plane = await breakableControlPlane();
    client = await clientOf(plane);
  });

  after(() => client?.transport.close());

  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'reflector');
    stop = new AbortController();
    running = [];
  });

  afterEach(async () => {
    stop.abort();
    await Promise.all(running);
  });

  async function start(options: Partial<CacheOptions<ConfigMap>> = {}): Promise<Cache<ConfigMap>> {
    const cache = new Cache<ConfigMap>({ client, resource: configMaps, namespaces: [namespace], ...tight, ...options });
    running.push(cache.run(stop.signal));
    await cache.synced();
    return cache;
  }

  const put = (name: string, data: Record<string, string> = {}) =>
    client.apply(configMaps, { namespace, name }, { data });
  const remove = (name: string) => client.delete(configMaps, { namespace, name });
  const names = (cache: Cache<ConfigMap>) => [...cache.values()].map((object) => object.metadata.name).sort();

  it('lists, then follows additions, changes and deletions, and says each once and in order', async () => {
    await put('a', { n: '0' });
    const cache = await start({ pageSize: 1 });
    const seen: string[] = [];
    cache.onChange((change) => seen.push(`${change.type} ${change.key}`));
    await put('b');
    await put('a', { n: '1' });
    await remove('b');
    await eventually('the deletion is seen', () => seen.length === 3);
    expect(seen).to.deep.equal([`added ${namespace}/b`, `updated ${namespace}/a`, `deleted ${namespace}/b`]);
    expect(cache.get(namespace, 'a')?.data).to.deep.equal({ n: '1' });
    expect(cache.get(namespace, 'a')?.metadata).not.to.have.property('managedFields');
  });

  it('stores what transform leaves, and indexes that', async () => {
    await put('a', { colour: 'red', bulk: 'x'.repeat(1000) });
    const cache = await start({
      transform: (object) => ({ ...object, data: { colour: object.data?.['colour'] ?? '' } }),
      indexes: { colour: (object) => [object.data?.['colour'] ?? ''] },
    });
    await put('b', { colour: 'red', bulk: 'y' });
    await eventually('both are indexed', () => cache.countByIndex('colour', 'red') === 2);
    expect(cache.list().map((object) => Object.keys(object.data ?? {}))).to.deep.equal([['colour'], ['colour']]);
    await put('b', { colour: 'blue' });
    await eventually('one has moved', () => cache.countByIndex('colour', 'blue') === 1);
    expect(cache.byIndex('colour', 'red').map((object) => object.metadata.name)).to.deep.equal(['a']);
  });

  it('goes on when a handler throws, counts it, and lets the other handlers hear', async () => {
    const observer = counting();
    const cache = await start({ observer });
    const heard: string[] = [];
    cache.onChange(() => {
      throw new Error('a bad handler');
    });
    cache.onChange((change) => heard.push(change.key));
    await put('a');
    await put('b');
    await eventually('both are heard', () => heard.length === 2);
    expect(observer.counts['handlerFailed']).to.equal(2);
  });

  it('loses nothing and repeats nothing when the API server is killed and comes back', async () => {
    const observer = counting();
    for (const name of ['kept', 'changed', 'removed']) await put(name);
    const cache = await start({ observer });
    const changes: string[] = [];
    cache.onChange((change) => changes.push(`${change.type} ${change.key.slice(namespace.length + 1)}`));

    await plane.killApiServer();
    await eventually('the watch noticed', () => (observer.counts['disconnected'] ?? 0) > 0);
    await plane.startApiServer();
    await put('changed', { n: '1' });
    await remove('removed');
    await put('added');
    await eventually('the last change is seen', () => cache.get(namespace, 'added'), 30_000);

    expect(names(cache)).to.deep.equal(['added', 'changed', 'kept']);
    // In any order: a server that starts may refuse the watch for so long that a list tells of all at once.
    expect(changes, 'each change once, and nothing of what did not change').to.have.members([
      'updated changed',
      'deleted removed',
      'added added',
    ]);
  });

  it('lists anew after a 410 and sees the deletions that no event told', async () => {
    const observer = counting();
    for (const name of ['kept', 'removed', 'changed']) await put(name);
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    // The reflector cannot connect while the world moves on and its version is compacted away.
    const cache = await start({ client: through, observer });
    const changes: string[] = [];
    cache.onChange((change) => changes.push(`${change.type} ${change.key.slice(namespace.length + 1)}`));
    await proxy.stop();
    await eventually('the watch broke off', () => (observer.counts['disconnected'] ?? 0) > 0);
    await remove('removed');
    await put('changed', { n: '1' });
    await put('added');
    await plane.expireResourceVersions();
    await proxy.restart();

    await eventually('the new list is in', () => cache.get(namespace, 'added'), 30_000);
    expect(observer.counts['expired']).to.equal(1);
    expect(observer.counts['listed']).to.equal(2);
    expect(changes.sort()).to.deep.equal(['added added', 'deleted removed', 'updated changed']);
    await put('after');
    await eventually('the watch goes on', () => cache.get(namespace, 'after'));
    await through.transport.close();
    await proxy.stop();
  });

  it('replaces a connection that went dead without a word', async () => {
    const observer = counting();
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    const cache = await start({ client: through, observer, silenceMs: 1_500 });
    await eventually('the watch runs', () => (observer.counts['watchStarted'] ?? 0) > 0);
    proxy.freeze();
    await put('unheard');
    await eventually('it is heard on a new connection', () => cache.get(namespace, 'unheard'));
    expect(observer.counts['silent']).to.be.at.least(1);
    expect(observer.counts['listed'], 'resumed, not listed anew').to.equal(1);
    stop.abort();
    await Promise.all(running);
    await through.transport.close();
    await proxy.stop();
  });

  it('feeds the fence: what is read between our write and its event is not fresh', async () => {
    // Argo Workflows #13986: a reconcile in that gap sees the object as it was and does everything a second time.
    for (const name of ['order', 'gone']) await put(name);
    const proxy = await FreezableProxy.start(plane.url);
    const through = await clientOf(plane, { server: proxy.url });
    const observer = counting();
    const cache = await start({ client: through, observer });
    await eventually('the watch runs', () => (observer.counts['watchStarted'] ?? 0) > 0);
    const fence = cache.fence();
    const fresh = (name: string) => fence.isFreshAt({ namespace, name }, cache.get(namespace, name));
    expect([fresh('order'), fresh('gone'), fresh('new')]).to.deep.equal([true, true, true]);

    proxy.freeze();
    const gone = await client.get(configMaps, { namespace, name: 'gone' });
    await remove('gone');
    fence.deleted(gone);
    fence.wrote(await put('order', { step: 'charged' }));
    fence.wrote(await put('new'));
    expect([fresh('order'), fresh('gone'), fresh('new')]).to.deep.equal([false, false, false]);

    await proxy.stop();
    await proxy.restart();
    await eventually('the cache has caught up', () => fresh('order') && fresh('gone') && fresh('new'));
    expect(cache.get(namespace, 'order')?.data).to.deep.equal({ step: 'charged' });
    expect(names(cache)).to.deep.equal(['new', 'order']);
    expect(fence.size).to.equal(0);
    fence.wrote(await client.get(configMaps, { namespace, name: 'order' }));
    expect(fence.size, 'an answer that comes after its event needs no entry').to.equal(0);
    stop.abort();
    await Promise.all(running);
    await through.transport.close();
    await proxy.stop();
  });
});

/** Streams that the real API server cannot be made to send. */
describe('Reflector, fed with broken streams', () => {
  let server: Server;
  let client: KubeClient;
  let lists: number;
  let watches: ((response: ServerResponse) => void)[];

  const object = (name: string, version: number) => ({
    metadata: { name, namespace: 'ns', uid: name, resourceVersion: String(version) },
  });
  const event = (type: string, name: string, version: number) =>
    `${JSON.stringify({ type, object: object(name, version) })}\n`;

  beforeEach(async () => {
    lists = 0;
    watches = [];
    server = createServer((request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      if (request.url?.includes('watch=true')) {
        const next = watches.shift();
        if (next === undefined) response.flushHeaders();
        else next(response);
        return;
      }
      lists += 1;
      response.end(
        JSON.stringify({ metadata: { resourceVersion: String(lists * 100) }, items: [object('listed', lists * 100)] }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    client = new KubeClient(
      createTransport({
        server: `http://127.0.0.1:${port}`,
        namespace: '',
        tls: () => ({}),
        authorization: async () => undefined,
      }),
    );
  });

  afterEach(async () => {
    await client.transport.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  async function follow(
    check: (cache: Cache<ConfigMap>, counts: Record<string, number>) => Promise<void>,
  ): Promise<void> {
    const stop = new AbortController();
    const observer = counting();
    const cache = new Cache<ConfigMap>({ client, resource: configMaps, ...tight, observer });
    const running = cache.run(stop.signal);
    try {
      await check(cache, observer.counts);
    } finally {
      stop.abort();
      await running;
    }
  }

  for (const [what, line] of [
    ['is not JSON', '{"type":"ADDED","object":{"meta\n'],
    ['has an unknown type', '{"type":"RENAMED","object":{"metadata":{"name":"x"}}}\n'],
    ['has no object', '{"type":"ADDED"}\n'],
    ['has no name', '{"type":"MODIFIED","object":{"metadata":{}}}\n'],
    ['is null', 'null\n'],
  ] as const) {
    it(`counts a line that ${what}, and lists anew`, () => {
      watches.push((response) => response.write(event('ADDED', 'first', 101) + line + event('ADDED', 'after-it', 102)));
      return follow(async (cache, counts) => {
        await eventually('a second list', () => lists === 2 && cache.observedVersion('ns') === '200');
        expect(counts['malformed']).to.equal(1);
        expect(cache.get('ns', 'after-it'), 'nothing after the broken line is believed').to.equal(undefined);
        expect(cache.get('ns', 'first'), 'the new list is the truth').to.equal(undefined);
      });
    });
  }

  it('joins an event that arrives in pieces, also within a character', () => {
    const bytes = Buffer.from(event('ADDED', 'café', 101));
    const middle = bytes.indexOf(0xa9);
    watches.push((response) => {
      response.write(bytes.subarray(0, middle));
      setImmediate(() => response.write(bytes.subarray(middle)));
    });
    return follow(async (cache, counts) => {
      await eventually('the event', () => cache.get('ns', 'café'));
      expect(counts['malformed']).to.equal(undefined);
    });
  });

  it('lists anew after an ERROR event with 410, and resumes after one with 500', () => {
    const error = (code: number) =>
      `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code, reason: 'x' } })}\n`;
    watches.push(
      (response) => response.write(event('ADDED', 'first', 101) + error(500)),
      (response) => response.write(error(410)),
    );
    return follow(async (_cache, counts) => {
      await eventually('a second list', () => lists === 2);
      expect(counts).to.include({ refused: 1, expired: 1 });
    });
  });

  it('accepts a list that is older than what it saw, as after a restored backup, and lets the fences go', () => {
    watches.push(
      (response) => response.write(event('ADDED', 'lost', 5000)),
      (response) => response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410 } })}\n`),
    );
    return follow(async (cache, counts) => {
      const fence = cache.fence();
      fence.wrote({ metadata: { name: 'listed', namespace: 'ns', uid: 'listed', resourceVersion: '6000' } });
      await eventually('the event', () => cache.get('ns', 'lost'));
      expect(fence.isFresh(cache.get('ns', 'listed')!)).to.equal(false);
      server.closeAllConnections();
      await eventually('a second list', () => lists === 2 && cache.observedVersion('ns') === '200');
      expect(counts['expired']).to.equal(1);
      expect(cache.get('ns', 'lost')).to.equal(undefined);
      expect(fence.isFresh(cache.get('ns', 'listed')!)).to.equal(true);
    });
  });

  it('does not ask without pause a server that closes each watch at once', () => {
    let asked = 0;
    for (let i = 0; i < 1000; i++) {
      watches.push((response) => {
        asked += 1;
        response.end();
      });
    }
    return follow(async (_cache, counts) => {
      await eventually('some closed watches', () => (counts['closed'] ?? 0) >= 4);
      // 20 + 40 + 80 ms have passed at least; without backoff it would have asked hundreds of times.
      expect(asked).to.be.below(10);
      expect(lists).to.equal(1);
    });
  });
});
