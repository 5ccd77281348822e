import { spawn } from 'node:child_process';
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect } from 'chai';
import { isAlive } from './binaries/lock.ts';
import {
  type ApiResponse,
  attachControlPlane,
  attachOrStartControlPlane,
  ComponentError,
  type ControlPlane,
  KubectlError,
  PortTakenError,
  startControlPlane,
  stopControlPlane,
} from './index.ts';
import { freePort } from './ports.ts';
import { requireBinaries, uniqueNamespace } from './testing.ts';

const fast = { etcdUnsafeNoFsync: true };

/** Polls until the condition holds; a test that never sees it fails by its own time limit. */
async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}

interface Meta {
  readonly metadata: { readonly name: string; readonly resourceVersion: string };
}

const configMap = (name: string) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  data: { key: 'value' },
});
const meta = (answer: ApiResponse) => (answer.body as Meta).metadata;

describe('control plane', function () {
  this.timeout(240_000);
  let plane: ControlPlane;
  let scratch: string;

  before(async () => {
    requireBinaries();
    scratch = mkdtempSync(join(tmpdir(), 'controlplane-test-'));
    plane = await startControlPlane(fast);
  });

  after(async () => {
    await plane?.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('is a real one: it serves, authorises and admits', async () => {
    expect(await plane.request('/readyz')).to.deep.equal({ status: 200, body: 'ok' });
    expect((await plane.request('/version')).body).to.deep.include({ gitVersion: 'v1.35.4', major: '1', minor: '35' });
    expect((await plane.request('/api/v1/namespaces', { authenticate: false })).status).to.equal(403);
    const policies = await plane.request('/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies');
    expect(policies.status).to.equal(200);
  });

  it('issues service-account tokens that its public keys verify', async () => {
    const namespace = await uniqueNamespace(plane);
    const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await plane.request(accounts, { method: 'POST', body: { metadata: { name: 'worker' } } });
    const spec = { audiences: ['inventory'], expirationSeconds: 600 };
    const answer = await plane.request(`${accounts}/worker/token`, { method: 'POST', body: { spec } });
    expect(answer.status).to.equal(201);

    const { token } = (answer.body as { status: { token: string } }).status;
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const decode = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(decode(payload)).to.deep.include({
      iss: plane.url,
      aud: ['inventory'],
      sub: `system:serviceaccount:${namespace}:worker`,
    });

    const keys = await plane.request('/openid/v1/jwks', { authenticate: false });
    expect(keys.status).to.equal(200);
    const jwk = (keys.body as { keys: (JsonWebKey & { kid: string })[] }).keys.find(
      ({ kid }) => kid === decode(header).kid,
    );
    const key = createPublicKey({ key: jwk!, format: 'jwk' });
    expect(decode(header).alg).to.equal('RS256');
    expect(
      verify('RSA-SHA256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')),
    ).to.equal(true);
  });

  it("leads from a token's issuer to its keys, for anybody", async () => {
    const discovery = await plane.request('/.well-known/openid-configuration', { authenticate: false });
    expect(discovery.body).to.deep.include({ issuer: plane.url, jwks_uri: `${plane.url}/openid/v1/jwks` });
  });

  it('knows a user by certificate, and gives no more than RBAC does', async () => {
    const namespace = await uniqueNamespace(plane);
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`;
    const body = {
      metadata: { name: 'viewers' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'Group', apiGroup: 'rbac.authorization.k8s.io', name: 'viewers' }],
    };
    expect((await plane.request(rbac, { method: 'POST', body })).status).to.equal(201);
    await plane.startControllerManager(); // fills the aggregated role "view"
    const kubeconfig = join(scratch, 'viewer.kubeconfig');
    writeFileSync(kubeconfig, await plane.kubeconfigYaml({ user: 'jane', groups: ['viewers'] }));

    const asJane = (...args: string[]) => plane.kubectl(['--kubeconfig', kubeconfig, '-n', namespace, ...args]);
    const whoami = JSON.parse(await asJane('auth', 'whoami', '-o', 'json'));
    expect(whoami.status.userInfo).to.deep.include({ username: 'jane', groups: ['viewers', 'system:authenticated'] });
    await until(() =>
      asJane('get', 'configmaps').then(
        () => true,
        () => false,
      ),
    );
    const refused = await asJane('create', 'configmap', 'x').catch((error: unknown) => error);
    expect(refused).to.be.instanceOf(KubectlError);
    expect((refused as KubectlError).stderr)
      .to.include('forbidden')
      .and.include('jane');
  });

  it('applies what kubectl is given on stdin', async () => {
    const namespace = await uniqueNamespace(plane);
    const said = await plane.kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(configMap('piped')));
    expect(said).to.include('configmap/piped created');
  });

  it('ends a namespace with what is in it, when the controller manager runs', async () => {
    await plane.startControllerManager();
    const namespace = await uniqueNamespace(plane);
    await plane.request(`/api/v1/namespaces/${namespace}/configmaps`, { method: 'POST', body: configMap('inside') });
    await until(
      async () => (await plane.request(`/api/v1/namespaces/${namespace}/serviceaccounts/default`)).status === 200,
    );
    await plane.kubectl(['delete', 'namespace', namespace, '--wait', '--timeout=180s']);
    expect((await plane.request(`/api/v1/namespaces/${namespace}`)).status).to.equal(404);
  });

  it('comes back from SIGKILL under the same URL with everything in it', async () => {
    const namespace = await uniqueNamespace(plane);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    await plane.request(path, { method: 'POST', body: configMap('kept') });
    const { url } = plane;
    const before = plane.pids['kube-apiserver']!;

    await plane.killApiServer();
    expect(isAlive(before)).to.equal(false);
    expect(plane.pids['kube-apiserver']).to.equal(undefined);
    expect(await plane.request('/readyz').catch((error: NodeJS.ErrnoException) => error.code)).to.be.oneOf([
      'ECONNREFUSED',
      'ECONNRESET',
    ]);

    await plane.startApiServer();
    expect(plane.url).to.equal(url);
    expect(plane.pids['kube-apiserver']).to.not.equal(before);
    expect(meta(await plane.request(`${path}/kept`)).name).to.equal('kept');

    const second = plane.pids['kube-apiserver'];
    await plane.startApiServer();
    expect(plane.pids['kube-apiserver'], 'starting what runs does nothing').to.equal(second);
    await plane.restartApiServer();
    expect(plane.pids['kube-apiserver']).to.not.equal(second);
    expect((await plane.request(`${path}/kept`)).status).to.equal(200);
  });

  it('answers 410 to a watch and a list from before the expiry of resource versions', async () => {
    const namespace = await uniqueNamespace(plane);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const old = meta(await plane.request(path, { method: 'POST', body: configMap('one') })).resourceVersion;
    const latest = meta(await plane.request(path, { method: 'POST', body: configMap('two') })).resourceVersion;
    const watch = (from: string) => plane.request(`${path}?watch=true&timeoutSeconds=1&resourceVersion=${from}`);
    const list = (at: string) => plane.request(`${path}?resourceVersionMatch=Exact&resourceVersion=${at}`);
    // It is told for a second, in which a busy API server may send nothing.
    await until(async () => JSON.stringify(await watch(old)).includes('two'));
    expect((await list(old)).status).to.equal(200);

    const oldest = await plane.expireResourceVersions();
    expect(oldest).to.be.at.least(Number(latest));
    const refused = (answer: ApiResponse) => JSON.stringify(answer.body);
    expect(refused(await watch(old)))
      .to.include('"code":410')
      .and.include('Expired');
    expect((await list(old)).status).to.equal(410);
    expect(meta(await plane.request(`${path}/one`)).name, 'what is there now stays').to.equal('one');
  });

  it('compacts etcd while the API server serves', async () => {
    const namespace = await uniqueNamespace(plane);
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const version = Number(meta(await plane.request(path, { method: 'POST', body: configMap('x') })).resourceVersion);
    expect(await plane.compactEtcd()).to.be.at.least(version);
    expect((await plane.request(path)).status).to.equal(200);
  });

  it('leaves no process and no folder after stop, which may be repeated', async () => {
    const own = await startControlPlane(fast);
    const pids = Object.values(own.pids);
    expect(pids).to.have.lengthOf(2);
    expect(existsSync(own.dir)).to.equal(true);
    await own.stop();
    expect(pids.filter(isAlive)).to.deep.equal([]);
    expect(existsSync(own.dir)).to.equal(false);
    await own.stop();
  });

  it('ends with the process that started it, even by SIGKILL', async () => {
    const script = `
      const { startControlPlane } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
      const { pids, dir } = await startControlPlane({ etcdUnsafeNoFsync: true });
      console.log(JSON.stringify({ pids: Object.values(pids), dir }));
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) =>
      parent.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString())),
    );
    const { pids, dir } = JSON.parse(line) as { pids: number[]; dir: string };
    expect(pids.filter(isAlive)).to.have.lengthOf(2);
    parent.kill('SIGKILL');
    await until(() => pids.filter(isAlive).length === 0 && !existsSync(dir));
  });

  it('goes on from a kept folder: data, URL, tokens', async () => {
    const dir = join(scratch, 'kept');
    const first = await startControlPlane({ ...fast, dir });
    const namespace = await uniqueNamespace(first);
    await first.stop();
    expect(existsSync(dir)).to.equal(true);
    const second = await startControlPlane({ ...fast, dir });
    try {
      expect(second.url).to.equal(first.url);
      expect(second.caPem).to.equal(first.caPem);
      expect((await second.request(`/api/v1/namespaces/${namespace}`)).status).to.equal(200);
      const third = await startControlPlane({ ...fast, dir }).catch((error: Error) => error.message);
      expect(third).to.include('already runs').and.include(String(second.pids.etcd));
    } finally {
      await second.stop();
    }
  });

  it('stays when detached, is found again, and is ended by its folder', async () => {
    const dir = join(scratch, 'detached');
    expect(await attachControlPlane(dir)).to.equal(undefined);
    const starter = await startControlPlane({ ...fast, dir, detached: true });
    try {
      const found = await attachControlPlane(dir);
      expect(found?.url).to.equal(starter.url);
      expect(found?.pids).to.deep.equal(starter.pids);
      expect((await found!.request('/readyz')).status).to.equal(200);
      expect((await attachOrStartControlPlane({ dir })).pids, 'no second start').to.deep.equal(starter.pids);
    } finally {
      expect(await stopControlPlane(dir)).to.equal(true);
    }
    expect(Object.values(starter.pids).filter(isAlive)).to.deep.equal([]);
    expect(await stopControlPlane(dir)).to.equal(false);
    expect(await attachControlPlane(dir)).to.equal(undefined);
  });

  it('names the port that is taken, and by whom to look', async () => {
    const apiServer = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(apiServer, '127.0.0.1', resolve));
    try {
      const error = await startControlPlane({ ...fast, ports: { apiServer } }).catch((reason: Error) => reason);
      expect(error).to.be.instanceOf(PortTakenError);
      expect((error as Error).message)
        .to.include(String(apiServer))
        .and.include('kube-apiserver')
        .and.include('lsof');
    } finally {
      server.close();
    }
  });

  it("fails with the end of the component's log and leaves nothing running", async () => {
    const dir = join(scratch, 'failing');
    const error = await startControlPlane({ ...fast, dir, apiServerArgs: ['--no-such-flag'] }).catch(
      (reason: Error) => reason,
    );
    expect(error).to.be.instanceOf(ComponentError);
    const { component, logPath, message } = error as ComponentError;
    expect(component).to.equal('kube-apiserver');
    expect(logPath).to.equal(join(dir, 'logs', 'kube-apiserver.log'));
    expect(message).to.include('ended with status 1').and.include('unknown flag: --no-such-flag').and.include(logPath);
    const { pids } = JSON.parse(readFileSync(join(dir, 'state.json'), 'utf8')) as { pids: object };
    expect(pids).to.deep.equal({});
  });
});
