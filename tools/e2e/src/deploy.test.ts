import { expect } from 'chai';
import type { Cluster } from './cluster.ts';
import { DeployError, imageIn, imagesFor, merge, valuesFor } from './deploy.ts';
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
