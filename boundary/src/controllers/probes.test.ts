import { expect } from 'chai';
import { jobs, pciBoundaries } from '../kube/resources.ts';
import { formatReport, type ProbeWay } from '../probe/way.ts';
import { API_SERVER, BoundaryCluster, PAYMENT, SHIPPING } from '../testing/cluster.ts';
import { endedPod, type Fate, jobsOfRound, runPods, targetPod, taskOf, waitingJobs } from '../testing/pods.ts';

/** A report of a way that was always open. */
const OPENED = { opened: 9, refused: 0, unreachable: 0, timedOut: 0, lastOpenedMs: 5_000, lastMs: 5_000 };
const IMAGE = 'mercato/boundary:test';

/** These tests play the kubelet: whether a real network lets through what it should not is for the tests on a real cluster. */
describe('PciBoundary: its probes', function () {
  this.timeout(120_000);
  let cluster: BoundaryCluster;
  let payment: string;
  let shipping: string;

  beforeEach(async () => {
    cluster = await BoundaryCluster.create();
    payment = await targetPod(cluster, cluster.card, 'payment');
    shipping = await targetPod(cluster, cluster.shop, 'shipping');
  });

  afterEach(async () => {
    await cluster.close();
  });

  async function probed(interval = '10m'): Promise<void> {
    await cluster.apply({ probes: { interval, namespaces: [cluster.shop] } });
    await cluster.start('--probe-image', IMAGE);
  }

  /** What a network does that enforces policies. */
  const enforcing = (way: ProbeWay, job: { spec?: object }): Fate => {
    const { template } = job.spec as { template: { metadata: { labels: Record<string, string> } } };
    const name = template.metadata.labels['app.kubernetes.io/name'];
    const declared = (name === 'shipping' && way.host === payment) || (name === 'payment' && way.host === shipping);
    return declared ? 'open' : 'closed';
  };

  it('prove it where the network does what it declares', async () => {
    await probed();
    await runPods(cluster, enforcing);
    const { message } = await cluster.untilCondition('Enforced', 'True', 'AsDeclared');
    const { status } = await cluster.until(({ status: now }) => now?.probes !== undefined);
    expect(status?.probes).to.include({ failed: 0 });
    expect(status?.probes?.passed).to.be.at.least(7);
    expect(message).to.include(`all ${status?.probes?.passed} ways`);
    expect((await cluster.untilEvent('Enforced')).type).to.equal('Normal');
    const condition = { boundary: cluster.name, type: 'Enforced', status: 'True' };
    expect(await cluster.metric('mercato_boundary_condition', condition)).to.equal(1);
    expect(await cluster.metric('mercato_boundary_probe_rounds_total', { outcome: 'True' })).to.equal(1);
    const ways = { boundary: cluster.name, expected: 'Closed', observed: 'Closed' };
    expect(await cluster.metric('mercato_boundary_probe_ways', ways)).to.be.at.least(5);
  });

  it('disprove it where a network enforces nothing', async () => {
    await probed();
    await runPods(cluster, () => 'open');
    const { message } = await cluster.untilCondition('Enforced', 'False', 'CniDoesNotEnforce');
    expect(message).to.include('forbidden ways opened');
    const { status } = await cluster.until(({ status: now }) => now?.probes !== undefined);
    expect(status?.probes?.results[0]).to.include({ expected: 'Closed', observed: 'Open' });
    expect((await cluster.untilEvent('NotEnforced')).note).to.include('does not enforce');
  });

  it('disprove it where a network is open for a pod’s first second', async () => {
    await probed();
    await runPods(cluster, (way, job) => (enforcing(way, job) === 'open' ? 'open' : 'at first'));
    const { message } = await cluster.untilCondition('Enforced', 'False', 'OpenAtFirst');
    expect(message).to.include('open for the first 700 ms');
  });

  it('leave it unknown where a declared way is closed too', async () => {
    await probed();
    await runPods(cluster, () => 'closed');
    await cluster.untilCondition('Enforced', 'Unknown', 'AllowedWayClosed');
  });

  it('leave it unknown where a probe ended without a report', async () => {
    await probed();
    for (const job of await jobsOfRound(cluster))
      await endedPod(cluster, job, { terminated: { exitCode: 137, message: 'Killed' } }, 'Failed');
    const { message } = await cluster.untilCondition('Enforced', 'Unknown', 'ProbesIncomplete');
    expect(message).to.include('ended with 137 and without a report');
  });

  it('are not believed by a pod’s label: it must be the pod of the Job that was started', async () => {
    await probed();
    for (const job of await jobsOfRound(cluster)) {
      const forged = { ...job, metadata: { ...job.metadata, uid: '00000000-0000-4000-8000-000000000000' } };
      const report = formatReport(taskOf(job).ways.map(({ id }) => ({ ...OPENED, id })));
      await endedPod(cluster, forged, { terminated: { exitCode: 0, message: report } }, 'Succeeded', 'forged');
    }
    await runPods(cluster, enforcing);
    await cluster.untilCondition('Enforced', 'True', 'AsDeclared');
  });

  it('leave it unknown, and say so, where nothing is to be probed', async () => {
    await cluster.apply();
    await cluster.start('--probe-image', IMAGE);
    const { message } = await cluster.untilCondition('Enforced', 'Unknown', 'NotProbed');
    expect(message).to.include('spec.probes.namespaces');
  });

  it('are removed when they have ended, and started anew after a change of the spec', async () => {
    await probed();
    const first = await runPods(cluster, enforcing);
    await cluster.untilCondition('Enforced', 'True');
    await cluster.eventually('the Jobs are gone', async () => (await waitingJobs(cluster)).length === 0);
    const ports = [{ port: 9090, protocol: 'TCP' as const }];
    const [rule] = cluster.specOf().ingress;
    if (rule === undefined) throw new Error('no rule');
    await cluster.apply({
      ingress: [{ ...rule, ports }],
      probes: { interval: '10m', namespaces: [cluster.shop] },
    });
    const second = await runPods(cluster, enforcing);
    expect(second.map(({ metadata }) => metadata.name)).to.not.have.members(first.map(({ metadata }) => metadata.name));
    expect(second.flatMap((job) => taskOf(job).ways.map(({ port }) => port))).to.include(9090);
    await cluster.until(({ status }) =>
      (status?.conditions ?? []).some(
        ({ type, observedGeneration }) => type === 'Enforced' && observedGeneration === 2,
      ),
    );
  });

  it('go with the boundary, and are removed by a new leader that knows nothing of them', async () => {
    await probed();
    const before = (await jobsOfRound(cluster)).map(({ metadata }) => metadata.name);
    await cluster.stop();
    await cluster.start('--probe-image', IMAGE);
    await cluster.eventually('the old round is gone', async () => {
      const now = (await waitingJobs(cluster)).map(({ metadata }) => metadata.name);
      return now.length > 0 && now.every((name) => !before.includes(name));
    });
    await cluster.client.delete(pciBoundaries, { name: cluster.name });
    await cluster.eventually('the boundary is gone', async () => (await cluster.boundary()) === undefined);
    expect(await waitingJobs(cluster)).to.deep.equal([]);
  });

  it('are no findings, though others’ pods like them would be', async () => {
    await probed();
    for (const job of await jobsOfRound(cluster))
      await endedPod(cluster, job, { running: { startedAt: new Date().toISOString() } }, 'Running');
    // The same image by tag, in a pod that is no probe: once it is found, the probes have been looked at too.
    await targetPod(cluster, cluster.card, 'stranger');
    const { status } = await cluster.until(({ status: now }) =>
      (now?.findings ?? []).some(({ rule, object }) => rule === 'image-without-digest' && object.includes('stranger')),
    );
    expect(status?.findings?.filter(({ object }) => object.includes('-probe-'))).to.deep.equal([]);
  });

  it('fit Pod Security, a quota, and who they stand for', async () => {
    await probed();
    const made = await jobsOfRound(cluster);
    for (const job of made) {
      // The API server takes the pod only if it fits Pod Security "restricted", which the card namespace enforces.
      await endedPod(cluster, job, { waiting: { reason: 'ContainerCreating' } }, 'Pending');
      const { template } = job.spec as { template: { metadata: { labels: object }; spec: Record<string, unknown> } };
      expect(template.spec).to.include({ automountServiceAccountToken: false, restartPolicy: 'Never' });
      expect(template.spec['readinessGates'], 'a Service would send it requests').to.have.length(1);
      const card = job.metadata.namespace === cluster.card;
      expect(template.spec['tolerations'] !== undefined, 'tolerates the card taint').to.equal(card);
      expect(template.metadata.labels).to.not.have.property('app.kubernetes.io/part-of');
    }
    const whom = made.map(({ metadata, spec }) => {
      const { template } = spec as { template: { metadata: { labels: Record<string, string> } } };
      return `${metadata.namespace} ${template.metadata.labels['app.kubernetes.io/name']}`;
    });
    expect(whom).to.have.members([
      `${cluster.shop} ${SHIPPING['app.kubernetes.io/name']}`,
      `${cluster.shop} mercato-boundary-probe`,
      `${cluster.card} ${PAYMENT['app.kubernetes.io/name']}`,
      `${cluster.card} mercato-boundary-probe`,
    ]);
    const apiServer = made
      .flatMap((job) => taskOf(job).ways)
      .find(({ host }) => host === API_SERVER.KUBERNETES_SERVICE_HOST);
    expect(apiServer?.port).to.equal(443);
    await cluster.client.deleteCollection(jobs, { namespace: cluster.shop });
  });
});
