import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { BoundaryCluster } from '../testing/cluster.ts';

describe('PciBoundary: its admission policies', function () {
  this.timeout(120_000);
  let plane: ControlPlane;

  // One of its own: other tests need the policies.
  before(async () => {
    plane = await startControlPlane({ etcdUnsafeNoFsync: true });
  });
  after(() => plane.stop());

  it('are missed when one is taken away, and when one no longer denies', async () => {
    const cluster = await BoundaryCluster.create({ plane });
    try {
      await cluster.apply();
      await cluster.start();
      await cluster.untilCondition('Accepted', 'True');
      const name = 'card-pods.mercato.dev';
      const [policies, bindings] = ['validatingadmissionpolicies', 'validatingadmissionpolicybindings'].map(
        (plural) => `/apis/admissionregistration.k8s.io/v1/${plural}`,
      );
      const missed = (object: string) =>
        cluster.until(({ status }) =>
          (status?.findings ?? []).some((finding) => finding.rule === 'admission-missing' && finding.object === object),
        );
      await plane.request(`${bindings}/card-callers.mercato.dev`, {
        method: 'PATCH',
        contentType: 'application/merge-patch+json',
        body: { spec: { validationActions: ['Audit'] } },
      });
      await missed('ValidatingAdmissionPolicyBinding card-callers.mercato.dev');
      await plane.request(`${policies}/${name}`, { method: 'DELETE' });
      await missed(`ValidatingAdmissionPolicy ${name}`);
    } finally {
      await cluster.close();
    }
  });
});
