import { expect } from 'chai';
import { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import { LeaderElector, LeaseLostError } from '../../kube/leases.ts';
import { leases } from '../../kube/resource.ts';
import { Runner } from '../../runner/runner.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { CONTEXT, revision } from '../../saga/rehearsal.ts';
import { eventually, TestCluster } from '../../testing/cluster.ts';
import { MemoryJournal } from '../../testing/memory-journal.ts';
import { Leadership } from './leadership.ts';

/** Rejects as the API server's trouble would have it. */
class Unprunable extends FinishedRuns {
  attempts = 0;

  override async prune(): Promise<void> {
    this.attempts++;
    throw new Error('etcdserver: request timed out');
  }
}

describe('A leadership', function () {
  this.timeout(60_000);
  let cluster: TestCluster;
  let journal: MemoryJournal;
  let stop: AbortController;

  before(async () => {
    cluster = await TestCluster.create();
  });
  after(() => cluster.close());
  beforeEach(() => {
    journal = new MemoryJournal();
    stop = new AbortController();
  });

  /** Leads with one run whose first step is in flight and not yet written, over a lease of this name. */
  async function lead(
    name: string,
    finished: FinishedRuns = new FinishedRuns(cluster.client, cluster.system, Date.now),
  ): Promise<{ runner: Runner; worked: Promise<void>; holder: () => Promise<string> }> {
    const { client, system: namespace } = cluster;
    const elector = new LeaderElector({ client, namespace, name, identity: 'one' });
    const participants = { send: () => new Promise<never>(() => undefined) };
    const runner = new Runner({ journal, participants, clock: systemClock, observer: {} });
    const leadership = new Leadership({ finished, runner, clock: systemClock, elector, logger: silentLogger });
    const late = new Promise<void>((resolve) =>
      stop.signal.addEventListener('abort', () => setTimeout(resolve, 500), { once: true }),
    );
    // As the manager does: it waits for what is told to stop, but not for ever.
    const worked = elector.run((signal) => Promise.race([leadership.start(signal), late]), stop.signal);
    await leadership.inheritance;
    void runner.adopt({
      context: CONTEXT,
      revision: revision(),
      version: journal.create(CONTEXT.id),
      from: { type: 'New' },
    });
    const holder = async () => (await client.get(leases, { namespace, name })).spec?.holderIdentity ?? '';
    return { runner, worked, holder };
  }

  it('hands its lease over when all that it knows is durable', async () => {
    const { worked, holder } = await lead('in-order');
    stop.abort(new Error('stop'));
    await worked;
    expect(journal.written).to.have.length(1);
    expect(await holder()).to.equal('');
  });

  it('leaves its lease to expire when it could not write what it knows: the next leader must count what was sent as unknown', async () => {
    journal.faults.push(...Array.from({ length: 100 }, () => 'refused' as const));
    const { runner, worked, holder } = await lead('out-of-order');
    stop.abort(new Error('stop'));
    await worked;
    expect(await holder()).to.equal('one');
    runner.abandon();
  });

  it('goes on when finished runs cannot be forgotten now', async () => {
    const finished = new Unprunable(cluster.client, cluster.system, Date.now);
    const { worked, holder } = await lead('unprunable', finished);
    await eventually(
      () => finished.attempts > 0,
      () => 'it prunes',
    );
    expect(await holder()).to.equal('one');
    stop.abort(new Error('stop'));
    await worked;
    expect(await holder()).to.equal('');
  });

  it('that loses its lease writes nothing more', async () => {
    const { runner, worked } = await lead('lost');
    stop.abort(new LeaseLostError('the test says so'));
    await worked;
    expect(runner.size).to.equal(0);
    expect(journal.written).to.deep.equal([]);
  });
});
