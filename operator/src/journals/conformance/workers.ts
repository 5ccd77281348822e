import { expect } from 'chai';
import { eventually } from '../../kube/testing.ts';
import { runKey } from '../../saga/command.ts';
import { begin } from '../../saga/engine.ts';
import { businessFailure, CHECKOUT, INPUT, revision, success, unknown } from '../../saga/rehearsal.ts';
import type { GivenUp, RunId, RunState } from '../../saga/types.ts';
import { JournalUnavailable, VersionConflict } from '../journal.ts';
import {
  type Announcement,
  type ClaimedRun,
  IncarnationLost,
  type Mail,
  type NewRun,
  type WorkerJournal,
} from '../worker-journal.ts';
import type { JournalHarness } from './harness.ts';
import { REVISION, rejection, Stage, type Worker } from './stage.ts';

const PATIENCE_MILLIS = 120_000;
const DAY_MILLIS = 86_400_000;
const HELD = revision(CHECKOUT, { onStepFailure: 'Hold' });
const ABORTED: GivenUp = {
  decision: 'Abort',
  kind: 'action',
  step: 'reserve',
  state: 'Unknown',
  by: 'ann',
  reason: 'it was done by hand',
};
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** How long the suite's harnesses keep an ended run: by its outcome, so that a journal must ask. Milliseconds. */
export const KEPT_MILLIS = { Succeeded: 60_000, Compensated: 3_600_000, Aborted: 3_600_000 } as const;

/**
 * What a journal with workers of its own promises beyond {@link journalConformance}: it begins, finds and ends runs without Kubernetes. Its harness keeps
 * ended runs for {@link KEPT_MILLIS}, and remembers them for the 35 days that are the default.
 */
export function workerJournalConformance<J extends WorkerJournal>(harness: JournalHarness<J>): void {
  describe(`The ${harness.name} journal, as one with workers of its own`, function () {
    this.timeout(PATIENCE_MILLIS);
    let stage: Stage<J>;

    before(() => harness.before?.());
    after(() => harness.after?.());
    beforeEach(async () => {
      stage = await Stage.open(harness);
    });
    afterEach(() => stage.place.close());

    /** Lets a run of this worker end well. */
    const complete = async (worker: Worker<J>, run?: NewRun): Promise<void> => {
      await worker.begin(run);
      await worker.runTo('capture');
      await worker.finish();
    };
    const heldWorker = async (): Promise<{ worker: Worker<J>; holdId: string }> => {
      const worker = await stage.worker(HELD);
      await worker.begin();
      await worker.runTo('authorise');
      return { worker, holdId: await worker.hold(unknown()) };
    };
    /** Everything that is left to claim, however late an index is. */
    const claimAll = async (journal: J, count: number): Promise<ClaimedRun[]> => {
      const claimed: ClaimedRun[] = [];
      await eventually(`${count} runs can be claimed`, async () => {
        claimed.push(...(await journal.claim(100)));
        return claimed.length >= count;
      });
      return claimed.sort((a, b) => a.run.id.orderId.localeCompare(b.run.id.orderId));
    };
    /** A run in a state of the test's own, written by this journal. */
    const put = async (journal: J, run: NewRun, change: Partial<RunState>): Promise<string> =>
      journal.write(run.id, { ...begin(HELD, stage.clock.wall()), ...change }, await stage.place.begin(journal, run));
    const holdSince = (since: number): Partial<RunState> => ({
      hold: { id: `1-${since}`, reason: 'StepFailed', message: 'no', since, step: 'reserve', kind: 'action' },
      holds: 1,
    });

    describe('puts each order on record once (rule 1)', () => {
      it('with all that a run begins with, for whoever takes it over', async () => {
        const { journal } = await stage.worker();
        const input = { ...INPUT, customer: 'Zoë 遅い "№ 7"', shipTo: { country: 'GB', notes: ['a', { b: null }] } };
        const run = { ...stage.newRun(), input, traceparent: TRACEPARENT };
        expect((await journal.create(run)).type).to.equal('Created');
        expect((await journal.look(run.id))?.run).to.deep.equal(run);
        const heir = await stage.place.succeed(journal, 'died');
        const [claimed] = await claimAll(heir, 1);
        expect(claimed?.run).to.deep.equal(run);
        expect(claimed?.record).to.deep.include({ state: undefined });
        expect(claimed?.died).to.equal(true);
      });

      it('and says of one that it is open, or how it ended', async () => {
        const worker = await stage.worker();
        await complete(worker);
        expect(await worker.journal.create(stage.newRun())).to.deep.equal({ type: 'Ended', outcome: 'Succeeded' });
        await worker.journal.create(stage.newRun('o-2'));
        expect(await worker.journal.create(stage.newRun('o-2'))).to.deep.equal({ type: 'Open' });
        expect((await worker.journal.create(stage.newRun('o-2', REVISION, 'returns'))).type).to.equal('Created');
      });

      it('and, delivered many times at once, to one of them only', async () => {
        const { journal } = await stage.worker();
        const creations = await Promise.all(Array.from({ length: 8 }, () => journal.create(stage.newRun())));
        expect(creations.map(({ type }) => type).sort()).to.deep.equal(['Created', ...Array(7).fill('Open')]);
      });

      it('and knows it as open for the next worker, before that has claimed it', async () => {
        const { journal } = await stage.worker();
        await journal.create(stage.newRun());
        const heir = await stage.place.succeed(journal, 'died');
        expect(await heir.create(stage.newRun())).to.deep.equal({ type: 'Open' });
      });

      for (const fault of ['answer lost', 'refused'] as const) {
        it(`and gives it to somebody, once, where the create was ${fault} and is repeated`, async () => {
          const { journal } = await stage.worker();
          stage.place.fail(journal, fault);
          expect(await rejection(journal.create(stage.newRun()))).to.be.instanceOf(JournalUnavailable);
          let given = 0;
          await eventually('the run is driven by somebody', async () => {
            const again = await journal.create(stage.newRun());
            if (again.type === 'Created') given += 1;
            given += (await journal.claim(10)).length;
            return given > 0;
          });
          expect(await journal.create(stage.newRun())).to.deep.equal({ type: 'Open' });
          expect(await journal.claim(10)).to.deep.equal([]);
          expect(given).to.equal(1);
        });
      }
    });

    describe('gives the runs of one that is gone to others (rule 3)', () => {
      it('each once, no more than are asked for, and says that their worker died', async () => {
        const first = await stage.worker();
        for (const orderId of ['a', 'b', 'c', 'd', 'e']) await first.journal.create(stage.newRun(orderId));
        const heir = await stage.place.succeed(first.journal, 'died');
        const some: ClaimedRun[] = [];
        await eventually('two runs', async () => {
          some.push(...(await heir.claim(2 - some.length)));
          return some.length === 2;
        });
        const rest = await claimAll(heir, 3);
        const orders = [...some, ...rest].map(({ run }) => run.id.orderId).sort();
        expect(orders).to.deep.equal(['a', 'b', 'c', 'd', 'e']);
        expect([...some, ...rest].every(({ died }) => died)).to.equal(true);
        expect(await heir.claim(10)).to.deep.equal([]);
      });

      it('and says that it handed over', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('authorise');
        const heir = await stage.succeed(worker, 'handedOver');
        const [claimed] = await claimAll(heir.journal, 1);
        expect(claimed?.died).to.equal(false);
      });

      it('and remembers through another good end which runs had a worker that died', async () => {
        const first = await stage.worker();
        await first.journal.create(stage.newRun());
        const second = await stage.place.succeed(first.journal, 'died');
        const third = await stage.place.succeed(second, 'handedOver');
        const [claimed] = await claimAll(third, 1);
        expect(claimed?.died).to.equal(true);
      });

      it('but not one that has ended, nor one that a living worker drives', async () => {
        const worker = await stage.worker();
        await complete(worker);
        await worker.journal.create(stage.newRun('o-2'));
        expect(await worker.journal.claim(10)).to.deep.equal([]);
        const heir = await stage.place.succeed(worker.journal, 'died');
        const claimed = await claimAll(heir, 1);
        expect(claimed.map(({ run }) => run.id.orderId)).to.deep.equal(['o-2']);
      });

      it('with the version of the claim, on which the next write depends', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const created = await stage.place.begin(journal, run);
        const heir = await stage.place.succeed(journal, 'died');
        const [claimed] = await claimAll(heir, 1);
        const state = begin(REVISION, 5);
        if (claimed?.record.version !== created)
          expect(await rejection(heir.write(run.id, state, created))).to.be.instanceOf(VersionConflict);
        await heir.write(run.id, state, claimed?.record.version ?? '');
        expect(await stage.durable()).to.deep.equal(state);
      });
    });

    describe('lets a worker that was declared dead change nothing (rule 10)', () => {
      const refuses = async (attempt: Promise<unknown>): Promise<void> => {
        const error = await rejection(attempt);
        expect(error instanceof IncarnationLost || error instanceof VersionConflict, String(error)).to.equal(true);
      };

      const claimedBy = (journal: J): Promise<readonly ClaimedRun[]> =>
        journal.claim(10).catch((error: unknown) => {
          expect(error).to.be.instanceOf(IncarnationLost);
          return [];
        });

      it('neither write, nor create, nor claim', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const version = await put(journal, run, {});
        const before = await stage.place.peek(run.id);
        const heir = await stage.place.succeed(journal, 'died');
        await refuses(journal.write(run.id, { ...begin(HELD, 5), claims: 9 }, version));
        expect(await rejection(journal.create(stage.newRun('o-2')))).to.be.instanceOf(IncarnationLost);
        expect(await claimedBy(journal)).to.deep.equal([]);
        expect(await stage.place.peek(run.id)).to.deep.equal(before);
        expect(await stage.place.peek(stage.id('o-2'))).to.equal(undefined);
        expect(await claimAll(heir, 1)).to.have.length(1);
      });

      it('and hears so from its own heartbeat', async () => {
        const { journal } = await stage.worker();
        expect(await journal.beat()).to.equal(1);
        await stage.place.succeed(journal, 'died');
        expect(await rejection(journal.beat())).to.be.instanceOf(IncarnationLost);
      });
    });

    describe('carries mail to whoever drives a run', () => {
      const DECISION: Mail = {
        type: 'Decision',
        decision: { holdId: '1-x', do: 'Skip', step: 'pay', outputs: { a: 'ü' }, reason: 'because', by: 'ann' },
      };
      const CANCEL: Mail = { type: 'Cancel', reason: 'changed my mind' };
      const read = async (journal: J): Promise<[string, Mail][]> =>
        (await journal.mail()).map(({ id, mail }) => [id.orderId, mail]);

      it('oldest first, until it is settled', async () => {
        const { journal } = await stage.worker();
        await journal.create(stage.newRun('b'));
        await journal.create(stage.newRun('a'));
        expect(await journal.mail()).to.deep.equal([]);
        expect(await journal.post(stage.id('b'), DECISION)).to.equal('Posted');
        stage.clock.advance(1);
        expect(await journal.post(stage.id('a'), CANCEL)).to.equal('Posted');
        expect(await read(journal)).to.deep.equal([
          ['b', DECISION],
          ['a', CANCEL],
        ]);
        const [first] = await journal.mail();
        await journal.settleMail([first?.receipt ?? '']);
        expect(await read(journal)).to.deep.equal([['a', CANCEL]]);
        await journal.settleMail((await journal.mail()).map(({ receipt }) => receipt));
        expect(await journal.mail()).to.deep.equal([]);
      });

      it('the later of two decisions, which the receipt of the earlier does not settle; a cancel beside it', async () => {
        const { journal } = await stage.worker();
        await journal.create(stage.newRun());
        const later: Mail = { type: 'Decision', decision: { holdId: '1-x', do: 'Abort', reason: 'no', by: 'bob' } };
        await journal.post(stage.id(), DECISION);
        const receipts = (await journal.mail()).map(({ receipt }) => receipt);
        await journal.post(stage.id(), CANCEL);
        await journal.post(stage.id(), later);
        await journal.settleMail(receipts);
        const left = (await read(journal)).map(([, mail]) => mail);
        expect(left).to.have.deep.members([later, CANCEL]);
      });

      it('to the next worker too, once that has claimed the run', async () => {
        const { journal } = await stage.worker();
        await journal.create(stage.newRun());
        await journal.post(stage.id(), CANCEL);
        const heir = await stage.place.succeed(journal, 'died');
        expect(await heir.mail()).to.deep.equal([]);
        await claimAll(heir, 1);
        expect(await read(heir)).to.deep.equal([['o-1', CANCEL]]);
      });

      it('and says where there is nobody to read it', async () => {
        const worker = await stage.worker();
        expect(await worker.journal.post(stage.id('nobody'), CANCEL)).to.equal('NotFound');
        await complete(worker);
        expect(await worker.journal.post(stage.id(), CANCEL)).to.equal('Ended');
        expect(await worker.journal.mail()).to.deep.equal([]);
      });

      it('and nothing of a run that has ended', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('capture');
        await worker.journal.post(stage.id(), CANCEL);
        await worker.finish();
        expect(await worker.journal.mail()).to.deep.equal([]);
      });

      it('a decision that the run’s durable state acknowledges before it is settled', async () => {
        const { worker, holdId } = await heldWorker();
        await worker.journal.post(stage.id(), {
          type: 'Decision',
          decision: { holdId, do: 'Retry', reason: 'looked into it', by: 'ann' },
        });
        const [received] = await worker.journal.mail();
        if (received?.mail.type !== 'Decision') throw new Error('a decision was left');
        worker.runner.tell(received.id, { type: 'Decided', decision: received.mail.decision as never });
        await worker.next(worker.arrived.length);
        expect((await stage.durable()).observedDecision).to.include({ holdId, do: 'Retry', outcome: 'Accepted' });
        await worker.journal.settleMail([received.receipt]);
        expect(await worker.journal.mail()).to.deep.equal([]);
      });

      it('which is durable when it is said to be', async () => {
        const { journal } = await stage.worker();
        await journal.create(stage.newRun());
        stage.place.fail(journal, 'refused');
        expect(await rejection(journal.post(stage.id(), CANCEL))).to.be.instanceOf(JournalUnavailable);
        expect(await journal.mail()).to.deep.equal([]);
        stage.place.fail(journal, 'answer lost');
        expect(await rejection(journal.post(stage.id(), CANCEL))).to.be.instanceOf(JournalUnavailable);
        expect(await read(journal)).to.deep.equal([['o-1', CANCEL]]);
      });
    });

    describe('announces holds and ends at least once', () => {
      const told = async (journal: J): Promise<Pick<Announcement, 'sequence' | 'type'>[]> =>
        (await journal.unannounced(100)).map(({ announcement: { sequence, type } }) => ({ sequence, type }));
      const settle = async (journal: J): Promise<void> => {
        await journal.announced((await journal.unannounced(100)).map(({ receipt }) => receipt));
      };

      it('with what there is to say, until they were told', async () => {
        const worker = await stage.worker();
        await worker.begin({ ...stage.newRun(), traceparent: TRACEPARENT });
        await worker.runTo('book');
        expect(await worker.journal.unannounced(10)).to.deep.equal([]);
        await worker.answer(businessFailure('NoCarrier'));
        expect(await worker.journal.unannounced(10), 'progress is nobody’s business').to.deep.equal([]);
        await worker.finish();
        const [written, ...more] = await worker.journal.unannounced(10);
        expect(more).to.deep.equal([]);
        const { at, ...rest } = written?.announcement ?? { at: 0 };
        expect(rest).to.deep.equal({
          id: stage.id(),
          sequence: 1,
          type: 'compensated',
          reason: 'NoCarrier',
          message: 'not today',
          step: 'book',
          traceparent: TRACEPARENT,
        });
        expect(at).to.be.within(stage.clock.wall() - 60_000, stage.clock.wall());
        expect(await told(worker.journal)).to.have.length(1);
        await settle(worker.journal);
        expect(await worker.journal.unannounced(10)).to.deep.equal([]);
      });

      it('in order, each hold, going on and end of a run', async () => {
        const { worker, holdId } = await heldWorker();
        const count = worker.arrived.length;
        worker.decide({ holdId, do: 'Retry' });
        await worker.next(count);
        await worker.hold(unknown());
        worker.decide({ holdId: worker.state().hold?.id ?? '', do: 'Retry' });
        await worker.next(worker.arrived.length);
        await worker.finish();
        expect(await told(worker.journal)).to.deep.equal([
          { sequence: 1, type: 'held' },
          { sequence: 2, type: 'resumed' },
          { sequence: 3, type: 'held' },
          { sequence: 4, type: 'resumed' },
          { sequence: 5, type: 'succeeded' },
        ]);
      });

      it('no more than asked for, oldest first', async () => {
        const { journal } = await stage.worker(HELD);
        for (const orderId of ['a', 'b', 'c']) {
          await put(journal, stage.newRun(orderId), holdSince(1));
          stage.clock.advance(1);
        }
        const some = await journal.unannounced(2);
        expect(some.map(({ announcement }) => announcement.id.orderId)).to.deep.equal(['a', 'b']);
        await journal.announced(some.map(({ receipt }) => receipt));
        expect((await journal.unannounced(2)).map(({ announcement }) => announcement.id.orderId)).to.deep.equal(['c']);
      });

      it('each once, where a state is written again that was told', async () => {
        const { journal } = await stage.worker(HELD);
        const run = stage.newRun();
        const version = await put(journal, run, holdSince(1));
        await settle(journal);
        await journal.write(run.id, { ...begin(HELD, stage.clock.wall()), ...holdSince(1), claims: 1 }, version);
        expect(await journal.unannounced(10)).to.deep.equal([]);
      });

      it('in one transaction with the state that they tell of', async () => {
        const { worker } = await heldWorker();
        await settle(worker.journal);
        const held = await stage.durable();
        const found = await worker.journal.read(stage.id());
        stage.place.fail(worker.journal, 'refused');
        const { hold: _hold, ...resumed } = held;
        expect(await rejection(worker.journal.write(stage.id(), resumed, found?.version ?? ''))).to.be.instanceOf(
          JournalUnavailable,
        );
        expect(await worker.journal.unannounced(10), 'nothing was written').to.deep.equal([]);
        expect(await rejection(worker.journal.write(stage.id(), resumed, 'none'))).to.be.instanceOf(VersionConflict);
        expect(await worker.journal.unannounced(10), 'it was refused').to.deep.equal([]);
        stage.place.fail(worker.journal, 'answer lost');
        expect(await rejection(worker.journal.write(stage.id(), resumed, found?.version ?? ''))).to.be.instanceOf(
          JournalUnavailable,
        );
        expect(await told(worker.journal), 'it was written').to.deep.equal([{ sequence: 2, type: 'resumed' }]);
      });

      it('also when their worker died before it told them', async () => {
        const worker = await stage.worker();
        await complete(worker);
        const other = await stage.succeed(worker, 'died');
        let found: Pick<Announcement, 'sequence' | 'type'>[] = [];
        await eventually('the heir announces it', async () => {
          await other.journal.claim(10);
          found = await told(other.journal);
          return found.length > 0;
        });
        expect(found).to.deep.equal([{ sequence: 1, type: 'succeeded' }]);
        await settle(other.journal);
        expect(await other.journal.unannounced(10)).to.deep.equal([]);
      });
    });

    describe('puts what a run gave up on record with its end (rule 2): nobody takes up what has ended', () => {
      const SKIPPED: GivenUp = { ...ABORTED, decision: 'Skip', step: 'book', reason: 'booked by hand: "№ 7"' };
      const end = (...givenUp: readonly GivenUp[]): RunState => ({
        ...begin(HELD, stage.clock.wall()),
        givenUp,
        ended: 'Aborted',
        finishedAt: stage.clock.wall(),
      });

      it('in one: whoever writes it may die before another call', async () => {
        const { journal } = await stage.worker();
        const version = await stage.place.begin(journal, stage.newRun());
        await journal.recordException(stage.id(), SKIPPED, 5);
        await journal.write(stage.id(), end(SKIPPED, ABORTED, ABORTED), version);
        expect(await stage.givenUp()).to.deep.equal(['Abort reserve', 'Skip book']);
        await journal.recordException(stage.id(), ABORTED, 6);
        expect(await stage.givenUp(), 'once').to.deep.equal(['Abort reserve', 'Skip book']);
        const heir = await stage.place.succeed(journal, 'died');
        expect(await heir.look(stage.id())).to.have.nested.property('record.state.ended', 'Aborted');
      });

      it('and not where the end is refused, or was not written', async () => {
        const { journal } = await stage.worker();
        const version = await stage.place.begin(journal, stage.newRun());
        expect(await rejection(journal.write(stage.id(), end(ABORTED), '7'))).to.be.instanceOf(VersionConflict);
        expect(await stage.givenUp(), 'refused').to.deep.equal([]);
        stage.place.fail(journal, 'refused');
        expect(await rejection(journal.write(stage.id(), end(ABORTED), version))).to.be.instanceOf(JournalUnavailable);
        expect(await stage.givenUp(), 'not written').to.deep.equal([]);
        stage.place.fail(journal, 'answer lost');
        expect(await rejection(journal.write(stage.id(), end(ABORTED), version))).to.be.instanceOf(JournalUnavailable);
        expect(await stage.givenUp(), 'written, and nobody told').to.deep.equal(['Abort reserve']);
        expect(await journal.unannounced(10)).to.have.length(1);
      });
    });

    describe('shows runs to people', () => {
      const orders = (runs: readonly { run: NewRun }[]): string[] => runs.map(({ run }) => run.id.orderId);

      it('one of them, open or ended, and none that is not there', async () => {
        const worker = await stage.worker();
        expect(await worker.journal.look(stage.id())).to.equal(undefined);
        await worker.begin();
        await worker.runTo('capture');
        const open = await worker.journal.look(stage.id());
        expect(open?.record).to.deep.include({ state: await stage.durable() });
        await worker.finish();
        const ended = await worker.journal.look(stage.id());
        expect(ended?.run.input).to.deep.equal(INPUT);
        expect(ended && 'state' in ended.record && ended.record.state?.ended).to.equal('Succeeded');
      });

      it('one of a worker that has let go of it, with the version that its next write depends on', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const written = await put(journal, run, holdSince(stage.clock.wall()));
        const seen = await journal.look(run.id);
        expect(seen?.run).to.deep.equal(run);
        expect(seen?.record)
          .to.include({ version: written })
          .and.to.have.nested.property('state.hold.reason', 'StepFailed');
        const goesOn = { ...begin(HELD, stage.clock.wall()), holds: 1 };
        await journal.write(run.id, goesOn, seen?.record.version ?? '');
        expect((await journal.counts()).get('shop/checkout')).to.deep.equal({ active: 1, held: 0 });
      });

      it('one that somebody wrote over, as damaged', async () => {
        const { journal } = await stage.worker();
        await put(journal, stage.newRun(), {});
        await stage.place.damage(stage.id());
        const sight = await journal.look(stage.id());
        expect(sight?.run.id).to.deep.equal(stage.id());
        expect(sight?.record).to.have.property('damaged');
      });

      it('those that are held or overdue, the longest first, as many as asked for, and how many there are', async () => {
        const { journal } = await stage.worker();
        const now = stage.clock.wall();
        await put(journal, stage.newRun('third'), holdSince(now - 1_000));
        await put(journal, stage.newRun('first'), holdSince(now - 3_000));
        await put(journal, stage.newRun('second'), holdSince(now - 2_000));
        await put(journal, stage.newRun('well'), {});
        stage.clock.advance(1_000);
        await put(journal, stage.newRun('late'), { overdue: true });
        let seen = await journal.attention(3);
        await eventually('all four are there', async () => {
          seen = await journal.attention(3);
          return seen.total === 4;
        });
        expect(orders(seen.runs)).to.deep.equal(['first', 'second', 'third']);
        expect(seen.runs[0] && 'state' in seen.runs[0].record && seen.runs[0].record.state?.hold?.id).to.equal(
          `1-${now - 3_000}`,
        );
        expect(orders((await journal.attention(10)).runs)).to.deep.equal(['first', 'second', 'third', 'late']);
      });

      it('and no longer those that go on or have ended', async () => {
        const { worker, holdId } = await heldWorker();
        await eventually('it is shown', async () => (await worker.journal.attention(10)).total === 1);
        worker.decide({ holdId, do: 'Retry' });
        await worker.next(worker.arrived.length);
        await eventually('it goes on', async () => (await worker.journal.attention(10)).runs.length === 0);
        await worker.hold(unknown());
        worker.decide({ holdId: worker.state().hold?.id ?? '', do: 'Abort' });
        await worker.until('it is over', () => worker.isOver);
        await eventually('it has ended', async () => (await worker.journal.attention(10)).runs.length === 0);
        expect((await worker.journal.attention(10)).total).to.equal(0);
      });

      it('how many there are, by saga, the held ones apart, also after a restart', async () => {
        const first = await stage.worker();
        const { journal } = first;
        await put(journal, stage.newRun('a'), holdSince(1));
        await put(journal, stage.newRun('b'), {});
        await put(journal, stage.newRun('c', REVISION, 'returns'), {});
        await complete(first, stage.newRun('d'));
        const expected = { checkout: { active: 1, held: 1 }, returns: { active: 1, held: 0 } };
        const counted = async (from: J): Promise<object> => {
          const counts = await from.counts();
          const names = Object.keys(expected).map((saga) => [saga, counts.get(`${stage.place.namespace}/${saga}`)]);
          return Object.fromEntries(names);
        };
        await eventually('the counts', async () => {
          expect(await counted(journal)).to.deep.equal(expected);
          return true;
        });
        const heir = await stage.place.succeed(journal, 'died');
        await eventually('the counts after a restart', async () => {
          expect(await counted(heir)).to.deep.equal(expected);
          return true;
        });
      });
    });

    describe('forgets in time', () => {
      const prune = async (journal: J): Promise<void> => {
        for (let more = true; more; ) more = await journal.prune();
      };
      const looked = async (journal: J, id: RunId): Promise<boolean> => (await journal.look(id)) !== undefined;

      it('what an ended run was after its ttl, by its outcome; that it ended, 35 days after', async () => {
        const worker = await stage.worker();
        await complete(worker);
        await worker.begin(stage.newRun('o-2'));
        await worker.until('it begins', () => worker.arrived.at(-1)?.effect.key.includes('o-2') === true);
        await worker.finish(businessFailure());
        const { journal } = worker;
        stage.clock.advance(KEPT_MILLIS.Succeeded - 1_000);
        await prune(journal);
        expect([await looked(journal, stage.id()), await looked(journal, stage.id('o-2'))]).to.deep.equal([true, true]);
        stage.clock.advance(61_000);
        await prune(journal);
        expect([await looked(journal, stage.id()), await looked(journal, stage.id('o-2'))]).to.deep.equal([
          false,
          true,
        ]);
        expect(await journal.create(stage.newRun())).to.deep.equal({ type: 'Ended', outcome: 'Succeeded' });
        expect(await journal.post(stage.id(), { type: 'Cancel', reason: 'late' })).to.equal('Ended');
        stage.clock.advance(34 * DAY_MILLIS);
        await prune(journal);
        expect(await looked(journal, stage.id('o-2'))).to.equal(false);
        expect(await journal.create(stage.newRun())).to.deep.equal({ type: 'Ended', outcome: 'Succeeded' });
        expect(await journal.create(stage.newRun('o-2'))).to.deep.equal({ type: 'Ended', outcome: 'Compensated' });
        stage.clock.advance(DAY_MILLIS + 120_000);
        await prune(journal);
        expect((await journal.create(stage.newRun())).type).to.equal('Created');
      });

      it('nothing of a run that is open, however old', async () => {
        const { worker } = await heldWorker();
        stage.clock.advance(100 * DAY_MILLIS);
        await worker.journal.beat().catch(() => undefined);
        await prune(worker.journal);
        expect((await stage.durable()).hold?.reason).to.equal('StepFailed');
        expect(await looked(worker.journal, stage.id())).to.equal(true);
      });

      it('no exception and no revision', async () => {
        const { worker, holdId } = await heldWorker();
        worker.decide({ holdId, do: 'Abort' });
        await worker.until('it is over', () => worker.isOver);
        stage.clock.advance(40 * DAY_MILLIS);
        const heir = await stage.place.succeed(worker.journal, 'died');
        await prune(heir);
        expect(await stage.givenUp()).to.deep.equal(['Abort authorise', 'Abort reserve']);
      });
    });

    it('keeps a run whose end was being written for one run only, whoever asks', async () => {
      const worker = await stage.worker();
      await worker.begin();
      await worker.runTo('capture');
      worker.arrived.at(-1)?.answer(success('capture'));
      const asked = await Promise.all(Array.from({ length: 4 }, () => worker.journal.create(stage.newRun())));
      await worker.until('it is over', () => worker.isOver);
      expect(asked.every(({ type }) => type !== 'Created')).to.equal(true);
      expect(runKey(stage.id())).to.equal(`${stage.place.namespace}/checkout/o-1`);
    });
  });
}
