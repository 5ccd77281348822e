import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { currentPlatform, ETCD_VERSION, KUBERNETES_VERSION, versionOf } from './versions.ts';

const goMod = (name: string) => readFileSync(new URL(`../go/${name}/go.mod`, import.meta.url), 'utf8');

describe('versions', () => {
  it('downloads the Kubernetes that the wrapper module builds', () => {
    expect(goMod('kubernetes')).to.include(`require k8s.io/kubernetes ${KUBERNETES_VERSION}\n`);
  });

  it('downloads the etcd that the wrapper module builds', () => {
    expect(goMod('etcd')).to.include(`require go.etcd.io/etcd/server/v3 ${ETCD_VERSION}\n`);
  });

  it('replaces every staging module by the release of that Kubernetes', () => {
    const replacements = [...goMod('kubernetes').matchAll(/^\t(k8s\.io\/\S+) => (\S+) (\S+)$/gm)];
    expect(replacements).to.have.lengthOf(31);
    for (const [, from, to, version] of replacements) {
      expect(to).to.equal(from);
      expect(version).to.equal(KUBERNETES_VERSION.replace('v1.', 'v0.'));
    }
  });

  it('names the release of each program', () => {
    expect(versionOf('etcd')).to.equal(ETCD_VERSION);
    expect(versionOf('kubectl')).to.equal(KUBERNETES_VERSION);
  });

  it("names the platform in Go's words", () => {
    expect(currentPlatform().arch).to.not.equal('x64');
    expect(currentPlatform().os).to.be.oneOf(['linux', 'darwin', 'windows']);
  });
});
