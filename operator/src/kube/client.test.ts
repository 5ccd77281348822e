import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { KubeClient } from './client.ts';
import {
  ApiError,
  isAlreadyExists,
  isConflict,
  isForbidden,
  isInvalid,
  isNotFound,
  isTooManyRequests,
  isUnauthorized,
  isUnknownOutcome,
  TransportError,
} from './errors.ts';
import {
  configMaps,
  customResourceDefinitions,
  namespaces,
  type Resource,
  resource,
  serviceAccounts,
} from './resource.ts';
import { clientOf, configOf, eventually } from './testing.ts';
import { createTransport, type Transport } from './transport.ts';
import type { ConfigMap, KubeObject } from './types.ts';

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not fail');
}

interface Widget extends KubeObject {
  spec?: { size?: number };
  status?: { phase?: string; note?: string };
}

const widgets: Resource<Widget> = resource({
  group: 'framework.mercato.dev',
  version: 'v1',
  kind: 'Widget',
  plural: 'widgets',
  namespaced: true,
});

const widgetDefinition = {
  metadata: { name: 'widgets.framework.mercato.dev' },
  spec: {
    group: 'framework.mercato.dev',
    scope: 'Namespaced' as const,
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', properties: { size: { type: 'integer', minimum: 0 } } },
              status: { type: 'object', properties: { phase: { type: 'string' }, note: { type: 'string' } } },
            },
          },
        },
      },
    ],
  },
};

describe('KubeClient', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
    namespace = await uniqueNamespace(plane, 'client');
    await client.create(customResourceDefinitions, widgetDefinition);
    await eventually('the kind is served', () => client.list(widgets, { namespace }));
  });

  after(() => client?.transport.close());

  const configMap = (name: string, data: Record<string, string> = {}): ConfigMap => ({
    metadata: { name, namespace },
    data,
  });

  it('creates, reads, replaces, patches and deletes, without managedFields', async () => {
    const created = await client.create(configMaps, configMap('crud', { a: '1' }));
    expect(created.metadata).not.to.have.property('managedFields');
    expect(await client.get(configMaps, { namespace, name: 'crud' })).to.deep.equal(created);

    const updated = await client.update(configMaps, { ...created, data: { a: '2', b: '3' } });
    expect(updated.data).to.deep.equal({ a: '2', b: '3' });
    const patched = await client.patch(configMaps, { namespace, name: 'crud' }, { data: { b: null, c: '4' } });
    expect(patched.data).to.deep.equal({ a: '2', c: '4' });

    expect(await client.delete(configMaps, { namespace, name: 'crud' })).to.equal(undefined);
    expect(isNotFound(await failureOf(client.get(configMaps, { namespace, name: 'crud' })))).to.equal(true);
  });

  it('returns the object from a delete that a finalizer holds up', async () => {
    await client.create(configMaps, { metadata: { name: 'held', namespace, finalizers: ['mercato.dev/test'] } });
    const held = await client.delete(configMaps, { namespace, name: 'held' });
    expect(held?.metadata.deletionTimestamp).to.be.a('string');
    await client.patch(configMaps, { namespace, name: 'held' }, { metadata: { finalizers: null } });
    expect(isNotFound(await failureOf(client.get(configMaps, { namespace, name: 'held' })))).to.equal(true);
  });

  it('lists page by page, all of one version, with kind and apiVersion in each object', async () => {
    const other = await uniqueNamespace(plane, 'pages');
    for (let i = 0; i < 7; i++) {
      await client.create(configMaps, {
        metadata: { name: `page-${i}`, namespace: other, labels: { odd: String(i % 2) } },
      });
    }
    const sizes: number[] = [];
    for await (const page of client.pages(configMaps, { namespace: other, pageSize: 3, labelSelector: 'odd' })) {
      sizes.push(page.items.length);
    }
    expect(sizes).to.deep.equal([3, 3, 1]);
    const odd = await client.list(configMaps, { namespace: other, labelSelector: 'odd=1' });
    expect(odd.items.map((item) => item.metadata.name)).to.deep.equal(['page-1', 'page-3', 'page-5']);
    expect(odd.items[0]).to.include({ apiVersion: 'v1', kind: 'ConfigMap' });
    expect(odd.resourceVersion).to.match(/^[1-9]\d*$/);
  });

  it('tells refusals apart by type', async () => {
    const created = await client.create(configMaps, configMap('typed'));
    expect(isAlreadyExists(await failureOf(client.create(configMaps, configMap('typed'))))).to.equal(true);
    const conflict = await failureOf(
      client.update(configMaps, { ...created, metadata: { ...created.metadata, resourceVersion: '1' } }),
    );
    expect(isConflict(conflict)).to.equal(true);
    expect(isAlreadyExists(conflict)).to.equal(false);
    const invalid = await failureOf(
      client.create(widgets, { metadata: { name: 'bad', namespace }, spec: { size: -1 } }),
    );
    expect(isInvalid(invalid)).to.equal(true);
    expect((invalid as ApiError).status?.details?.causes?.[0]?.field).to.equal('spec.size');
    expect(isNotFound(await failureOf(client.delete(configMaps, { namespace, name: 'none' })))).to.equal(true);
    expect(
      isConflict(await failureOf(client.delete(configMaps, { namespace, name: 'typed' }, { uid: 'another' }))),
      'a failed precondition of a delete',
    ).to.equal(true);
  });

  it('reports who may not and who is not known', async () => {
    const nobody = new KubeClient(
      createTransport({
        ...(await configOf(plane)),
        tls: () => ({ ca: plane.caPem }),
        authorization: async () => 'Bearer nonsense',
      }),
    );
    expect(isUnauthorized(await failureOf(nobody.list(configMaps, { namespace })))).to.equal(true);
    await nobody.transport.close();
    const limited = new KubeClient(
      createTransport({ ...(await configOf(plane)), headers: { 'impersonate-user': 'nobody' } }),
    );
    expect(isForbidden(await failureOf(limited.list(configMaps, { namespace })))).to.equal(true);
    await limited.transport.close();
  });

  it('refuses a status written against an older version, by merge patch and by apply', async () => {
    const place = { namespace, name: 'guarded' };
    const created = await client.create(widgets, { metadata: place, spec: { size: 1 } });
    const { resourceVersion } = created.metadata;
    expect(resourceVersion).to.be.a('string');
    const first = await client.patchStatus(
      widgets,
      place,
      { status: { phase: 'A' } },
      { resourceVersion: resourceVersion! },
    );
    expect(first.status).to.deep.equal({ phase: 'A' });

    const stale = { resourceVersion: resourceVersion! };
    expect(isConflict(await failureOf(client.patchStatus(widgets, place, { status: { phase: 'B' } }, stale)))).to.equal(
      true,
    );
    expect(isConflict(await failureOf(client.applyStatus(widgets, place, { status: { phase: 'B' } }, stale)))).to.equal(
      true,
    );
    const fresh = { resourceVersion: first.metadata.resourceVersion! };
    const second = await client.applyStatus(widgets, place, { status: { phase: 'C' } }, fresh);
    expect(second.status?.phase).to.equal('C');
    expect(second.spec, 'a status write leaves the spec alone').to.deep.equal({ size: 1 });
  });

  it('applies: creates, takes fields from other managers, and drops what it applied before and does not any more', async () => {
    const place = { namespace, name: 'applied' };
    await client.apply(configMaps, place, { data: { mine: '1', shared: 'mine' } });
    await client.patch(configMaps, place, { data: { shared: 'theirs', foreign: 'x' } }, { fieldManager: 'other' });
    expect(
      isConflict(await failureOf(client.apply(configMaps, place, { data: { shared: 'mine' } }, { force: false }))),
    ).to.equal(true);
    const applied = await client.apply(configMaps, place, { data: { shared: 'mine' } });
    expect(applied.data).to.deep.equal({ shared: 'mine', foreign: 'x' });
    expect(
      isNotFound(await failureOf(client.applyStatus(widgets, { namespace, name: 'none' }, { status: {} }))),
    ).to.equal(true);
  });

  it('stores nothing in a dry run', async () => {
    await client.create(configMaps, configMap('dry'), { dryRun: true });
    expect(isNotFound(await failureOf(client.get(configMaps, { namespace, name: 'dry' })))).to.equal(true);
  });

  it('issues a token for an audience', async () => {
    await client.create(serviceAccounts, { metadata: { name: 'runner', namespace } });
    const { token } = await client.createToken(
      { namespace, name: 'runner' },
      { audiences: ['mercato.dev/stock'], expirationSeconds: 600 },
    );
    const claims = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8'));
    expect(claims.aud).to.deep.equal(['mercato.dev/stock']);
  });

  it('refuses a path that cannot be right before it asks the server', async () => {
    await Promise.all([
      failureOf(client.get(configMaps, { name: 'x' })).then((error) =>
        expect(String(error)).to.include('needs a namespace'),
      ),
      failureOf(client.get(namespaces, { name: 'x', namespace: 'y' })).then((error) =>
        expect(String(error)).to.include('cluster-scoped'),
      ),
    ]);
  });

  it('sends many requests over as many connections as it may have, and measures them', async () => {
    const samples: string[] = [];
    const pooled = await clientOf(plane, {
      connections: 4,
      observer: { requested: ({ method, code }) => samples.push(`${method} ${code}`) },
    });
    await Promise.all(Array.from({ length: 100 }, () => pooled.get(namespaces, { name: namespace })));
    await failureOf(pooled.get(namespaces, { name: 'none-such' }));
    expect(samples).to.have.length(101);
    expect(new Set(samples)).to.deep.equal(new Set(['GET 200', 'GET 404']));
    await pooled.transport.close();
  });
});

/** Answers of servers that misbehave as the real one cannot be made to; what is tested is our side of HTTP, not Kubernetes. */
describe('Transport', () => {
  let server: Server;
  let transport: Transport;
  let seen: { method: string; path: string; authorization: string | undefined }[];
  let answer: (response: ServerResponse, attempt: number) => void;
  let token: string;

  beforeEach(async () => {
    seen = [];
    token = 'first';
    server = createServer((request, response) => {
      seen.push({
        method: request.method ?? '',
        path: request.url ?? '',
        authorization: request.headers.authorization,
      });
      answer(response, seen.length);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    transport = createTransport(
      {
        server: `http://127.0.0.1:${port}`,
        namespace: '',
        tls: () => ({}),
        authorization: async () => `Bearer ${token}`,
      },
      { maxResponseBytes: 1000, timeoutMs: 15_000 },
    );
  });

  afterEach(async () => {
    await transport.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  const reply = (response: ServerResponse, code: number, body: string, headers: Record<string, string> = {}) => {
    response.writeHead(code, { 'content-type': 'application/json', ...headers });
    response.end(body);
  };

  it('sends a shed request again after Retry-After, a write too', async () => {
    answer = (response, attempt) =>
      attempt < 3 ? reply(response, 429, '{}', { 'retry-after': '0' }) : reply(response, 200, '{"ok":true}');
    expect(await transport.request({ method: 'POST', path: '/x', body: {} })).to.deep.equal({ ok: true });
    expect(seen).to.have.length(3);
  });

  it('sends what is urgent while every connection waits for an answer', async () => {
    const waiting: ServerResponse[] = [];
    answer = (response) => (seen.at(-1)?.path === '/lease' ? reply(response, 200, '{}') : void waiting.push(response));
    const others = Array.from({ length: 40 }, () => transport.request({ method: 'PATCH', path: '/run', body: {} }));
    await eventually('all connections are in use', () => waiting.length === 32);
    await transport.request({ method: 'PUT', path: '/lease', body: {}, urgent: true });
    expect(waiting).to.have.length(32);
    answer = (response) => reply(response, 200, '{}');
    for (const response of waiting) reply(response, 200, '{}');
    await Promise.all(others);
  });

  it('repeats a read after 503, but not a write, whose outcome is unknown', async () => {
    answer = (response, attempt) =>
      attempt === 1 ? reply(response, 503, '{}', { 'retry-after': '0' }) : reply(response, 200, '{}');
    await transport.request({ method: 'GET', path: '/x' });
    expect(seen).to.have.length(2);
    seen.length = 0;
    const error = await failureOf(transport.request({ method: 'PUT', path: '/x', body: {} }));
    expect(error).to.be.instanceOf(ApiError).with.property('code', 503);
    expect(isUnknownOutcome(error)).to.equal(true);
    expect(seen).to.have.length(1);
  });

  it('gives up on a server that sheds for longer than the request may take', async () => {
    answer = (response) => reply(response, 429, '{}', { 'retry-after': '60' });
    expect(
      isTooManyRequests(await failureOf(transport.request({ method: 'GET', path: '/x', timeoutMs: 15_000 }))),
    ).to.equal(true);
    expect(seen).to.have.length(1);
  });

  it('reads the token anew when it is refused, once', async () => {
    answer = (response) => {
      const known = seen.at(-1)?.authorization === 'Bearer second';
      token = 'second';
      reply(response, known ? 200 : 401, '{}');
    };
    await transport.request({ method: 'POST', path: '/x', body: {} });
    expect(seen.map((request) => request.authorization)).to.deep.equal(['Bearer first', 'Bearer second']);
  });

  it('does not read more of an answer than it may', async () => {
    answer = (response) => reply(response, 200, JSON.stringify('x'.repeat(5000)));
    const error = await failureOf(transport.request({ method: 'GET', path: '/x' }));
    expect(error).to.be.instanceOf(TransportError).with.property('failure', 'too-large');
  });

  it('takes a success that is not JSON, and a page of a proxy, for what they are', async () => {
    answer = (response) => reply(response, 200, '<html>');
    expect(await failureOf(transport.request({ method: 'GET', path: '/x' }))).to.have.property('failure', 'malformed');
    answer = (response) => reply(response, 502, '<html>bad gateway</html>');
    const error = await failureOf(transport.request({ method: 'PUT', path: '/x', body: {} }));
    expect(error).to.be.instanceOf(ApiError).with.property('code', 502);
    expect((error as Error).message).to.include('bad gateway');
  });

  it('ends a request that gets no answer, by time and by signal', async () => {
    answer = () => {};
    expect(await failureOf(transport.request({ method: 'GET', path: '/x', timeoutMs: 50 }))).to.have.property(
      'failure',
      'timeout',
    );
    const aborter = new AbortController();
    const pending = failureOf(transport.request({ method: 'GET', path: '/y', signal: aborter.signal }));
    // The first may have come to its end before it was sent.
    await eventually('it arrives', () => seen.at(-1)?.path === '/y');
    aborter.abort();
    expect(await pending).to.have.property('failure', 'aborted');
  });

  it('takes an answer that came while this process stood still', async () => {
    answer = (response) => {
      reply(response, 200, '{"ok":true}');
      for (const until = performance.now() + 2_100; performance.now() < until; );
    };
    expect(await transport.request({ method: 'GET', path: '/x', timeoutMs: 2_000 })).to.deep.equal({ ok: true });
  });

  it('repeats a read whose connection broke, but says of a write that its outcome is unknown', async () => {
    answer = (response, attempt) => (attempt === 1 ? response.socket?.destroy() : reply(response, 200, '{}'));
    await transport.request({ method: 'GET', path: '/x' });
    seen.length = 0;
    const error = await failureOf(transport.request({ method: 'POST', path: '/x', body: {} }));
    expect(error).to.have.property('failure', 'connection-lost');
    expect(isUnknownOutcome(error)).to.equal(true);
  });

  it('says of a request that never left that it was not carried out', async () => {
    const { port } = server.address() as AddressInfo;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    const error = await failureOf(transport.request({ method: 'POST', path: '/x', body: {} }));
    expect(error).to.have.property('failure', 'connect');
    expect(isUnknownOutcome(error)).to.equal(false);
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    answer = (response) => reply(response, 200, '{}');
    await transport.request({ method: 'POST', path: '/x', body: {} });
  });
});
