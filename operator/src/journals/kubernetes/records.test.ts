import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import type { KubeClient } from '../../kube/client.ts';
import { configMaps, controllerRevisions } from '../../kube/resource.ts';
import { clientOf } from '../../kube/testing.ts';
import { CHECKOUT, revision } from '../../saga/rehearsal.ts';
import type { GivenUp, RunId } from '../../saga/types.ts';
import { exceptionName, recordException } from './exceptions.ts';
import { Revisions } from './revisions.ts';

const id: RunId = { namespace: 'shop', saga: 'checkout', orderId: 'o-1' };
const entry: GivenUp = {
  decision: 'Skip',
  kind: 'action',
  step: 'book',
  state: 'Unknown',
  by: 'system:serviceaccount:ops:ann@example.org',
  reason: 'booked by hand: "№ 7"',
};

describe('Records beside runs', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane);
    namespace = await uniqueNamespace(plane, 'records');
  });
  after(() => client.transport.close());

  const exceptions = async () =>
    (await client.list(configMaps, { namespace, labelSelector: 'mercato.dev/record=exception' })).items;

  it('an exception says who gave up what, when and why; saying it again changes nothing', async () => {
    await recordException(client, namespace, id, entry, Date.UTC(2026, 0, 2));
    await recordException(client, namespace, id, entry, Date.UTC(2026, 0, 3));
    const [record, ...more] = await exceptions();
    expect(more).to.deep.equal([]);
    expect(record?.metadata.name).to.equal(exceptionName(id, entry));
    expect(record?.data).to.deep.equal({ ...entry, run: 'shop/checkout/o-1', at: '2026-01-02T00:00:00.000Z' });
    expect(record?.immutable).to.equal(true);
    expect(record?.metadata.labels).to.include({ 'mercato.dev/namespace': 'shop', 'mercato.dev/order': 'o-1' });
  });

  it('two exceptions that differ in anything are two records', () => {
    const others: [RunId, GivenUp][] = [
      [{ ...id, orderId: 'o-2' }, entry],
      [id, { ...entry, step: 'pay' }],
      [id, { ...entry, kind: 'compensation' }],
      [id, { ...entry, decision: 'Abort' }],
      [id, { ...entry, reason: 'another' }],
    ];
    const names = [exceptionName(id, entry), ...others.map(([run, what]) => exceptionName(run, what))];
    expect(new Set(names).size).to.equal(names.length);
  });

  it('a revision is kept once under its hash, and found by who never saved it', async () => {
    const one = revision();
    await new Revisions(client).save(namespace, 'checkout', one);
    await new Revisions(client).save(namespace, 'checkout', one);
    const found = await new Revisions(client).load(namespace, 'checkout', one.hash);
    expect(found).to.deep.equal(one);
    const { items } = await client.list(controllerRevisions, { namespace });
    expect(items.map(({ metadata }) => metadata.name)).to.deep.equal([`checkout-${one.hash}`]);
    expect(items[0]?.metadata.ownerReferences).to.equal(undefined);
  });

  it('a revision that was never saved is not there, and one that is known needs nobody', async () => {
    const revisions = new Revisions(client);
    const other = revision(CHECKOUT.slice(0, 1));
    expect(await revisions.load(namespace, 'checkout', other.hash)).to.equal(undefined);
    expect(revisions.cached(namespace, 'checkout', other.hash)).to.equal(undefined);
    await revisions.save(namespace, 'checkout', other);
    expect(revisions.cached(namespace, 'checkout', other.hash)).to.deep.equal(other);
  });

  it('a revision whose content is not what its name says is not believed', async () => {
    const real = revision(CHECKOUT, { deadline: 77_000 });
    const planted = { ...real, deadline: 1 };
    const metadata = { name: `checkout-${real.hash}`, namespace };
    await client.create(controllerRevisions, {
      metadata,
      data: planted as unknown as Record<string, unknown>,
      revision: 1,
    });
    expect(await new Revisions(client).load(namespace, 'checkout', real.hash)).to.equal(undefined);
  });

  it('a revision in a namespace that is not there is refused by the API server', async () => {
    const failed = await new Revisions(client).save('nowhere-at-all', 'checkout', revision()).then(
      () => undefined,
      (error: Error) => error.message,
    );
    expect(failed).to.match(/nowhere-at-all/);
  });
});
