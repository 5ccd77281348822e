import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ChecksumMismatchError } from './download.ts';
import { ensureBinaries } from './ensure.ts';
import { BuildError } from './go.ts';
import { cacheFolder } from './lookup.ts';

const platform = { os: 'linux', arch: 'amd64' };
const closed = { kubernetes: 'http://127.0.0.1:1', etcd: 'http://127.0.0.1:1' };

describe('ensuring binaries', () => {
  let root: string;
  let env: Record<string, string>;
  let lines: string[];

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'ensure-'));
    env = { MERCATO_CACHE: root, PATH: root };
    lines = [];
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const onProgress = (line: string) => lines.push(line);

  it('asks no network and says nothing when everything is there', async () => {
    const assets = join(root, 'assets');
    mkdirSync(assets);
    writeFileSync(join(assets, 'etcd'), '', { mode: 0o755 });
    const paths = await ensureBinaries(['etcd'], {
      env: { ...env, KUBEBUILDER_ASSETS: assets },
      platform,
      sites: closed,
      onProgress,
    });
    expect(paths.get('etcd')).to.equal(join(assets, 'etcd'));
    expect(lines).to.deep.equal([]);
  });

  it('goes on to a build when the network is closed, with one line that says so', async () => {
    const error = await ensureBinaries(['kube-apiserver', 'kubectl'], {
      env,
      platform,
      sites: closed,
      onProgress,
    }).catch((reason: Error) => reason);
    expect(error).to.be.instanceOf(BuildError);
    expect(lines.filter((line) => line.startsWith('cannot download'))).to.have.lengthOf(1);
    expect(lines).to.include.members([
      'downloading kube-apiserver v1.35.4 (1 of 2)',
      'building kube-apiserver v1.35.4 (1 of 2)',
    ]);
    expect(lines.join('\n')).to.include('KUBEBUILDER_ASSETS');
    expect(existsSync(join(cacheFolder(env, platform), '.lock'))).to.equal(false);
  });

  describe('with a site', () => {
    let url: string;
    let stop: () => void;
    let published: string;
    let requests: number;

    beforeEach((done) => {
      requests = 0;
      published = createHash('sha256').update('program').digest('hex');
      const server = createServer((request, response) => {
        requests += 1;
        response.end(request.url!.endsWith('.sha256') ? published : 'program');
      }).listen(0, '127.0.0.1', () => {
        url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
        stop = () => server.close();
        done();
      });
    });

    afterEach(() => stop());

    it('downloads once for two that ask at the same time, and keeps the program', async () => {
      const options = { env, platform, sites: { ...closed, kubernetes: url }, onProgress };
      const [one, two] = await Promise.all([
        ensureBinaries(['kubectl'], options),
        ensureBinaries(['kubectl'], options),
      ]);
      expect(one.get('kubectl')).to.equal(join(cacheFolder(env, platform), 'kubectl'));
      expect(two).to.deep.equal(one);
      expect(requests).to.equal(2);
    });

    it('removes what a download that was cut short left behind', async () => {
      const leftover = join(cacheFolder(env, platform), '.download-kubectl-x1');
      mkdirSync(leftover, { recursive: true });
      await ensureBinaries(['kubectl'], { env, platform, sites: { ...closed, kubernetes: url } });
      expect(existsSync(leftover)).to.equal(false);
    });

    it('does not build what was tampered with: somebody should look', async () => {
      published = '0'.repeat(64);
      const error = await ensureBinaries(['kubectl'], { env, platform, sites: { ...closed, kubernetes: url } }).catch(
        (reason: Error) => reason,
      );
      expect(error).to.be.instanceOf(ChecksumMismatchError);
    });
  });
});
