import { randomBytes } from 'node:crypto';
import { uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { ApiError, TransportError } from '../kube/errors.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { INPUT } from '../saga/rehearsal.ts';
import type { RunId } from '../saga/types.ts';
import { eventually, TestCluster } from '../testing/cluster.ts';
import { AilingNamespaces } from './ailing.ts';
import { IntakeBusy, IntakeRefused } from './intake.ts';
import { KubernetesIntake } from './kubernetes.ts';

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: unknown) => error,
  );

describe('A namespace that ails', () => {
  const clock = new VirtualClock();
  const request = { method: 'POST', path: '/runs' } as const;
  const broken = new ApiError(request, 500, undefined, 'failed calling webhook');
  let namespaces: AilingNamespaces;
  beforeEach(() => {
    namespaces = new AilingNamespaces(clock);
  });
  const ask = (work: () => Promise<unknown>, namespace = 'a') => caught(namespaces.within(namespace, work));
  const fails = (error: Error) => () => Promise.reject(error);

  it('is asked by one at a time, and others as ever', async () => {
    expect(await ask(fails(broken))).to.equal(broken);
    const { promise, resolve } = Promise.withResolvers<string>();
    const asking = ask(() => promise);
    expect(await ask(async () => 'taken')).to.be.instanceOf(IntakeBusy);
    expect(await ask(async () => 'taken', 'b')).to.equal('taken');
    resolve('taken');
    expect(await asking).to.equal('taken');
    const all = await Promise.all([ask(async () => 'taken'), ask(async () => 'taken')]);
    expect(all, 'it is well').to.deep.equal(['taken', 'taken']);
  });

  it('is one that fails, times out or refuses late; not one that refuses at once, nor one that nobody reaches', async () => {
    const denied = new ApiError(request, 403, undefined, 'exceeded quota');
    const ails = async (work: () => Promise<unknown>): Promise<boolean> => {
      namespaces = new AilingNamespaces(clock);
      await ask(work);
      const never = ask(() => new Promise(() => undefined));
      const second = await Promise.race([ask(async () => 'taken'), never]);
      return second instanceof IntakeBusy;
    };
    expect(await ails(fails(broken))).to.equal(true);
    expect(await ails(fails(new TransportError(request, 'timeout', 'no answer')))).to.equal(true);
    const late = async () => {
      clock.advance(1_001);
      throw denied;
    };
    expect(await ails(late)).to.equal(true);
    expect(await ails(fails(denied))).to.equal(false);
    expect(await ails(fails(new TransportError(request, 'connect', 'refused')))).to.equal(false);
  });
});

describe('Intake with the kubernetes journal, of namespaces that let nothing in', function () {
  this.timeout(180_000);
  let cluster: TestCluster;
  let clock: VirtualClock;
  let intake: KubernetesIntake;
  let other: string;

  before(async () => {
    cluster = await TestCluster.create();
    other = await uniqueNamespace(cluster.plane, 'other');
  });
  beforeEach(() => {
    clock = new VirtualClock();
    intake = new KubernetesIntake(cluster.client, clock, []);
  });
  after(() => cluster.close());

  const apply = (document: object) => cluster.plane.kubectl(['apply', '-f', '-'], JSON.stringify(document));
  const idOf = (namespace: string): RunId => ({
    namespace,
    saga: 'checkout',
    orderId: `o-${randomBytes(4).toString('hex')}`,
  });
  const take = (id: RunId) => caught(intake.take({ id, input: INPUT, placedAt: clock.wall() }));

  it('has an order come again that a quota keeps out, refuses it after ten minutes, and takes those of others', async () => {
    const hard = { 'count/ordersagaruns.mercato.dev': '0' };
    const quota = {
      apiVersion: 'v1',
      kind: 'ResourceQuota',
      metadata: { name: 'full', namespace: cluster.namespace },
      spec: { hard },
    };
    const before = idOf(cluster.namespace);
    expect(await take(before)).to.equal('Begun');
    await apply(quota);
    // Nobody runs who would count what is used.
    const status = ['patch', 'resourcequota', 'full', '--subresource=status', '--type=merge'];
    await cluster.kubectl(...status, '-p', JSON.stringify({ status: { hard, used: hard } }));
    // The API server goes by what its own watch has shown it.
    await eventually(
      async () => String(await take(idOf(cluster.namespace))).includes('exceeded quota'),
      () => 'the quota is not in force',
    );
    const kept = idOf(cluster.namespace);
    expect(await take(kept))
      .to.be.instanceOf(IntakeBusy)
      .with.property('message')
      .which.contains('exceeded quota');
    expect(await take(idOf(other))).to.equal('Begun');
    expect(await take(before), 'it was taken before').to.equal('Known');
    clock.advance(599_999);
    expect(await take(kept)).to.be.instanceOf(IntakeBusy);
    expect(await take(idOf(cluster.namespace)), 'each has its own patience').to.be.instanceOf(IntakeBusy);
    clock.advance(1);
    expect(await take(kept))
      .to.be.instanceOf(IntakeRefused)
      .and.to.include({ reason: 'NotAdmitted' });
    expect(await take(before)).to.equal('Known');
    await cluster.kubectl('delete', 'resourcequota', 'full');
    await eventually(
      async () => (await take(kept)) === 'Begun',
      () => 'the quota is still in force',
    );
  });

  it('is busy, and no outage, where a webhook of a namespace fails', async () => {
    const name = `broken-${cluster.namespace}`;
    await apply({
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name },
      webhooks: [
        {
          name: 'broken.mercato.test',
          // The discard port: nobody is there.
          clientConfig: { url: 'https://127.0.0.1:9/' },
          namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': cluster.namespace } },
          rules: [
            { apiGroups: ['mercato.dev'], apiVersions: ['*'], operations: ['CREATE'], resources: ['ordersagaruns'] },
          ],
          failurePolicy: 'Fail',
          sideEffects: 'None',
          admissionReviewVersions: ['v1'],
        },
      ],
    });
    try {
      await eventually(
        async () => (await take(idOf(cluster.namespace))) instanceof IntakeBusy,
        () => 'the webhook is never asked',
      );
      expect(await take(idOf(other))).to.equal('Begun');
    } finally {
      await cluster.plane.kubectl(['delete', 'validatingwebhookconfiguration', name]);
    }
  });
});
