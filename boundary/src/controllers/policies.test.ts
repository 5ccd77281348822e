import { expect } from 'chai';
import { networkPolicies, pciBoundaries } from '../kube/resources.ts';
import { denyAll } from '../policy/desired.ts';
import { BoundaryCluster } from '../testing/cluster.ts';
import { FINALIZER } from './policies.ts';

const DENY = 'default-deny';

describe('PciBoundary: its policies', function () {
  this.timeout(120_000);
  let cluster: BoundaryCluster;

  beforeEach(async () => {
    cluster = await BoundaryCluster.create();
  });

  afterEach(async () => {
    await cluster.close();
  });

  const way = (name: string) => `${cluster.name}.ingress.${name}`;
  const at = (name: string) => ({ namespace: cluster.card, name });

  /** The boundary as declared, with its policies in place and known to be. */
  async function kept(): Promise<void> {
    await cluster.apply();
    await cluster.start();
    await cluster.untilCondition('Accepted', 'True');
  }

  /** Waits until a policy is back, and says that it was drift. */
  async function untilReverted(name: string, before: object | undefined): Promise<void> {
    await cluster.eventually(`${name} is back`, async () => {
      const { spec } = (await cluster.policy(name)) ?? {};
      return JSON.stringify(spec) === JSON.stringify(before);
    });
  }

  it('are what it declares, and deny all else', async () => {
    await kept();
    expect(await cluster.policies()).to.deep.equal(
      [`${cluster.name}.egress.shipping`, `${cluster.name}.ingress.shipping`, DENY].sort(),
    );
    const deny = await cluster.policy(DENY);
    expect(deny?.spec).to.deep.equal(denyAll(cluster.card).spec);
    const boundary = await cluster.boundary();
    expect(boundary?.metadata.finalizers).to.deep.equal([FINALIZER]);
    expect(boundary?.status).to.include({ policyCount: 3, reverted: 0, observedGeneration: 1 });
    expect(boundary?.status?.policies?.map(({ name }) => name)).to.include(DENY);
    expect(await cluster.metric('mercato_boundary_policies', { boundary: cluster.name })).to.equal(3);
  });

  it('are put back when somebody edits them, and it says so', async () => {
    await kept();
    const before = (await cluster.policy(way('shipping')))?.spec;
    await cluster.client.patch(networkPolicies, at(way('shipping')), { spec: { ingress: [{}] } } as object);
    await untilReverted(way('shipping'), before);
    const { status } = await cluster.until(({ status: now }) => (now?.reverted ?? 0) > 0);
    expect(status).to.include({ reverted: 1 });
    expect(Date.now() - Date.parse(status?.lastReverted ?? '')).to.be.below(60_000);
    const event = await cluster.untilEvent('DriftReverted');
    expect(event.note).to.include(`${cluster.card}/${way('shipping')} was changed`);
    expect(await cluster.metric('mercato_boundary_reverts_total', { change: 'changed' })).to.equal(1);
    expect(await cluster.metric('mercato_boundary_revert_seconds_count')).to.equal(1);
  });

  it('lose what another manager adds beside their own fields', async () => {
    await kept();
    const before = (await cluster.policy(way('shipping')))?.spec;
    const spec = { policyTypes: ['Ingress', 'Egress'], egress: [{}] };
    await cluster.client.patch(networkPolicies, at(way('shipping')), { spec } as object);
    await untilReverted(way('shipping'), before);
    const deny = (await cluster.policy(DENY))?.spec;
    await cluster.client.patch(networkPolicies, at(DENY), { spec: { ingress: [{}] } } as object);
    await untilReverted(DENY, deny);
  });

  it('are put back when somebody deletes them, the denying one too', async () => {
    await kept();
    for (const name of [way('shipping'), DENY]) {
      const before = (await cluster.policy(name))?.spec;
      await cluster.client.delete(networkPolicies, at(name));
      await untilReverted(name, before);
    }
    await cluster.until(({ status }) => status?.reverted === 2);
    expect(await cluster.metric('mercato_boundary_reverts_total', { change: 'deleted' })).to.equal(2);
  });

  it('get their labels back, without which they would be nobody’s', async () => {
    await kept();
    const labels = { 'mercato.dev/boundary': null };
    await cluster.client.patch(networkPolicies, at(way('shipping')), { metadata: { labels } } as object);
    await cluster.eventually('the label is back', async () => {
      const policy = await cluster.policy(way('shipping'));
      return policy?.metadata.labels?.['mercato.dev/boundary'] === cluster.name;
    });
  });

  it('follow a change of the boundary, which is no drift', async () => {
    await kept();
    await cluster.apply({ egress: [] });
    await cluster.eventually(
      'the way out is closed',
      async () => !(await cluster.policies()).includes(`${cluster.name}.egress.shipping`),
    );
    const { status } = await cluster.until((now) => now.status?.observedGeneration === 2);
    expect(status).to.include({ reverted: 0, policyCount: 2 });
  });

  it('do not include what somebody else labels as one of them', async () => {
    await kept();
    const labels = { 'mercato.dev/boundary': cluster.name };
    await cluster.client.create(networkPolicies, {
      metadata: { namespace: cluster.card, name: 'forged', labels },
      spec: { podSelector: {}, ingress: [{}] },
    });
    await cluster.eventually('it is gone', async () => (await cluster.policy('forged')) === undefined);
  });

  it('of others are left alone', async () => {
    await kept();
    const spec = { podSelector: {}, ingress: [{}] };
    await cluster.client.create(networkPolicies, { metadata: at('foreign'), spec });
    // A second drift, put back after the first was seen, proves that the foreign policy was seen too.
    await cluster.client.delete(networkPolicies, at(DENY));
    await cluster.eventually('deny is back', async () => (await cluster.policy(DENY)) !== undefined);
    expect(await cluster.policies()).to.include('foreign');
  });

  it('go with the boundary, and leave deny alone behind', async () => {
    await kept();
    await cluster.client.delete(pciBoundaries, { name: cluster.name });
    await cluster.eventually('the boundary is gone', async () => (await cluster.boundary()) === undefined);
    expect(await cluster.policies()).to.deep.equal([DENY]);
  });

  it('leave deny behind even if it was missing when the boundary went', async () => {
    await kept();
    await cluster.stop();
    await cluster.client.delete(networkPolicies, at(DENY));
    await cluster.client.delete(pciBoundaries, { name: cluster.name });
    expect((await cluster.boundary())?.metadata.deletionTimestamp).to.be.a('string');
    await cluster.start();
    await cluster.eventually('the boundary is gone', async () => (await cluster.boundary()) === undefined);
    expect(await cluster.policies()).to.deep.equal([DENY]);
  });

  it('are put back after a restart, drift of the time between counted', async () => {
    await kept();
    await cluster.stop();
    await cluster.client.delete(networkPolicies, at(DENY));
    await cluster.client.patch(networkPolicies, at(way('shipping')), { spec: { ingress: [{}] } } as object);
    await cluster.start();
    const { status } = await cluster.until(({ status: now }) => (now?.reverted ?? 0) >= 2);
    expect(status?.reverted).to.equal(2);
    expect((await cluster.policy(DENY))?.spec).to.deep.equal(denyAll(cluster.card).spec);
  });

  it('are kept by one of two replicas, and by the other when that one ends', async () => {
    await cluster.apply();
    const first = await cluster.start();
    await cluster.untilCondition('Accepted', 'True');
    await cluster.start();
    const drift = async (): Promise<void> => {
      await cluster.client.delete(networkPolicies, at(DENY));
      await cluster.eventually('deny is back', async () => (await cluster.policy(DENY)) !== undefined);
    };
    await drift();
    await cluster.until(({ status }) => status?.reverted === 1);
    expect(await cluster.metric('mercato_boundary_reverts_total')).to.equal(1);
    await first.stop();
    await drift();
    await cluster.until(({ status }) => status?.reverted === 2);
  });

  it('are not written where admission does not guard them, and it says what to do', async () => {
    // The API server knows of the label a moment later than we do, so that the first writes may still be refused.
    cluster.quiet = true;
    const labels = { 'mercato.dev/card-data': null };
    await cluster.plane.request(`/api/v1/namespaces/${cluster.card}`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels } },
    });
    await cluster.apply();
    await cluster.start();
    const { message } = await cluster.untilCondition('Accepted', 'False', 'NamespaceNotLabelled');
    expect(message).to.include(`${cluster.card} is not guarded`).and.to.include('mercato.dev/card-data=true');
    expect(await cluster.policies()).to.deep.equal([]);
    await cluster.plane.request(`/api/v1/namespaces/${cluster.card}`, {
      method: 'PATCH',
      contentType: 'application/merge-patch+json',
      body: { metadata: { labels: { 'mercato.dev/card-data': 'true' } } },
    });
    await cluster.untilCondition('Accepted', 'True');
    expect(await cluster.policies()).to.have.length(3);
  });

  it('wait for a namespace that is not there yet', async () => {
    await cluster.apply({ namespaces: [cluster.card, `${cluster.card}-later`] });
    await cluster.start();
    await cluster.untilCondition('Accepted', 'False', 'NamespaceNotFound');
    expect(await cluster.policies(), 'the other namespace is kept').to.have.length(3);
  });

  it('are those of the oldest boundary that names the namespace', async () => {
    await kept();
    await cluster.apply({}, `${cluster.name}-2`);
    const { message } = await cluster.untilCondition('Accepted', 'False', 'NamespaceTaken', `${cluster.name}-2`);
    expect(message).to.include(`belongs to the PciBoundary ${cluster.name}`);
    expect(await cluster.policies()).to.not.include(`${cluster.name}-2.ingress.shipping`);
    await cluster.client.delete(pciBoundaries, { name: cluster.name });
    await cluster.untilCondition('Accepted', 'True', undefined, `${cluster.name}-2`);
    expect(await cluster.policies()).to.include(`${cluster.name}-2.ingress.shipping`);
  });
});
