import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startControlPlane } from '@mercato/controlplane';
import { expect } from 'chai';
import { parseAllDocuments } from 'yaml';
import { FinishedRuns } from '../journals/kubernetes/finished.ts';
import { KubeClient } from '../kube/client.ts';
import { loadConfig } from '../kube/config.ts';
import { createTransport } from '../kube/transport.ts';
import { BROKEN, conditionOf, eventually, TestCluster } from '../testing/cluster.ts';

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

interface Role {
  readonly kind: string;
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** Kinds of controllers whose own tests use their rights. */
const OTHERS = /warehouseinventories|restockorders|stockadjustments/;

/** `verb group/resource` for each single right that the manifest grants. */
async function granted(): Promise<Set<string>> {
  const text = await readFile(new URL('../../../deploy/operator.yaml', import.meta.url), 'utf8');
  const roles = parseAllDocuments(text)
    .map((document) => document.toJS() as Role)
    .filter(({ kind }) => kind === 'ClusterRole' || kind === 'Role');
  return new Set(
    roles.flatMap(({ rules = [] }) =>
      rules.flatMap(({ apiGroups, resources, verbs }) =>
        apiGroups.flatMap((group) =>
          resources.flatMap((resource) => verbs.map((verb) => `${verb} ${group}/${resource}`)),
        ),
      ),
    ),
  );
}

describe("The operator's rights (deploy/operator.yaml)", function () {
  this.timeout(120_000);

  it('are what it uses: nothing is refused to it, and nothing is granted that it never uses', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'mercato-audit-'));
    const [policy, log] = [join(directory, 'policy.yaml'), join(directory, 'audit.log')];
    await writeFile(policy, POLICY);
    const plane = await startControlPlane({
      etcdUnsafeNoFsync: true,
      apiServerArgs: [`--audit-policy-file=${policy}`, `--audit-log-path=${log}`, '--audit-log-mode=blocking'],
    });
    try {
      const cluster = await TestCluster.create({ plane });
      const user = `system:serviceaccount:${cluster.system}:mercato-operator`;
      await everything(cluster);
      await cluster.close();
      const lines = (await readFile(log, 'utf8')).split('\n').filter((line) => line !== '');
      const entries = lines
        .map((line) => JSON.parse(line) as AuditEntry)
        .filter((entry) => entry.user.username === user);
      const said = ({ verb, objectRef = {} }: AuditEntry): string =>
        `${verb} ${objectRef.apiGroup ?? ''}/${objectRef.resource}${objectRef.subresource === undefined ? '' : `/${objectRef.subresource}`}`;
      const refused = entries.filter(({ responseStatus }) => responseStatus?.code === 403).map(said);
      expect([...new Set(refused)], 'refused').to.deep.equal([]);
      const used = new Set(entries.map(said));
      const unused = [...(await granted())].filter((right) => !used.has(right) && !OTHERS.test(right));
      expect(unused, 'granted and never used').to.deep.equal([]);
    } finally {
      await plane.stop();
    }
  });

  /** All that the operator does with runs, sagas and participants. */
  async function everything(cluster: TestCluster): Promise<void> {
    cluster.allWell();
    await cluster.applySaga({ ttlAfterFinished: { succeeded: '1s' }, onStepFailure: 'Hold' });
    await cluster.startOperator();
    await cluster.applyRun('short-lived');
    await cluster.untilGone('short-lived');
    cluster.shop.on('book', BROKEN);
    await cluster.applyRun('held');
    const { status } = await cluster.untilPhase('held', 'Held');
    await cluster.untilEvent('held', 'AttemptFailed');
    // A second event of the same kind goes into the first one's series.
    await cluster.decide('held', { holdId: status?.holdId, do: 'Retry' });
    const again = await cluster.until(
      'held',
      (run) => run.status?.phase === 'Held' && run.status.holdId !== status?.holdId,
    );
    await eventually(
      async () => (await cluster.eventsOf('held')).some(({ series }) => (series?.count ?? 0) > 1),
      () => 'an event of a series',
      60_000,
    );
    // The next leader looks up a revision that is no longer the current one.
    await cluster.stopOperator();
    await cluster.applySaga({ ttlAfterFinished: { succeeded: '1h' }, deadline: '7m' });
    await cluster.startOperator();
    await cluster.deleteRun('held');
    cluster.allWell();
    await cluster.untilGone('held');
    expect(again.status?.holdId).to.match(/^2-/);
    // A decision that comes after the end needs the whole object.
    await cluster.applyRun('over');
    await cluster.untilPhase('over', 'Succeeded');
    await cluster.decide('over', { holdId: 'none', do: 'Retry' });
    await cluster.until('over', (run) => conditionOf(run, 'DecisionAccepted') !== undefined);
    await forget(cluster);
  }

  /** What comes 36 days later. */
  async function forget(cluster: TestCluster): Promise<void> {
    const client = new KubeClient(createTransport(loadConfig({ kubeconfig: cluster.operatorKubeconfig })));
    const later = new FinishedRuns(client, cluster.system, () => Date.now() + 40 * 86_400_000);
    await later.load();
    await later.prune();
    await client.transport.close();
  }
});
