import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binding, role } from '@mercato/operator/api/rbac.ts';
import { untilMay } from '@mercato/operator/api/testing.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { expect } from 'chai';
import { FINALIZER } from './controllers/policies.ts';
import { DENY_ALL } from './policy/desired.ts';
import { withdrawRights } from './rights.ts';
import { BoundaryCluster } from './testing/cluster.ts';
import { withdraw } from './withdraw.ts';

describe('Withdrawing a PciBoundary', function () {
  this.timeout(120_000);
  let cluster: BoundaryCluster;
  let client: KubeClient;

  beforeEach(async () => {
    cluster = await BoundaryCluster.create();
    client = await account(cluster.name);
    await cluster.start();
    await cluster.apply();
    await cluster.until(({ metadata }) => metadata.finalizers?.includes(FINALIZER) === true);
  });
  afterEach(async () => {
    await client.transport.close();
    await cluster.close();
  });

  /** Whoever uninstalls, with the rights of the chart's hook and no others. */
  async function account(boundary: string): Promise<KubeClient> {
    const { plane, system } = cluster;
    const who = { namespace: system, name: 'withdraw' };
    const place = { name: `withdraw-${boundary}` };
    const rules = withdrawRights(boundary);
    const items = [role(place, rules), binding(place, who)];
    await plane.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
    const kubeconfig = join(await mkdtemp(join(tmpdir(), 'mercato-withdraw-')), 'kubeconfig');
    const user = `system:serviceaccount:${system}:withdraw`;
    await untilMay(plane, user, rules);
    await writeFile(kubeconfig, await plane.kubeconfigYaml({ user, groups: ['system:authenticated'] }), {
      mode: 0o600,
    });
    return new KubeClient(createTransport(loadConfig({ kubeconfig })));
  }

  it('waits until its controller has let it go, leaves deny behind, and may be repeated', async () => {
    await withdraw(client, cluster.name);
    expect(await cluster.boundary()).to.equal(undefined);
    expect(await cluster.policies()).to.deep.equal([DENY_ALL]);
    await withdraw(client, cluster.name);
  });

  it('says that it is still there where no controller lets it go', async () => {
    await cluster.stop();
    const failure = await withdraw(client, cluster.name, { timeoutMs: 1 }).then(
      () => 'no failure',
      (error: Error) => error.message,
    );
    expect(failure).to.match(/^PciBoundary b-\w+ is still there .*see whether its controller runs/);
    expect((await cluster.boundary())?.metadata.finalizers).to.include(FINALIZER);
    await cluster.start();
    await withdraw(client, cluster.name);
    expect(await cluster.boundary()).to.equal(undefined);
  });

  it('takes no other boundary away', async () => {
    const failure = await withdraw(client, 'other').then(
      () => 'no failure',
      (error: Error) => error.message,
    );
    expect(failure).to.include('forbidden');
  });
});
