import { sharedControlPlane } from '@mercato/controlplane/testing.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import { namespaces } from '@mercato/operator/kube/resource.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { expect } from 'chai';
import type { Cluster } from './cluster.ts';
import { admitStorageAgents, DeployError, imageIn, imagesFor, merge, valuesFor } from './deploy.ts';
import { type Pod, readyAfterMs, troubleOf } from './kube.ts';

describe('an installation', () => {
  const images = { registry: 'localhost', tag: '1.0' };

  it('takes from the cluster who issues its tokens, and whether there are zones to spread over', () => {
    const able = { zonesComplete: false, tokenIssuer: 'https://issuer.example' };
    expect(
      valuesFor(able, images, { global: { cluster: { zones: true } }, inventory: { callers: [1] } }),
    ).to.deep.equal({
      global: { image: images, cluster: { tokenIssuer: 'https://issuer.example', zones: true } },
      inventory: { callers: [1] },
    });
  });

  it('merges values as Helm does: trees by leaf, lists as a whole, null over a tree', () => {
    const under = { a: { b: 1, c: [1, 2] }, d: { e: 1 } };
    expect(merge(under, { a: { c: [3] }, d: null })).to.deep.equal({ a: { b: 1, c: [3] }, d: null });
    expect(under, 'as it was').to.deep.equal({ a: { b: 1, c: [1, 2] }, d: { e: 1 } });
  });

  it('names images as the charts do', () => {
    expect(imageIn(images, 'tools')).to.equal('localhost/mercato/tools:1.0');
  });

  it('lets kind’s provisioner of volumes onto card nodes, where there is one', async function () {
    this.timeout(120_000);
    const plane = await sharedControlPlane();
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: plane.kubeconfigPath })));
    const said: string[] = [];
    const say = (line: string) => said.push(line);
    try {
      await admitStorageAgents(client, say);
      expect(said, 'without a provisioner').to.deep.equal([]);
      await client.create(namespaces, { metadata: { name: 'local-path-storage' } });
      await admitStorageAgents(client, say);
      await admitStorageAgents(client, say);
      expect(said, 'once').to.have.length(1);
      const { metadata } = await client.get(namespaces, { name: 'local-path-storage' });
      expect(metadata.labels).to.include({ 'mercato.dev/node-agents': 'true' });
    } finally {
      await client.transport.close();
    }
  });

  describe('on a cluster that nothing here builds for', () => {
    const cluster: Cluster = {
      provider: 'given',
      kubeconfig: '/k',
      name: 'far',
      builder: undefined,
      load: async () => {},
    };

    it('takes images of a registry, in a version that somebody says', async () => {
      const wish = { registry: 'registry.example', tag: '1.0' };
      expect(await imagesFor(cluster, wish, () => {})).to.deep.equal(wish);
      const failure = await imagesFor(cluster, { registry: 'registry.example' }, () => {}).catch(
        (error: unknown) => error,
      );
      expect(failure).to.be.instanceOf(DeployError);
    });

    it('says how to bring images there, where no registry is said', async () => {
      const failure = await imagesFor(cluster, {}, () => {}).catch((error: unknown) => error);
      expect((failure as Error).message).to.match(
        /far takes images from a registry only: make images PUSH=1 REGISTRY=/,
      );
    });
  });
});

describe('what a pod says', () => {
  const pod = (status: Pod['status']): Pod => ({
    metadata: { name: 'p', namespace: 'n' },
    spec: { containers: [] },
    ...(status === undefined ? {} : { status }),
  });

  it('is how long it took from the start of its container to Ready', () => {
    const state = { running: { startedAt: '2026-01-01T00:00:02Z' } };
    const containerStatuses = [{ name: 'c', restartCount: 0, state }];
    const at = (lastTransitionTime: string, status = 'True') => [{ type: 'Ready', status, lastTransitionTime }];
    expect(readyAfterMs(pod({ containerStatuses, conditions: at('2026-01-01T00:00:04Z') }))).to.equal(2_000);
    expect(() => readyAfterMs(pod({ containerStatuses, conditions: at('2026-01-01T00:00:04Z', 'False') }))).to.throw(
      'n/p is not Ready',
    );
  });

  it('is why it does not run, in one line', () => {
    const waiting = { reason: 'ErrImageNeverPull', message: 'no such image' };
    const status = {
      phase: 'Pending' as const,
      containerStatuses: [{ name: 'c', restartCount: 0, state: { waiting } }],
    };
    expect(troubleOf(pod(status))).to.equal('n/p is Pending (c waits: ErrImageNeverPull no such image)');
    const conditions = [{ type: 'PodScheduled', status: 'False', message: 'Insufficient cpu' }];
    expect(troubleOf(pod({ phase: 'Pending', conditions }))).to.equal(
      'n/p is Pending (not scheduled: Insufficient cpu)',
    );
    expect(troubleOf(pod(undefined))).to.equal('n/p is unknown');
  });
});
