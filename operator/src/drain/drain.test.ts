import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { rightsOf } from '../api/rbac.ts';
import { FINALIZER } from '../controllers/ordersagarun/run.ts';
import { KubeClient } from '../kube/client.ts';
import { loadConfig } from '../kube/config.ts';
import { createTransport } from '../kube/transport.ts';
import { DRAIN, DRAIN_OWN, DRAIN_RUNS, deciding, draining, drainingOwn } from '../rights.ts';
import { systemClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import { type Asked, AuditedPlane } from '../testing/audit.ts';
import { BROKEN, conditionOf, eventually, OK, TestCluster } from '../testing/cluster.ts';
import { type DrainOptions, type DrainReport, drain } from './drain.ts';

describe('The drain before an uninstall', function () {
  this.timeout(180_000);
  let audited: AuditedPlane;
  let cluster: TestCluster;
  let client: KubeClient;
  const never = new AbortController().signal;

  before(async () => {
    audited = await AuditedPlane.start();
  });
  after(() => audited.stop());

  beforeEach(async () => {
    cluster = await TestCluster.create({ plane: audited.plane });
    await cluster.applySaga({ onStepFailure: 'Hold', ttlAfterFinished: { succeeded: '1h', aborted: '1h' } });
    cluster.allWell();
    await cluster.startOperator();
    client = await account(false);
  });
  afterEach(async () => {
    await client.transport.close();
    await cluster.close();
  });

  const userOf = (): string => `system:serviceaccount:${cluster.system}:${DRAIN}`;

  /** The drain's account with the rights of its hook in this cluster's namespaces, and no others. */
  async function account(force: boolean): Promise<KubeClient> {
    const { plane, system, namespace } = cluster;
    const who = { namespace: system, name: DRAIN };
    const items = [...draining(who, namespace), ...(force ? deciding(who, namespace) : []), ...drainingOwn(who)];
    await plane.kubectl(
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
      JSON.stringify({ apiVersion: 'v1', kind: 'List', items }),
    );
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${system}`, 'system:authenticated'];
    const kubeconfig = join(await mkdtemp(join(tmpdir(), 'mercato-drain-')), 'kubeconfig');
    await writeFile(kubeconfig, await plane.kubeconfigYaml({ user: userOf(), groups }), { mode: 0o600 });
    return new KubeClient(createTransport(loadConfig({ kubeconfig })), { fieldManager: DRAIN });
  }

  function drained(more: Partial<DrainOptions> = {}): Promise<DrainReport> {
    return drain({
      client,
      namespace: cluster.system,
      watchNamespaces: [cluster.namespace],
      user: userOf(),
      timeoutMs: 60_000,
      clock: systemClock,
      logger: silentLogger,
      signal: never,
      ...more,
    });
  }

  const finalizersOf = async (orderId: string) => (await cluster.run(orderId))?.metadata.finalizers ?? [];

  it('waits for runs in flight, then lets the objects of ended ones go, and nothing is carried out again', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.shop.on('book', () => promise.then(() => OK));
    await cluster.applyRun('slow');
    await eventually(
      () => cluster.shop.commandsOf('slow').includes('book'),
      () => 'the run is in flight',
    );
    const looks: unknown[] = [];
    const logger = { ...silentLogger, info: (_: string, fields: unknown) => void looks.push(fields) };
    const report = drained({ logger });
    await eventually(
      () => looks.length > 0,
      () => 'it looks',
    );
    expect(looks[0]).to.deep.equal({ inFlight: 1, held: 0, endedJustNow: 0, released: 0 });
    resolve();
    expect(await report).to.deep.equal({ released: 1, aborted: 0, leftCount: 0, left: [] });
    expect(await finalizersOf('slow')).to.deep.equal([]);
    await cluster.stopOperator();
    const calls = cluster.shop.commandsOf('slow').length;
    await cluster.kubectl('delete', 'osr', 'checkout-slow', '--timeout=60s');
    await cluster.applyRun('slow');
    await cluster.startOperator();
    const run = await cluster.untilPhase('slow', 'Succeeded');
    expect(conditionOf(run, 'Succeeded')?.reason).to.equal('FinishedBefore');
    expect(cluster.shop.commandsOf('slow')).to.have.length(calls);
  });

  it('names the runs that its time was too short for, and touches none of them', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    cluster.shop.on('pay', () => promise.then(() => OK));
    await cluster.applyRun('stuck');
    await eventually(
      () => cluster.shop.commandsOf('stuck').includes('pay'),
      () => 'the run is in flight',
    );
    const { left, ...counts } = await drained({ timeoutMs: 1, force: true });
    expect(counts).to.deep.equal({ released: 0, aborted: 0, leftCount: 1 });
    expect(left[0]).to.include({ name: 'checkout-stuck', namespace: cluster.namespace, standing: 'working' });
    expect(left[0]?.why).not.to.equal('');
    expect(await finalizersOf('stuck')).to.deep.equal([FINALIZER]);
    resolve();
    await cluster.untilPhase('stuck', 'Succeeded');
  });

  it('leaves held runs to people: says so at once, and which', async () => {
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held');
    const { status } = await cluster.untilPhase('held', 'Held');
    const { left, ...counts } = await drained({ timeoutMs: 600_000 });
    expect(counts).to.deep.equal({ released: 0, aborted: 0, leftCount: 1 });
    expect(left[0]).to.include({ name: 'checkout-held', standing: 'held' });
    expect(left[0]?.why).to.match(/^StepFailed: /);
    expect((await cluster.run('held'))?.status?.holdId).to.equal(status?.holdId);
    expect(await cluster.exceptionsOf('held')).to.deep.equal([]);
  });

  it('with force aborts held runs in its own name, each with its exception records, and its rights are what it uses', async () => {
    await client.transport.close();
    client = await account(true);
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('held');
    await cluster.untilPhase('held', 'Held');
    await cluster.applyRun('done', {});
    expect(await drained({ force: true })).to.include({ aborted: 2, leftCount: 0, released: 2 });
    const run = await cluster.run('held');
    expect(run?.status?.phase).to.equal('Aborted');
    expect(run?.metadata.finalizers ?? []).to.deep.equal([]);
    const records = await cluster.untilExceptions('held', 4);
    for (const { data } of records) expect(data).to.include({ decision: 'Abort', by: userOf() });
    expect(records.map(({ data }) => `${data?.['step']} ${data?.['state']}`).sort()).to.deep.equal([
      'book Succeeded',
      'capture Unknown',
      'pay Succeeded',
      'reserve Succeeded',
    ]);
    await cluster.stopOperator();
    await cluster.kubectl('delete', 'osr', '--all', '--timeout=60s');

    const asked = await audited.askedBy(userOf());
    expect(asked.filter(({ isRefused }) => isRefused)).to.deep.equal([]);
    const used = new Set(asked.map((each) => said(each)));
    // The admission policy asks for `decide` in its name, which is no request of its own.
    const declared = [
      ...rightsOf(DRAIN_RUNS).map((right) => said({ ...right, namespace: cluster.namespace })),
      ...rightsOf(DRAIN_OWN).map((right) => said({ ...right, namespace: cluster.system })),
    ];
    expect([...used].sort()).to.deep.equal(declared.sort());
  });

  const said = ({ verb, group, resource, namespace }: Pick<Asked, 'verb' | 'group' | 'resource' | 'namespace'>) =>
    `${namespace}: ${verb} ${group}/${resource}`;

  it('without the right to decide cannot give up a run, whatever it is told', async () => {
    cluster.shop.on('capture', BROKEN);
    await cluster.applyRun('kept');
    await cluster.untilPhase('kept', 'Held');
    const refusal = await drained({ force: true }).then(
      () => 'no refusal',
      (error: Error) => error.message,
    );
    expect(refusal).to.include('needs the verb decide');
    expect((await cluster.run('kept'))?.status?.phase).to.equal('Held');
  });
});
