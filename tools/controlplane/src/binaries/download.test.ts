import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ETCD_VERSION, KUBERNETES_VERSION } from '../versions.ts';
import { ChecksumMismatchError, DownloadUnavailableError, download, downloadSites } from './download.ts';

const linux = { os: 'linux', arch: 'amd64' };
const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

describe('downloading official binaries', () => {
  const content = new Map<string, string | Buffer>();
  let server: Server;
  let base: string;
  let folder: string;

  before((done) => {
    server = createServer((request, response) => {
      const body = content.get(request.url!);
      response.writeHead(body === undefined ? 404 : 200).end(body);
    }).listen(0, '127.0.0.1', () => {
      base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      done();
    });
  });

  after((done) => {
    server.close(done);
  });

  beforeEach(() => {
    content.clear();
    folder = mkdtempSync(join(tmpdir(), 'download-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const kubectl = `/release/${KUBERNETES_VERSION}/bin/linux/amd64/kubectl`;
  const get = (name: 'kubectl' | 'etcd' | 'kube-apiserver', platform = linux, bytes: number[] = []) =>
    download(name, folder, platform, { kubernetes: base, etcd: base }, (received) => bytes.push(received));

  const failure = async (attempt: Promise<void>): Promise<Error> => {
    const error = await attempt.then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error, 'the download should fail').to.be.an('error');
    return error!;
  };

  it('keeps a program whose checksum is the published one, executable', async () => {
    content.set(kubectl, 'the program').set(`${kubectl}.sha256`, `${sha256('the program')}\n`);
    const bytes: number[] = [];
    await get('kubectl', linux, bytes);
    expect(readFileSync(join(folder, 'kubectl'), 'utf8')).to.equal('the program');
    expect(statSync(join(folder, 'kubectl')).mode & 0o777).to.equal(0o755);
    expect(bytes.at(-1)).to.equal('the program'.length);
    expect(readdirSync(folder)).to.deep.equal(['kubectl']);
  });

  it('refuses a program whose checksum is another, and leaves nothing of it', async () => {
    content.set(kubectl, 'the program, and more').set(`${kubectl}.sha256`, sha256('the program'));
    const error = await failure(get('kubectl'));
    expect(error).to.be.instanceOf(ChecksumMismatchError);
    expect(error.message).to.include(`${base}${kubectl}`).and.include(sha256('the program')).and.include('refused');
    expect(readdirSync(folder)).to.deep.equal([]);
  });

  it('takes etcd out of its release archive', async () => {
    const name = `etcd-${ETCD_VERSION}-linux-amd64`;
    const source = mkdtempSync(join(tmpdir(), 'archive-'));
    mkdirSync(join(source, name));
    writeFileSync(join(source, name, 'etcd'), 'etcd itself');
    writeFileSync(join(source, name, 'README.md'), 'not wanted');
    const archive = execFileSync('tar', ['-czf', '-', '-C', source, name]);
    rmSync(source, { recursive: true });
    const sums = `${sha256('x')}  ${name}.zip\n${sha256(archive)}  ${name}.tar.gz\n`;
    content.set(`/${ETCD_VERSION}/${name}.tar.gz`, archive).set(`/${ETCD_VERSION}/SHA256SUMS`, sums);
    await get('etcd');
    expect(readFileSync(join(folder, 'etcd'), 'utf8')).to.equal('etcd itself');
    expect(readdirSync(folder)).to.deep.equal(['etcd']);
  });

  it('refuses an etcd archive whose checksum is another', async () => {
    const name = `etcd-${ETCD_VERSION}-linux-amd64.tar.gz`;
    content
      .set(`/${ETCD_VERSION}/${name}`, 'tampered')
      .set(`/${ETCD_VERSION}/SHA256SUMS`, `${sha256('archive')}  ${name}\n`);
    expect(await failure(get('etcd'))).to.be.instanceOf(ChecksumMismatchError);
  });

  it('is unavailable where the release is not published', async () => {
    const error = await failure(get('kubectl'));
    expect(error).to.be.instanceOf(DownloadUnavailableError);
    expect(error.message).to.include('404');
  });

  it('is unavailable where a portal answers every request with a page of its own', async () => {
    content.set(kubectl, '<html>').set(`${kubectl}.sha256`, '<html>please log in</html>');
    const error = await failure(get('kubectl'));
    expect(error).to.be.instanceOf(DownloadUnavailableError);
    expect(error.message).to.include('SHA-256');
  });

  it('is unavailable where nothing listens, and says what happened', async () => {
    const sites = { kubernetes: 'http://127.0.0.1:1', etcd: 'http://127.0.0.1:1' };
    const error = await failure(download('kubectl', folder, linux, sites, () => {}));
    expect(error).to.be.instanceOf(DownloadUnavailableError);
    expect(error.message).to.match(/127\.0\.0\.1:1.*(ECONNREFUSED|bad port)/);
  });

  it('is unavailable for servers of a system that has no official ones', async () => {
    expect(await failure(get('kube-apiserver', { os: 'darwin', arch: 'arm64' }))).to.be.instanceOf(
      DownloadUnavailableError,
    );
  });

  it('uses the official sites unless the environment names mirrors', () => {
    expect(downloadSites({}).kubernetes).to.equal('https://dl.k8s.io');
    expect(downloadSites({ MERCATO_ETCD_DOWNLOADS: 'https://mirror.example' }).etcd).to.equal('https://mirror.example');
  });
});
