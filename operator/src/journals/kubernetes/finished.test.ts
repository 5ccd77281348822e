import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import type { KubeClient } from '../../kube/client.ts';
import { configMaps } from '../../kube/resource.ts';
import { clientOf } from '../../kube/testing.ts';
import type { ConfigMap } from '../../kube/types.ts';
import type { RunId } from '../../saga/types.ts';
import { REMEMBERED_MILLIS } from '../worker-journal.ts';
import { FinishedRuns } from './finished.ts';

const DAY = 86_400_000;
const runOf = (orderId: string | number): RunId => ({ namespace: 'shop', saga: 'checkout', orderId: `o-${orderId}` });

describe('The memory of finished runs', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let now: number;
  let requests = 0;

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane, { observer: { requested: () => (requests += 1) } });
  });
  after(() => client.transport.close());
  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'finished');
    now = Date.UTC(2026, 5, 1);
  });

  const memory = (): FinishedRuns => new FinishedRuns(client, namespace, () => now);
  const loaded = async (): Promise<FinishedRuns> => {
    const fresh = memory();
    await fresh.load();
    return fresh;
  };
  const pages = async (): Promise<ConfigMap[]> =>
    (await client.list(configMaps, { namespace, labelSelector: 'mercato.dev/record=finished' })).items;

  it('is there for the next leader', async () => {
    const first = await loaded();
    await first.remember(runOf(1), 'Succeeded');
    await first.remember(runOf(2), 'Compensated');
    const second = await loaded();
    expect(second.outcomeOf(runOf(1))).to.equal('Succeeded');
    expect(second.outcomeOf(runOf(2))).to.equal('Compensated');
    expect(second.outcomeOf(runOf(3))).to.equal(undefined);
    expect(second.outcomeOf({ ...runOf(1), saga: 'other' })).to.equal(undefined);
  });

  it('shares a write among the runs of a moment, and begins a new page when one is full', async () => {
    const runs = await loaded();
    requests = 0;
    await Promise.all(Array.from({ length: 2500 }, (_, n) => runs.remember(runOf(n), 'Succeeded')));
    expect(await pages()).to.have.length(3);
    expect(requests, 'a handful of writes').to.be.below(10);
    const again = await loaded();
    for (const n of [0, 999, 1000, 2499]) expect(again.outcomeOf(runOf(n))).to.equal('Succeeded');
  });

  it('waits for others to share the write, and for nobody once it is flushed', async () => {
    const patient = new FinishedRuns(
      client,
      namespace,
      () => now,
      () => new Promise<void>(() => undefined),
    );
    await patient.load();
    patient.note(runOf(1), 'Succeeded');
    patient.note(runOf(1), 'Succeeded');
    patient.note(runOf(2), 'Aborted');
    expect(patient.isRemembered(runOf(1))).to.equal(false);
    await patient.flush();
    expect(patient.isRemembered(runOf(1))).to.equal(true);
    expect((await loaded()).outcomeOf(runOf(2))).to.equal('Aborted');
  });

  it('answers for what is being written, and keeps the first outcome', async () => {
    const runs = await loaded();
    const written = runs.remember(runOf(1), 'Aborted');
    expect(runs.outcomeOf(runOf(1))).to.equal('Aborted');
    await written;
    await runs.remember(runOf(1), 'Succeeded');
    expect(runs.outcomeOf(runOf(1))).to.equal('Aborted');
    expect(await pages()).to.have.length(1);
  });

  it('loses nothing when two that think they lead write at once', async () => {
    const [first, second] = [await loaded(), await loaded()];
    await first.remember(runOf('a'), 'Succeeded');
    await second.load();
    await first.remember(runOf('b'), 'Succeeded');
    const late = second.remember(runOf('c'), 'Succeeded').then(
      () => 'written',
      () => 'failed',
    );
    expect(await late, 'its page was changed').to.equal('failed');
    expect(second.outcomeOf(runOf('c')), 'what failed is not remembered').to.equal(undefined);
    await second.remember(runOf('c'), 'Succeeded');
    const third = await loaded();
    for (const name of ['a', 'b', 'c']) expect(third.outcomeOf(runOf(name))).to.equal('Succeeded');
  });

  it('is written by several replicas at once, each on pages of its own, and read by all', async () => {
    const replica = (writer: string): FinishedRuns =>
      new FinishedRuns(
        client,
        namespace,
        () => now,
        async () => undefined,
        writer,
      );
    const [first, second] = [replica('0a'), replica('0b')];
    await Promise.all([first.load(), second.load()]);
    const all = Array.from({ length: 60 }, (_, n) => runOf(n));
    await Promise.all(
      all.map(async (run, n) => {
        const [mine, other] = n % 2 === 0 ? [first, second] : [second, first];
        await mine.remember(run, 'Succeeded');
        // What the other wrote comes while it is writing on.
        if (n % 7 === 0) await other.load();
      }),
    );
    expect((await pages()).map(({ metadata }) => metadata.name.split('-')[2]).sort()).to.deep.equal(['0a', '0b']);
    await first.load();
    const third = replica('0c');
    await third.load();
    for (const run of all)
      for (const reader of [first, third]) expect(reader.outcomeOf(run), run.orderId).to.equal('Succeeded');
    for (const [n, run] of all.entries()) expect((n % 2 === 0 ? first : second).isRemembered(run)).to.equal(true);
    await third.remember(runOf('x'), 'Aborted');
    expect(await pages(), 'nobody writes on the page of another').to.have.length(3);
  });

  it('of a replica goes on after somebody wrote on its page', async () => {
    const replica = new FinishedRuns(
      client,
      namespace,
      () => now,
      async () => undefined,
      '0a',
    );
    await replica.remember(runOf(1), 'Succeeded');
    const [page] = await pages();
    await client.patch(
      configMaps,
      { namespace, name: page?.metadata.name ?? '' },
      { metadata: { labels: { by: 'me' } } },
    );
    await replica.remember(runOf(2), 'Succeeded').catch(() => replica.remember(runOf(2), 'Succeeded'));
    const again = await loaded();
    for (const n of [1, 2]) expect(again.outcomeOf(runOf(n))).to.equal('Succeeded');
  });

  it('begins a page a day, and forgets pages after 35 days, not before', async () => {
    const runs = await loaded();
    await runs.remember(runOf('old'), 'Succeeded');
    now += DAY;
    await runs.remember(runOf('young'), 'Succeeded');
    expect(await pages()).to.have.length(2);
    now += REMEMBERED_MILLIS;
    await runs.prune();
    expect(runs.outcomeOf(runOf('old'))).to.equal('Succeeded');
    now += 1;
    await runs.prune();
    expect(runs.outcomeOf(runOf('old'))).to.equal(undefined);
    expect(runs.outcomeOf(runOf('young'))).to.equal('Succeeded');
    expect(await pages()).to.have.length(1);
    await (await loaded()).prune();
  });

  it('remembers a run for 35 days from its end, also on a page that was begun before', async () => {
    const runs = await loaded();
    await runs.remember(runOf('first'), 'Succeeded');
    now += DAY - 1;
    await runs.remember(runOf('last'), 'Succeeded');
    now += REMEMBERED_MILLIS - 1;
    await runs.prune();
    expect(runs.outcomeOf(runOf('last')), '35 days less a millisecond').to.equal('Succeeded');
  });

  it('goes on after its page was deleted by somebody', async () => {
    const runs = await loaded();
    await runs.remember(runOf(1), 'Succeeded');
    const [page] = await pages();
    await client.delete(configMaps, { namespace, name: page?.metadata.name ?? '' });
    await runs.remember(runOf(2), 'Succeeded').catch(() => runs.remember(runOf(2), 'Succeeded'));
    expect((await loaded()).outcomeOf(runOf(2))).to.equal('Succeeded');
  });
});
