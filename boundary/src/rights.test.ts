import { type PolicyRule, type Right, rightsOf } from '@mercato/operator/api/rbac.ts';
import { AuditedPlane } from '@mercato/operator/testing/audit.ts';
import { expect } from 'chai';
import { networkPolicies, pciBoundaries } from './kube/resources.ts';
import { clusterRights, namespaceRights } from './rights.ts';
import { BoundaryCluster } from './testing/cluster.ts';
import { runPods, targetPod } from './testing/pods.ts';

const said = ({ verb, group, resource }: Right): string => `${verb} ${group}/${resource}`;

/** `verb group/resource` for each single right. */
const singly = (rules: readonly PolicyRule[]): string[] => rightsOf(rules).map(said);

/**
 * Rights that no request's entry names: admission asks the authorizer about the first, and the second is asked for when a server-side apply, which is
 * logged as a patch, finds nothing to patch.
 */
const UNLOGGED = ['enforce mercato.dev/pciboundaries', 'create networking.k8s.io/networkpolicies'];

describe("The boundary controller's rights", function () {
  this.timeout(180_000);

  it('are what it uses: nothing is refused to it, and nothing is granted that it never uses', async () => {
    const audited = await AuditedPlane.start();
    try {
      const cluster = await BoundaryCluster.create({ plane: audited.plane });
      await everything(cluster);
      await cluster.close();
      const asked = await audited.askedBy(`system:serviceaccount:${cluster.system}:mercato-boundary`);
      const refused = asked.filter(({ isRefused }) => isRefused).map(said);
      expect([...new Set(refused)], 'refused').to.deep.equal([]);
      const used = new Set(asked.map(said));
      const unused = singly([...clusterRights, ...namespaceRights]).filter((right) => !used.has(right));
      expect(unused, 'granted and never used').to.deep.equal(UNLOGGED);
    } finally {
      await audited.stop();
    }
  });

  for (const right of UNLOGGED) {
    it(`are not enough without ${right}`, async () => {
      const rights = clusterRights.map((rule) => ({
        ...rule,
        verbs: rule.verbs.filter((verb) => !singly([{ ...rule, verbs: [verb] }]).includes(right)),
      }));
      const cluster = await BoundaryCluster.create({ rights });
      try {
        cluster.quiet = true;
        await cluster.apply();
        await cluster.start();
        await cluster.untilCondition('Accepted', 'False', 'WriteRefused');
        expect(await cluster.policies()).to.deep.equal([]);
      } finally {
        await cluster.close();
      }
    });
  }

  /** All that the controller does. */
  async function everything(cluster: BoundaryCluster): Promise<void> {
    await targetPod(cluster, cluster.card, 'payment');
    await cluster.apply({ probes: { interval: '30s', namespaces: [cluster.shop] } });
    await cluster.start('--probe-image', 'boundary:1');
    // Nothing is ready that the card namespace may call: only a stranger tries from there.
    await runPods(cluster, () => 'closed', 3);
    await cluster.until(({ status }) => status?.probes !== undefined);
    const name = `${cluster.name}.ingress.shipping`;
    const place = { namespace: cluster.card, name };
    // A patch beside what is applied, twice, so that the second event goes into the first one's series.
    for (const _ of [1, 2]) {
      await cluster.client.patch(networkPolicies, place, { spec: { egress: [{}] } } as object);
      await cluster.eventually('it is put back', async () => (await cluster.policy(name))?.spec?.egress === undefined);
    }
    await cluster.untilEvent('DriftReverted');
    await cluster.eventually(
      'an event of a series',
      async () => ((await cluster.untilEvent('DriftReverted')).series?.count ?? 0) > 1,
    );
    await cluster.client.delete(pciBoundaries, { name: cluster.name });
    await cluster.eventually('the boundary is gone', async () => (await cluster.boundary()) === undefined);
  }
});
