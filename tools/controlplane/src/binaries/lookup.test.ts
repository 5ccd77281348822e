import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { cacheFolder, lookUp } from './lookup.ts';

const platform = { os: 'linux', arch: 'amd64' };

describe('looking up binaries', () => {
  let root: string;
  let assets: string;
  let cache: string;
  let env: Record<string, string>;

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'lookup-'));
    assets = join(root, 'assets');
    env = { KUBEBUILDER_ASSETS: assets, MERCATO_CACHE: join(root, 'cache') };
    cache = cacheFolder(env, platform);
    mkdirSync(assets, { recursive: true });
    mkdirSync(cache, { recursive: true });
  });

  afterEach(() => rmSync(root, { recursive: true }));

  const put = (folder: string, name: string, mode = 0o755) => writeFileSync(join(folder, name), '', { mode });

  it('prefers KUBEBUILDER_ASSETS to the cache', () => {
    put(assets, 'etcd');
    put(cache, 'etcd');
    expect(lookUp(['etcd'], env, platform).found.get('etcd')).to.equal(join(assets, 'etcd'));
  });

  it('takes from the cache what KUBEBUILDER_ASSETS lacks', () => {
    put(assets, 'kube-apiserver');
    put(cache, 'kube-controller-manager');
    const { found, missing } = lookUp(['kube-apiserver', 'kube-controller-manager'], env, platform);
    expect(found.get('kube-apiserver')).to.equal(join(assets, 'kube-apiserver'));
    expect(found.get('kube-controller-manager')).to.equal(join(cache, 'kube-controller-manager'));
    expect(missing).to.deep.equal([]);
  });

  it('names what is nowhere, in the order asked for', () => {
    put(cache, 'etcd');
    expect(lookUp(['kubectl', 'etcd', 'kube-apiserver'], env, platform).missing).to.deep.equal([
      'kubectl',
      'kube-apiserver',
    ]);
  });

  it('takes no file that cannot be executed, and no folder', () => {
    put(assets, 'etcd', 0o644);
    mkdirSync(join(assets, 'kubectl'));
    expect(lookUp(['etcd', 'kubectl'], env, platform).missing).to.deep.equal(['etcd', 'kubectl']);
  });

  it('does without KUBEBUILDER_ASSETS, set to nothing too', () => {
    put(cache, 'etcd');
    for (const unset of [{ MERCATO_CACHE: env['MERCATO_CACHE'] }, { ...env, KUBEBUILDER_ASSETS: '' }]) {
      expect(lookUp(['etcd'], unset, platform).found.get('etcd')).to.equal(join(cache, 'etcd'));
    }
  });
});

describe('the cache folder', () => {
  const versions = /\/controlplane\/kubernetes-v[\d.]+-etcd-v[\d.]+-linux-amd64$/;

  it('lies in MERCATO_CACHE, else in XDG_CACHE_HOME, else in the home folder', () => {
    const env = { MERCATO_CACHE: '/m', XDG_CACHE_HOME: '/x', HOME: '/h' };
    expect(cacheFolder(env, platform))
      .to.match(/^\/m\/controlplane/)
      .and.match(versions);
    expect(cacheFolder({ ...env, MERCATO_CACHE: '' }, platform))
      .to.match(/^\/x\/mercato\/controlplane/)
      .and.match(versions);
    expect(cacheFolder({ HOME: '/h' }, platform))
      .to.match(/^\/h\/\.cache\/mercato\/controlplane/)
      .and.match(versions);
  });

  it('differs between platforms, so that a shared home folder serves both', () => {
    expect(cacheFolder({}, { os: 'darwin', arch: 'arm64' })).to.match(/-darwin-arm64$/);
  });
});
