import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import { ConfigError, configFromFile, configFromText, configInCluster, loadConfig } from './config.ts';
import { isUnauthorized } from './errors.ts';
import { clientOf, configOf, eventually } from './testing.ts';
import { createTransport } from './transport.ts';

const kubeconfig = {
  'current-context': 'main',
  clusters: [
    {
      name: 'c',
      cluster: { server: 'https://127.0.0.1:1/', 'certificate-authority-data': Buffer.from('CA').toString('base64') },
    },
  ],
  users: [{ name: 'u', user: { token: 'secret' } }],
  contexts: [
    { name: 'main', context: { cluster: 'c', user: 'u', namespace: 'shop' } },
    { name: 'broken', context: { cluster: 'none', user: 'u' } },
  ],
};

describe('cluster configuration', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const write = (name: string, text: string) => {
    const file = join(directory, name);
    writeFileSync(file, text);
    return file;
  };

  it('reads a kubeconfig', async () => {
    const config = configFromText(JSON.stringify(kubeconfig));
    expect(config).to.include({ server: 'https://127.0.0.1:1', namespace: 'shop' });
    expect(config.tls()).to.deep.equal({ ca: 'CA' });
    expect(await config.authorization(false)).to.equal('Bearer secret');
  });

  it('reads files relative to the kubeconfig, anew each time', async () => {
    write('ca.pem', 'first');
    write('token', 'one\n');
    const config = configFromFile(
      write(
        'config',
        JSON.stringify({
          ...kubeconfig,
          clusters: [{ name: 'c', cluster: { server: 'https://127.0.0.1:1', 'certificate-authority': 'ca.pem' } }],
          users: [{ name: 'u', user: { tokenFile: 'token', as: 'jane' } }],
        }),
      ),
    );
    expect([config.tls().ca, await config.authorization(false)]).to.deep.equal(['first', 'Bearer one']);
    write('ca.pem', 'second');
    write('token', 'two');
    expect([config.tls().ca, await config.authorization(false)]).to.deep.equal(['second', 'Bearer two']);
    expect(config.headers).to.deep.equal({ 'impersonate-user': 'jane' });
  });

  it('asks a credential plugin', async () => {
    const credential = {
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      status: { token: 'from-plugin' },
    };
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: process.execPath,
      args: ['-e', `console.log('${JSON.stringify(credential)}')`],
      interactiveMode: 'Never',
    };
    const config = configFromText(JSON.stringify({ ...kubeconfig, users: [{ name: 'u', user: { exec } }] }));
    expect(await config.authorization(false)).to.equal('Bearer from-plugin');
  }).timeout(30_000);

  it('finds the service account of a pod, and its token as it is now', async () => {
    write('ca.crt', 'CA');
    write('token', 'one');
    write('namespace', 'shop\n');
    const config = configInCluster({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, directory);
    expect(config).to.include({ server: 'https://[fd00::1]:6443', namespace: 'shop' });
    write('token', 'two');
    expect(await config.authorization(false)).to.equal('Bearer two');
  });

  it('says which file and which entry is wrong', () => {
    const failure = (fn: () => unknown) => {
      try {
        fn();
      } catch (error) {
        expect(error).to.be.instanceOf(ConfigError);
        return (error as Error).message;
      }
      throw new Error('it did not fail');
    };
    expect(failure(() => configFromFile(join(directory, 'none')))).to.include(join(directory, 'none'));
    expect(failure(() => configFromText('{'))).to.include('not YAML');
    expect(failure(() => configFromText('just text'))).to.include('expected an object');
    expect(failure(() => configFromText(JSON.stringify(kubeconfig), { context: 'broken' }))).to.include(
      'clusters has no entry "none"',
    );
    expect(failure(() => configFromText(JSON.stringify(kubeconfig), { context: 'absent' }))).to.include(
      'contexts has no entry "absent"',
    );
    expect(failure(() => loadConfig({ env: { KUBECONFIG: join(directory, 'none') } }))).to.include(
      'KUBECONFIG names no file',
    );
  });

  it('takes the first file of KUBECONFIG that exists', () => {
    const file = write('config', JSON.stringify(kubeconfig));
    expect(loadConfig({ env: { KUBECONFIG: `${directory}/none:${file}` } }).namespace).to.equal('shop');
  });
});

describe('rotation of credentials', function () {
  this.timeout(60_000);
  let plane: ControlPlane;

  before(async () => {
    plane = await sharedControlPlane();
  });

  it('follows a token that the kubelet replaces, within a minute', async () => {
    const admin = await clientOf(plane);
    const namespace = await uniqueNamespace(plane, 'rotation');
    await plane.kubectl(['create', 'serviceaccount', 'pod', '-n', namespace]);
    const { token } = await admin.createToken({ namespace, name: 'pod' }, { audiences: [] });
    const clock = new VirtualClock();
    let file = token;
    let reads = 0;
    const config = {
      ...(await configOf(plane)),
      tls: () => ({ ca: plane.caPem }),
      authorization: async () => {
        reads += 1;
        return `Bearer ${file}`;
      },
    };
    const transport = createTransport(config, { clock });
    const ask = () => transport.request({ method: 'GET', path: '/api' });
    await ask();
    await ask();
    expect(reads, 'believed for a minute').to.equal(1);
    clock.advance(60_001);
    await ask();
    expect(reads).to.equal(2);
    file = 'expired';
    clock.advance(60_001);
    const refused = await ask().catch((error: unknown) => error);
    expect(isUnauthorized(refused)).to.equal(true);
    file = token;
    await ask();
    await transport.close();
    await admin.transport.close();
  });

  it('starts new connections when the CA changes, without failing what is under way', async () => {
    let ca = plane.caPem;
    const transport = createTransport({ ...(await configOf(plane)), tls: () => ({ ...adminTls(), ca }) });
    const adminTls = () => ({ cert: plane.adminCertificate.certPem, key: plane.adminCertificate.keyPem });
    const lines: string[] = [];
    const stop = new AbortController();
    await transport.request({ method: 'GET', path: '/api' });
    const watching = transport
      .stream(
        { method: 'GET', path: '/api/v1/namespaces', query: { watch: true }, signal: stop.signal },
        { open: () => {}, line: (text) => lines.push(text) },
      )
      .catch((error: unknown) => error);
    ca = `${plane.caPem}\n${plane.caPem}`;
    transport.reloadCredentials();
    await transport.request({ method: 'GET', path: '/api' });
    const name = await uniqueNamespace(plane, 'after-rotation');
    await eventually('the watch goes on', () => lines.some((line) => line.includes(name)));
    ca = 'not a certificate of this server';
    transport.reloadCredentials();
    expect(await transport.request({ method: 'GET', path: '/api' }).catch((error: unknown) => error)).to.have.property(
      'failure',
      'connect',
    );
    ca = plane.caPem;
    transport.reloadCredentials();
    await transport.request({ method: 'GET', path: '/api' });
    stop.abort();
    await watching;
    await transport.close();
  });
});
