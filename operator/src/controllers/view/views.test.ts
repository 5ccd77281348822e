import { expect } from 'chai';
import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import { orderSagaRuns } from '../../journals/kubernetes/journal.ts';
import { InProcess } from '../../journals/sqlite/in-process.ts';
import { SqliteJournal } from '../../journals/sqlite/journal.ts';
import { openFile } from '../../journals/sqlite/schema.ts';
import { EventRecorder } from '../../kube/events.ts';
import { systemClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { Manager } from '../../runtime/manager.ts';
import { FrameworkMetrics } from '../../runtime/metrics.ts';
import { begin, transition } from '../../saga/engine.ts';
import { CONTEXT, revision } from '../../saga/rehearsal.ts';
import type { RunEvent, RunId, RunState } from '../../saga/types.ts';
import { conditionOf, eventually, TestCluster } from '../../testing/cluster.ts';
import { trim } from '../ordersagarun/run.ts';
import { viewMetrics } from './metrics.ts';
import { VIEW_LABEL, Views } from './views.ts';

const REVISION = revision();
const CAP = 4;
/** Longer than any test takes: it is over when the test has time go ahead. */
const TTL_MILLIS = 600_000;

describe('a View', function () {
  this.timeout(120_000);
  let cluster: TestCluster;
  let journal: SqliteJournal;
  let views: Views;
  let end: () => Promise<void>;
  let aheadMillis: number;
  /** Runs of this test, with the version of their last write. */
  const driven = new Map<string, { id: RunId; state: RunState; version: string }>();

  before(async () => {
    cluster = await TestCluster.create();
  });

  after(() => cluster.close());

  beforeEach(async () => {
    const database = openFile(':memory:');
    journal = new SqliteJournal({
      executor: new InProcess(() => database, { borrowed: true }),
      retention: { ended: () => 3_600_000 },
    });
    await journal.open();
    await journal.saveRevision(cluster.namespace, 'checkout', REVISION);
    const metrics = new FrameworkMetrics();
    aheadMillis = 0;
    const manager = new Manager({ client: cluster.client, namespaces: [cluster.namespace], health: false, metrics });
    const recorder = new EventRecorder({
      client: cluster.client,
      reportingController: 'mercato.dev/operator',
      reportingInstance: 'test',
      clock: systemClock,
    });
    views = new Views({
      client: cluster.client,
      operatorNamespace: cluster.system,
      runs: manager.cache(orderSagaRuns, { transform: trim }),
      journal,
      recorder,
      metrics: viewMetrics(metrics.registry),
      clock: {
        ...systemClock,
        monotonic: () => systemClock.monotonic() + aheadMillis,
        wall: () => systemClock.wall() + aheadMillis,
      },
      logger: silentLogger,
      limits: { cap: CAP, ttl: TTL_MILLIS, askedTtl: 10 * TTL_MILLIS },
    });
    manager.add(views);
    const stop = new AbortController();
    const ended = manager.run(stop.signal);
    end = async () => {
      stop.abort(new Error('the test ends'));
      await ended;
      await recorder.stop();
      await journal.close();
      database.close();
      await cluster.client.deleteCollection(orderSagaRuns, { namespace: cluster.namespace });
    };
  });

  afterEach(async () => {
    driven.clear();
    await end();
  });

  /** An order is taken in, and driven by nobody but the test. */
  async function take(orderId: string, saga = 'checkout'): Promise<void> {
    const id = { namespace: cluster.namespace, saga, orderId };
    const made = await journal.create({ id, input: CONTEXT.input, revision: REVISION.hash, createdAt: Date.now() });
    if (made.type !== 'Created') throw new Error(made.type);
    driven.set(orderId, { id, state: begin(REVISION, Date.now()), version: made.version });
  }

  async function tell(orderId: string, event: RunEvent): Promise<RunState> {
    const run = driven.get(orderId);
    if (run === undefined) throw new Error(`no run ${orderId}`);
    const context = { id: run.id, input: CONTEXT.input };
    const { state } = transition(REVISION, context, run.state, event, { wall: Date.now(), elapsed: 0 });
    driven.set(orderId, { ...run, state, version: await journal.write(run.id, state, run.version) });
    return state;
  }

  /** Has an order taken in and held. */
  async function held(orderId: string, saga?: string): Promise<RunState> {
    await take(orderId, saga);
    return tell(orderId, { type: 'Damaged', message: 'the test says so' });
  }

  async function ask(orderId: string): Promise<void> {
    const { kind, metadata } = cluster.runOf(orderId);
    await cluster.apply({ kind, metadata, spec: { sagaRef: { name: 'checkout' }, orderId, mode: 'View' } });
  }

  const shown = async (): Promise<OrderSagaRun[]> =>
    (await cluster.client.list(orderSagaRuns, { namespace: cluster.namespace })).items;

  it('shows a run that is held, with what a person needs to decide and without the order', async () => {
    const state = await held('o-1');
    const view = await cluster.untilPhase('o-1', 'Held');
    expect(view.spec).to.deep.equal({ sagaRef: { name: 'checkout' }, orderId: 'o-1', mode: 'View' });
    expect(view.status).to.include({ holdId: state.hold?.id, holdReason: 'JournalDamaged', revision: REVISION.hash });
    expect(view.status?.nextAction).to.match(/^a person decides hold .* set spec.decision to /);
    expect(view.status?.steps).to.have.length(REVISION.steps.length);
    expect(view.status).not.to.have.any.keys('journal', 'checksum');
    expect(conditionOf(view, 'Held')).to.include({ status: 'True', message: 'the test says so' });
    expect(conditionOf(view, 'Accepted')).to.include({ status: 'True', reason: 'RunFound' });
    expect(JSON.stringify(view)).not.to.include(CONTEXT.input.paymentToken);
  });

  it('carries a decision to the journal, and shows what came of it', async () => {
    const { hold } = await held('o-1');
    await cluster.untilPhase('o-1', 'Held');
    const decision = { holdId: hold?.id ?? '', do: 'Abort', reason: 'it is a test', by: 'admin' } as const;
    await cluster.decide('o-1', decision);
    let [left] = await journal.mail();
    await eventually(
      async () => {
        [left] = await journal.mail();
        return left !== undefined;
      },
      () => 'no decision was left in the journal',
    );
    expect(left?.mail).to.deep.equal({ type: 'Decision', decision });
    await cluster.untilEvent('o-1', 'DecisionCarried');
    await tell('o-1', { type: 'Decided', decision });
    await journal.settleMail([left?.receipt ?? '']);
    const view = await cluster.untilPhase('o-1', 'Aborted');
    expect(view.status?.observedDecision).to.include({ holdId: decision.holdId, outcome: 'Accepted' });
    expect(conditionOf(view, 'DecisionAccepted')).to.include({ status: 'True', reason: 'AbortAccepted' });
    expect(await journal.mail(), 'it is not left again').to.deep.equal([]);
  });

  it('puts on record what is given up, as with every journal, before it shows that it was', async () => {
    const orderId = 'o-given-up';
    await take(orderId);
    // What was sent is unknown, and may have left something in place.
    await tell(orderId, { type: 'TakenOver', died: true });
    const { hold } = await tell(orderId, { type: 'Damaged', message: 'the test says so' });
    await cluster.untilPhase(orderId, 'Held');
    const decision = { holdId: hold?.id ?? '', do: 'Abort', reason: 'by hand', by: 'admin' } as const;
    const state = await tell(orderId, { type: 'Decided', decision });
    expect(state.givenUp).not.to.deep.equal([]);
    await cluster.until(orderId, (run) => run.status?.observedDecision?.outcome === 'Accepted');
    const records = await cluster.exceptionsOf(orderId);
    const run = `${cluster.namespace}/checkout/${orderId}`;
    expect(records.map(({ data = {} }) => ({ ...data, at: '' }))).to.have.deep.members(
      state.givenUp.map((entry) => ({ run, ...entry, at: '' })),
    );
  });

  it('tells the second of two people who decide at once that the first was followed', async () => {
    const { hold } = await held('o-1');
    await cluster.untilPhase('o-1', 'Held');
    await tell('o-1', {
      type: 'Decided',
      decision: { holdId: hold?.id ?? '', do: 'Retry', reason: 'well', by: 'ada' },
    });
    await cluster.decide('o-1', { holdId: hold?.id, do: 'Abort' });
    const event = await cluster.untilEvent('o-1', 'DecisionTooLate');
    expect(event.note).to.equal(`Abort by admin: the run has followed Retry for hold ${hold?.id} already`);
    await cluster.until('o-1', ({ status }) => status?.observedDecision?.do === 'Retry');
  });

  it('says so where a decision comes too late', async () => {
    const { hold } = await held('o-1');
    await cluster.untilPhase('o-1', 'Held');
    await tell('o-1', { type: 'LetGo', reason: 'the test ends it' });
    await cluster.decide('o-1', { holdId: hold?.id, do: 'Abort' });
    await cluster.untilEvent('o-1', 'DecisionTooLate');
    const view = await cluster.until('o-1', (run) => conditionOf(run, 'DecisionAccepted')?.reason === 'RunEnded');
    expect(conditionOf(view, 'DecisionAccepted')?.status).to.equal('False');
  });

  it('shows any run that is asked for by name, and says where there is none', async () => {
    await take('o-1');
    await ask('o-1');
    await ask('o-2');
    const found = await cluster.until('o-1', (run) => conditionOf(run, 'Accepted')?.status === 'True');
    expect(found.status).to.include({ phase: 'Pending', nextAction: 'it was taken in, and begins' });
    const missing = await cluster.until('o-2', (run) => conditionOf(run, 'Accepted')?.status === 'False');
    expect(conditionOf(missing, 'Accepted')).to.include({ reason: 'RunNotFound' });
    expect(missing.status?.nextAction).to.include('the journal has no run of order o-2');
  });

  it('is one of at most so many: the rest is counted', async () => {
    for (const orderId of ['o-1', 'o-2', 'o-3', 'o-4', 'o-5', 'o-6']) await held(orderId);
    await eventually(
      async () => (await shown()).length === CAP && views.populationOf(cluster.namespace, 'checkout').excessViews === 2,
      () => JSON.stringify(views.populationOf(cluster.namespace, 'checkout')),
    );
    expect((await shown()).map(({ spec }) => spec.orderId)).to.deep.equal(['o-1', 'o-2', 'o-3', 'o-4']);
    expect(views.populationOf(cluster.namespace, 'checkout')).to.deep.include({ active: 0, heldCount: 6 });
    await tell('o-1', { type: 'LetGo', reason: 'the test ends it' });
    await cluster.untilPhase('o-5', 'Held');
    await eventually(
      async () => (await shown()).length === CAP,
      () => 'there are more than the cap',
    );
  });

  it('is closed where too many are asked for, and says what to do; those of runs that need a person are not', async () => {
    const closed = (run: OrderSagaRun): boolean => conditionOf(run, 'Accepted')?.reason === 'TooManyViews';
    for (const orderId of ['a-1', 'a-2', 'a-3']) await take(orderId);
    for (const orderId of ['a-1', 'a-2']) {
      await ask(orderId);
      await cluster.untilPhase(orderId, 'Pending');
    }
    await ask('a-3');
    const view = await cluster.until('a-3', closed);
    expect(conditionOf(view, 'Accepted')).to.include({ status: 'False' });
    expect(conditionOf(view, 'Accepted')?.message).to.match(/^2 Views that people asked for .* delete those/);
    expect(view.status, 'nothing of its run').not.to.have.any.keys('phase', 'steps', 'revision');
    for (const orderId of ['h-1', 'h-2', 'h-3', 'h-4']) await held(orderId);
    await cluster.untilPhase('h-1', 'Held');
    await cluster.untilPhase('h-2', 'Held');
    await eventually(
      () => views.populationOf(cluster.namespace, 'checkout').excessViews === 2,
      () => JSON.stringify(views.populationOf(cluster.namespace, 'checkout')),
    );
    expect((await cluster.run('a-1'))?.status?.phase, 'the first that was asked for').to.equal('Pending');
    aheadMillis += TTL_MILLIS;
    await cluster.untilGone('a-3');
    await ask('h-4');
    await cluster.until('h-4', closed);
    const { hold } = driven.get('h-4')?.state ?? {};
    await cluster.decide('h-4', { holdId: hold?.id, do: 'Abort' });
    await cluster.untilEvent('h-4', 'DecisionCarried');
    for (const orderId of ['a-1', 'a-2']) await cluster.deleteRun(orderId);
    for (const orderId of ['h-3', 'h-4']) await cluster.untilPhase(orderId, 'Held');
  });

  it('is kept although another cannot be made', async () => {
    await held('NoName');
    const { hold } = await held('o-1');
    await cluster.untilPhase('o-1', 'Held');
    await cluster.decide('o-1', { holdId: hold?.id, do: 'Abort' });
    await cluster.untilEvent('o-1', 'DecisionCarried');
    const failed = await views.keep().catch((error: unknown) => error);
    expect(failed).to.be.instanceOf(AggregateError);
    expect((failed as AggregateError).message).to.match(/^1 Views could not be kept, the first: .*NoName/);
  });

  it('is of one run, also where the name would do for two, and says so', async () => {
    await ask('x-y');
    await held('y', 'checkout-x');
    const event = await cluster.untilEvent('x-y', 'NameTaken');
    expect(event.note).to.include(`${cluster.namespace}/checkout-x/y needs a person`);
    const asked = await cluster.until('x-y', (run) => conditionOf(run, 'Accepted')?.reason === 'RunNotFound');
    expect(asked.status, 'nothing of the other run').not.to.have.any.keys('phase', 'holdId');
    await cluster.deleteRun('x-y');
    const view = await cluster.untilPhase('x-y', 'Held');
    expect(view.spec).to.include({ orderId: 'y' });
    expect(view.spec.sagaRef).to.deep.equal({ name: 'checkout-x' });
  });

  it('comes back when it is deleted while its run needs someone, and goes when it no longer does', async () => {
    await held('o-1');
    const first = await cluster.untilPhase('o-1', 'Held');
    await cluster.deleteRun('o-1');
    await cluster.until('o-1', (run) => run.metadata.uid !== first.metadata.uid && run.status?.phase === 'Held');
    expect((await cluster.run('o-1'))?.metadata.labels).to.deep.equal({ [VIEW_LABEL]: 'attention' });
    await tell('o-1', { type: 'LetGo', reason: 'the test ends it' });
    await cluster.untilPhase('o-1', 'Aborted');
    aheadMillis += TTL_MILLIS;
    await cluster.untilGone('o-1');
  });
});
