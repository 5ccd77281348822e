import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane } from '@mercato/controlplane';
import type { PolicyRule } from '@mercato/operator/api/rbac.ts';
import { expect } from 'chai';
import { networkPolicies, pciBoundaries } from './kube/resources.ts';
import { clusterRights, namespaceRights } from './rights.ts';
import { BoundaryCluster } from './testing/cluster.ts';
import { runPods, targetPod } from './testing/pods.ts';

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
    userGroups: ["system:serviceaccounts"]
  - level: None
`;

interface AuditEntry {
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly apiGroup?: string };
  readonly responseStatus?: { readonly code?: number };
}

/** `verb group/resource` for each single right. */
function singly(rules: readonly PolicyRule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, verbs }) =>
    apiGroups.flatMap((group) => resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`))),
  );
}

/**
 * Rights that no request's entry names: admission asks the authorizer about the first, and the second is asked for when a server-side apply, which is
 * logged as a patch, finds nothing to patch.
 */
const UNLOGGED = ['enforce mercato.dev/pciboundaries', 'create networking.k8s.io/networkpolicies'];

describe("The boundary controller's rights", function () {
  this.timeout(180_000);

  it('are what it uses: nothing is refused to it, and nothing is granted that it never uses', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mercato-audit-'));
    const [policy, log] = [join(directory, 'policy.yaml'), join(directory, 'audit.log')];
    await writeFile(policy, POLICY);
    const plane = await startControlPlane({
      etcdUnsafeNoFsync: true,
      apiServerArgs: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, '--audit-log-mode=blocking'],
    });
    try {
      const cluster = await BoundaryCluster.create({ plane });
      await everything(cluster);
      await cluster.close();
      const entries = (await readFile(log, 'utf8'))
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as AuditEntry)
        .filter(({ user }) => user.username === `system:serviceaccount:${cluster.system}:mercato-boundary`);
      const said = ({ verb, objectRef = {} }: AuditEntry): string =>
        `${verb} ${objectRef.apiGroup ?? ''}/${objectRef.resource}${objectRef.subresource === undefined ? '' : `/${objectRef.subresource}`}`;
      const refused = entries.filter(({ responseStatus }) => responseStatus?.code === 403).map(said);
      expect([...new Set(refused)], 'refused').to.deep.equal([]);
      const used = new Set(entries.map(said));
      const unused = singly([...clusterRights, ...namespaceRights]).filter((right) => !used.has(right));
      expect(unused, 'granted and never used').to.deep.equal(UNLOGGED);
    } finally {
      await plane.stop();
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
    await runPods(cluster, () => 'closed');
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
