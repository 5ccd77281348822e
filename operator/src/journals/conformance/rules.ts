import { expect } from 'chai';
import fc from 'fast-check';
import { begin, CLAIM_LIMIT } from '../../saga/engine.ts';
import {
  businessFailure,
  CHECKOUT,
  CHECKOUT_AND_MORE,
  Rehearsal,
  revision,
  success,
  unknown,
} from '../../saga/rehearsal.ts';
import type { Answer, GivenUp, RunEvent, RunState } from '../../saga/types.ts';
import { type Journal, JournalUnavailable, VersionConflict } from '../journal.ts';
import { IncarnationLost } from '../worker-journal.ts';
import type { JournalHarness } from './harness.ts';
import { REVISION, rejection, Stage, type Worker } from './stage.ts';

const PATIENCE_MILLIS = 120_000;
const HELD = revision(CHECKOUT, { onStepFailure: 'Hold' });

/** What may happen to a run whose states a journal is to keep. */
const events: fc.Arbitrary<(rehearsal: Rehearsal) => void> = fc.oneof(
  {
    weight: 6,
    arbitrary: answering(fc.constantFrom('reserve', 'authorise', 'commit', 'book', 'capture').map(success)),
  },
  { weight: 3, arbitrary: answering(fc.string({ unit: 'binary', maxLength: 40 }).map(unknown)) },
  { weight: 1, arbitrary: answering(fc.constant(businessFailure())) },
  { weight: 2, arbitrary: fc.nat(2_000).map((elapsed) => (of: Rehearsal) => void of.tick(elapsed)) },
  {
    weight: 2,
    arbitrary: fc.constantFrom('Retry' as const, 'Skip' as const, 'Abort' as const).map((choice) => (of: Rehearsal) => {
      of.decide({ do: choice, outputs: { reservationId: 'r', authorisationId: 'a', warehouses: 'w' } });
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .constantFrom<RunEvent>({ type: 'Cancelled', reason: 'zu spät – 遅い' }, { type: 'Paused' }, { type: 'Resumed' })
      .map((event) => (of: Rehearsal) => void of.tell(event, 1)),
  },
);

function answering(answers: fc.Arbitrary<Answer>): fc.Arbitrary<(rehearsal: Rehearsal) => void> {
  return answers.map((answer) => (of) => void of.answer(answer, 10));
}

const GIVEN_UP: GivenUp = {
  decision: 'Skip',
  kind: 'action',
  step: 'book',
  state: 'Unknown',
  by: 'system:serviceaccount:ops:ann@example.org',
  reason: 'booked by hand: "№ 7"',
};

/**
 * What every journal promises, and the design's rules as far as they rest on a journal, driven through the real runner. Participants are the test's
 * own, the clock is virtual, what is behind the journal is real.
 */
export function journalConformance<J extends Journal>(harness: JournalHarness<J>): void {
  describe(`The ${harness.name} journal, as every journal`, function () {
    this.timeout(PATIENCE_MILLIS);
    let stage: Stage<J>;

    before(() => harness.before?.());
    after(() => harness.after?.());
    beforeEach(async () => {
      stage = await Stage.open(harness);
    });
    afterEach(() => stage.place.close());

    describe('keeps what is written', () => {
      it('of every state that a run can have', async () => {
        const { journal } = await stage.worker();
        let order = 0;
        const lives = fc.record({
          steps: fc.constantFrom(CHECKOUT, CHECKOUT_AND_MORE),
          onStepFailure: fc.constantFrom('Hold' as const, 'Compensate' as const),
          moves: fc.array(events, { maxLength: 30, size: 'max' }),
        });
        await fc.assert(
          fc.asyncProperty(lives, async ({ steps, onStepFailure, moves }) => {
            const run = stage.newRun(`law-${order++}`);
            const rehearsal = new Rehearsal(revision(steps, { onStepFailure }), undefined, run);
            rehearsal.tick();
            for (const move of moves) move(rehearsal);
            const version = await stage.place.begin(journal, run);
            const written = await journal.write(run.id, rehearsal.state, version);
            expect(await stage.place.peek(run.id)).to.deep.equal({ state: rehearsal.state, version: written });
            expect(await journal.read(run.id)).to.deep.equal({ state: rehearsal.state, version: written });
          }),
          { numRuns: 25 },
        );
      });

      it('a run of which nothing is written yet, and none that is not there', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        expect(await journal.read(run.id)).to.equal(undefined);
        const version = await stage.place.begin(journal, run);
        expect(await journal.read(run.id)).to.deep.equal({ state: undefined, version });
      });

      it('of every run by itself', async () => {
        const { journal } = await stage.worker();
        const runs = ['a', 'b', 'c'].map((orderId) => stage.newRun(orderId));
        await Promise.all(
          runs.map(async (run, n) => {
            const version = await stage.place.begin(journal, run);
            await journal.write(run.id, { ...begin(REVISION, 5), claims: n }, version);
          }),
        );
        for (const [n, { id }] of runs.entries()) expect((await stage.durable(id.orderId)).claims).to.equal(n);
      });

      it('of exceptions: once each, however often it is told', async () => {
        const { journal } = await stage.worker();
        const { id } = stage.newRun();
        await journal.recordException(id, GIVEN_UP, 5);
        await journal.recordException(id, GIVEN_UP, 6);
        await journal.recordException(id, { ...GIVEN_UP, kind: 'compensation' }, 7);
        await journal.recordException(stage.id('o-2'), { ...GIVEN_UP, decision: 'Abort' }, 8);
        const found = [...(await stage.place.exceptions(id))];
        expect(found.sort((a, b) => a.kind.localeCompare(b.kind))).to.deep.equal([
          GIVEN_UP,
          { ...GIVEN_UP, kind: 'compensation' },
        ]);
      });
    });

    describe('has one writer for each run (rule 10)', () => {
      it('and refuses a write that does not know the last one', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const state = begin(REVISION, 5);
        const first = await stage.place.begin(journal, run);
        const second = await journal.write(run.id, state, first);
        expect(await rejection(journal.write(run.id, { ...state, claims: 9 }, first))).to.be.instanceOf(
          VersionConflict,
        );
        expect(await stage.place.peek(run.id)).to.deep.equal({ state, version: second });
        await journal.write(run.id, { ...state, claims: 1 }, second);
        expect((await stage.durable()).claims).to.equal(1);
      });

      it('one of two writes that were sent at once', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const version = await stage.place.begin(journal, run);
        const states = [1, 2].map((claims) => ({ ...begin(REVISION, 5), claims }));
        const results = await Promise.allSettled(states.map((state) => journal.write(run.id, state, version)));
        const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
        expect(refused).to.have.length(1);
        expect(refused[0]).to.be.instanceOf(VersionConflict);
        const winner = results.findIndex(({ status }) => status === 'fulfilled');
        expect(await stage.durable()).to.deep.equal(states[winner]);
      });

      it('and refuses a write of a run that is not there', async () => {
        const { journal } = await stage.worker();
        const version = await stage.place.begin(journal, stage.newRun());
        const refused = await rejection(journal.write(stage.id('nobody'), begin(REVISION, 5), version));
        expect(refused).to.be.instanceOf(VersionConflict);
      });

      it('a zombie that goes on writes and sends nothing', async () => {
        const zombie = await stage.worker();
        await zombie.begin();
        await zombie.runTo('book');
        const heir = await stage.succeed(zombie, 'zombie');
        await heir.takeOver('died');
        const taken = await heir.next(0);
        expect(taken.durable?.claims).to.equal(1);
        const sent = zombie.course.length;
        zombie.arrived.at(-1)?.answer(success('book'));
        await zombie.until('it hears that the run is not its own', () => zombie.runner.size === 0);
        expect(zombie.course.slice(sent)).to.deep.equal([]);
        await heir.finish();
        expect(heir.told).to.deep.equal(['ended Succeeded']);
        expect(heir.course).to.include('capture');
      });

      it('nor a zombie whose run has ended meanwhile', async () => {
        const zombie = await stage.worker();
        const version = await stage.place.begin(zombie.journal, stage.newRun());
        const heir = await stage.succeed(zombie, 'zombie');
        await heir.takeOver('died');
        await heir.runTo('capture');
        await heir.finish();
        const ended = await stage.durable();
        const refused = await rejection(zombie.journal.write(stage.id(), begin(REVISION, 5), version));
        expect(refused instanceof VersionConflict || refused instanceof IncarnationLost).to.equal(true);
        expect(await stage.durable()).to.deep.equal(ended);
      });
    });

    describe('does not know what came of a write whose answer was lost', () => {
      it('and says so; it may be there', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const state = begin(REVISION, 5);
        const version = await stage.place.begin(journal, run);
        stage.place.fail(journal, 'answer lost');
        expect(await rejection(journal.write(run.id, state, version))).to.be.instanceOf(JournalUnavailable);
        const found = await journal.read(run.id);
        expect(found).to.deep.include({ state });
        await journal.write(run.id, { ...state, claims: 1 }, found?.version ?? '');
        expect((await stage.durable()).claims).to.equal(1);
      });

      it('or nothing of it is', async () => {
        const { journal } = await stage.worker();
        const run = stage.newRun();
        const state = begin(REVISION, 5);
        const version = await stage.place.begin(journal, run);
        stage.place.fail(journal, 'refused');
        expect(await rejection(journal.write(run.id, state, version))).to.be.instanceOf(JournalUnavailable);
        expect(await journal.read(run.id)).to.deep.equal({ state: undefined, version });
        await journal.write(run.id, state, version);
        expect(await stage.durable()).to.deep.equal(state);
      });

      for (const fault of ['answer lost', 'refused'] as const) {
        it(`the pivot is sent once, after its intent was ${fault}`, async () => {
          const worker = await stage.worker();
          await worker.begin();
          await worker.runTo('book');
          stage.place.fail(worker.journal, fault);
          const pivot = await worker.answer(success('book'));
          expect(pivot.durable?.pivotIntent).to.equal(true);
          await worker.finish();
          expect(worker.course.filter((step) => step === 'capture')).to.have.length(1);
          expect(worker.told).to.deep.equal(['failed', 'ended Succeeded']);
        });

        it(`the run ends once, after its end was ${fault}`, async () => {
          const worker = await stage.worker();
          await worker.begin();
          await worker.runTo('capture');
          stage.place.fail(worker.journal, fault);
          await worker.finish();
          expect(worker.told).to.deep.equal(['failed', 'ended Succeeded']);
          expect((await stage.durable()).ended).to.equal('Succeeded');
        });
      }
    });

    describe('is durable before anyone acts (rule 2)', () => {
      it('with three writes for a run that nothing disturbs: its begin, the intent with all outputs so far, its end', async () => {
        const worker = await stage.worker();
        await worker.begin();
        const pivot = await worker.runTo('capture');
        expect(worker.writes).to.equal(1);
        expect(pivot.durable?.pivotIntent).to.equal(true);
        expect(pivot.durable?.steps.slice(0, 4).map(({ output }) => output)).to.deep.equal([
          { reservationId: 'r-1' },
          { authorisationId: 'a-1' },
          { warehouses: 'leeds' },
          { bookingId: 'b-1' },
        ]);
        await worker.finish();
        expect(worker.writes).to.equal(2);
        expect((await stage.durable()).ended).to.equal('Succeeded');
      });

      it('with the decision to compensate, before the first compensation', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('book');
        const undo = await worker.answer(businessFailure('NoCarrier'));
        expect(undo.effect.kind).to.equal('compensation');
        expect(undo.durable).to.include({ direction: 'Backward' });
        expect(undo.durable?.cause).to.include({ reason: 'NoCarrier', step: 'book' });
        await worker.finish();
        expect(worker.course.slice(-3)).to.deep.equal(['undo commit', 'undo authorise', 'undo reserve']);
        expect((await stage.durable()).ended).to.equal('Compensated');
      });

      it('with a person’s decision and its epoch, before it is carried out', async () => {
        const worker = await stage.worker(HELD);
        await worker.begin();
        await worker.runTo('authorise');
        const holdId = await worker.hold(unknown());
        expect((await stage.durable()).hold).to.include({ id: holdId, reason: 'StepFailed' });
        const count = worker.arrived.length;
        worker.decide({ holdId, do: 'Retry' });
        const again = await worker.next(count);
        expect(again.effect).to.include({ step: 'authorise', epoch: 2 });
        expect(again.durable?.observedDecision).to.include({ holdId, do: 'Retry', outcome: 'Accepted' });
        expect(again.durable?.steps[1]?.action.epoch).to.equal(2);
      });

      it('with what was given up on record, before the run is said to have ended', async () => {
        const worker = await stage.worker(HELD);
        await worker.begin();
        await worker.runTo('authorise');
        const holdId = await worker.hold(unknown());
        stage.place.fail(worker.journal, 'answer lost');
        worker.decide({ holdId, do: 'Abort' });
        await worker.until('it is over', () => worker.isOver);
        expect(worker.told.at(-1)).to.equal('ended Aborted');
        expect(await stage.givenUp()).to.deep.equal(['Abort authorise', 'Abort reserve']);
        expect((await stage.durable()).givenUp).to.have.length(2);
      });

      it('with all else within a second', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('authorise');
        stage.clock.advance(1_000);
        const state = await stage.untilDurable(
          'its progress is durable',
          ({ steps }) => steps[1]?.action.state === 'InFlight',
        );
        expect(state.steps[0]?.action.state).to.equal('Succeeded');
        expect(state.steps[0]?.output).to.deep.equal({ reservationId: 'r-1' });
      });
    });

    describe('lets another worker take over (rules 3 and 4)', () => {
      it('from one that died in its first second: what it may have sent is sent again, under the same key and epoch', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('authorise');
        const heir = await stage.succeed(first, 'died');
        expect(await heir.takeOver('died')).to.deep.include({ state: undefined });
        await heir.runTo('capture');
        for (const { effect } of first.arrived) {
          const again = heir.arrived.find((other) => other.effect.key === effect.key);
          expect(again?.effect).to.deep.include({ epoch: effect.epoch, body: effect.body });
        }
        await heir.finish();
        expect(heir.told).to.deep.equal(['ended Succeeded']);
      });

      it('from one that died: what it had not written counts as unknown, and is undone where the run turns back', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('authorise');
        stage.clock.advance(1_000);
        await stage.untilDurable('its progress', ({ steps }) => steps[0]?.action.state === 'Succeeded');
        await first.runTo('book');
        const heir = await stage.succeed(first, 'died');
        await heir.takeOver('died');
        const begun = await heir.next(0);
        expect(begun.effect).to.include({ step: 'authorise', epoch: 1 });
        expect(begun.durable?.claims, 'the claim is durable before it acts').to.equal(1);
        const undo = await heir.answer(businessFailure());
        expect(undo.effect).to.include({ kind: 'compensation', step: 'book' });
        await heir.finish();
        expect(heir.course.slice(1)).to.deep.equal(['undo book', 'undo commit', 'undo reserve']);
        expect((await stage.durable()).ended).to.equal('Compensated');
      });

      it('from one that handed over: it goes on where that stood, and repeats only what was in flight', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('commit');
        const heir = await stage.succeed(first, 'handedOver');
        const record = await heir.takeOver('handedOver');
        expect('state' in record && record.state?.steps.map(({ action }) => action.state)).to.deep.equal([
          'Succeeded',
          'Succeeded',
          'InFlight',
          'Pending',
          'Pending',
        ]);
        const pivot = await heir.runTo('capture');
        expect(heir.course).to.deep.equal(['commit', 'book', 'capture']);
        expect(pivot.durable?.claims).to.equal(0);
        expect(pivot.durable?.steps[0]?.output).to.deep.equal({ reservationId: 'r-1' });
      });

      it('from one that died after the intent: forward only', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('capture');
        const heir = await stage.succeed(first, 'died');
        await heir.takeOver('died');
        heir.runner.tell(stage.id(), { type: 'Cancelled', reason: 'too late' });
        await heir.runTo('capture');
        await heir.finish();
        expect(heir.course).to.deep.equal(['capture']);
        const { ended, cancel } = await stage.durable();
        expect({ ended, cancel: cancel?.outcome }).to.deep.equal({ ended: 'Succeeded', cancel: 'TooLate' });
      });

      it('from one that died while it compensated: the compensations go on', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('book');
        await first.answer(businessFailure());
        const heir = await stage.succeed(first, 'died');
        await heir.takeOver('died');
        await heir.finish();
        expect(heir.course).to.deep.equal(['undo commit', 'undo authorise', 'undo reserve']);
        expect((await stage.durable()).ended).to.equal('Compensated');
      });

      it(`but not for ever: a run with which more than ${CLAIM_LIMIT} workers died is held (rule 7)`, async () => {
        let worker = await stage.worker();
        await worker.begin();
        await worker.next(0);
        for (let death = 1; death <= CLAIM_LIMIT; death++) {
          worker = await stage.succeed(worker, 'died');
          await worker.takeOver('died');
          await worker.next(0);
        }
        worker = await stage.succeed(worker, 'died');
        await worker.takeOver('died');
        const { hold } = await stage.untilDurable('it is held', (state) => state.hold !== undefined);
        expect(hold?.reason).to.equal('WorkersDied');
        expect(worker.course).to.deep.equal([]);
      });
    });

    describe('keeps what a person and a customer are to decide (rules 6, 7 and 8)', () => {
      const heldAt = async (step: string): Promise<{ worker: Worker<J>; holdId: string }> => {
        const worker = await stage.worker(HELD);
        await worker.begin();
        await worker.runTo(step);
        return { worker, holdId: await worker.hold(unknown()) };
      };

      it('a hold for the next worker, with the same id; its Retry has the next epoch also after another take-over', async () => {
        const { worker, holdId } = await heldAt('commit');
        const second = await stage.succeed(worker, 'died');
        await second.takeOver('died');
        await stage.untilDurable('the claim', ({ claims }) => claims === 1);
        expect((await stage.durable()).hold?.id).to.equal(holdId);
        second.decide({ holdId, do: 'Retry' });
        expect((await second.next(0)).effect).to.include({ step: 'commit', epoch: 2 });
        const third = await stage.succeed(second, 'died');
        await third.takeOver('died');
        expect((await third.next(0)).effect).to.include({ step: 'commit', epoch: 2 });
        third.decide({ holdId, do: 'Abort' });
        await third.finish();
        expect((await stage.durable()).ended, 'a decision is valid for its own hold only').to.equal('Succeeded');
      });

      it('a Skip with what it gives up, which stays registered', async () => {
        const { worker, holdId } = await heldAt('commit');
        worker.decide({ holdId, do: 'Skip', outputs: { warehouses: 'york' } });
        const book = await worker.next(worker.arrived.length);
        expect(book.effect.body).to.include({ warehouses: 'york' });
        expect(await stage.givenUp()).to.deep.equal(['Skip commit']);
        const heir = await stage.succeed(worker, 'died');
        await heir.takeOver('died');
        await heir.next(0);
        await heir.finish(businessFailure());
        expect(heir.course).to.include('undo commit');
        expect(await stage.givenUp()).to.deep.equal(['Skip commit']);
      });

      it('a cancel that came before the intent was written, and wins', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('book');
        worker.runner.tell(stage.id(), { type: 'Cancelled', reason: 'changed my mind' });
        const undo = await worker.next(worker.arrived.length);
        expect(undo.durable?.cancel).to.deep.equal({ reason: 'changed my mind', outcome: 'Compensating' });
        expect(undo.durable?.pivotIntent).to.equal(false);
        await worker.finish();
        expect(worker.course).not.to.include('capture');
        expect((await stage.durable()).cause?.reason).to.equal('Cancelled');
      });

      it('a cancel that came while the intent was being written, and loses', async () => {
        const worker = await stage.worker();
        await worker.begin();
        await worker.runTo('book');
        stage.place.fail(worker.journal, 'refused');
        const count = worker.arrived.length;
        worker.arrived.at(-1)?.answer(success('book'));
        await worker.until('the intent was refused', () => worker.told.includes('failed'));
        worker.runner.tell(stage.id(), { type: 'Cancelled', reason: 'changed my mind' });
        const pivot = await worker.next(count);
        expect(pivot.effect.step).to.equal('capture');
        expect(pivot.durable?.pivotIntent).to.equal(true);
        await worker.finish();
        const { ended, cancel } = await stage.durable();
        expect({ ended, cancel: cancel?.outcome }).to.deep.equal({ ended: 'Succeeded', cancel: 'TooLate' });
      });
    });

    describe('keeps time through a restart (rule 9)', () => {
      it('the wait before the next attempt', async () => {
        const of = revision(CHECKOUT.map((step) => ({ ...step, retry: { ...step.retry, initialInterval: 900 } })));
        const first = await stage.worker(of);
        await first.begin();
        const { effect, answer } = await first.next(0);
        answer(unknown());
        await first.until('it waits', () => first.state().steps[0]?.action.state === 'Unknown');
        const { due } = first.state().steps[0]?.action ?? { due: 0 };
        const heir = await stage.succeed(first, 'handedOver');
        const record = await heir.takeOver('handedOver');
        const clock = 'state' in record ? (record.state?.clock ?? 0) : 0;
        const before = stage.clock.monotonic();
        const again = await heir.next(0);
        expect(again.effect).to.include({ step: effect.step, send: 2, epoch: 1 });
        expect(stage.clock.monotonic() - before).to.be.at.least(due - clock);
      });

      it('the deadline’s budget', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('authorise');
        stage.clock.advance(REVISION.deadline - 10_000);
        first.arrived.at(-1)?.answer({ type: 'Accepted' });
        await first.until('it waits', () => first.state().steps[1]?.action.state === 'Unknown');
        const heir = await stage.succeed(first, 'handedOver');
        await heir.takeOver('handedOver');
        await heir.next(0);
        stage.clock.advance(9_000);
        expect((await stage.durable()).direction).to.equal('Forward');
        stage.clock.advance(1_001);
        const undo = await heir.next(1);
        expect(undo.effect.kind).to.equal('compensation');
        expect(undo.durable?.cause?.reason).to.equal('DeadlineExceeded');
      });
    });

    describe('has revisions by their hash', () => {
      it('for whoever asks, as long as runs refer to them, several of one saga', async () => {
        const { place } = stage;
        const { journal } = await stage.worker();
        const other = revision(CHECKOUT.slice(0, 2));
        await journal.saveRevision(place.namespace, 'checkout', other);
        await journal.saveRevision(place.namespace, 'checkout', other);
        const later = await place.start();
        for (const one of [REVISION, other])
          expect(await later.loadRevision(place.namespace, 'checkout', one.hash)).to.deep.equal(one);
        expect(await later.loadRevision(place.namespace, 'checkout', HELD.hash)).to.equal(undefined);
        expect(await later.loadRevision(place.namespace, 'returns', REVISION.hash)).to.equal(undefined);
      });

      it('and says of each run which one it began with', async () => {
        const worker = await stage.worker(HELD);
        await worker.begin();
        await worker.runTo('authorise');
        const heir = await stage.succeed(worker, 'handedOver');
        const record = await heir.takeOver('handedOver');
        expect('state' in record && record.state?.revision).to.equal(HELD.hash);
      });
    });

    describe('does not believe what somebody else wrote', () => {
      it('and holds the run until a person decides; other runs are not touched', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('authorise');
        await stage.place.begin(first.journal, stage.newRun('o-2'));
        await first.release();
        await stage.place.damage(stage.id());
        const heir = await stage.succeed(first, 'handedOver');
        const record = await heir.takeOver('handedOver');
        expect(record).to.have.property('damaged');
        const { hold, steps } = await stage.untilDurable('it is held', (state: RunState) => state.hold !== undefined);
        expect(hold?.reason).to.equal('JournalDamaged');
        expect(new Set(steps.map(({ action }) => action.state))).to.deep.equal(new Set(['Unknown']));
        expect(heir.course).to.deep.equal([]);
        expect(await stage.place.claim(heir.journal, stage.id('o-2'))).to.deep.include({ state: undefined });
      });

      it('nor reads what a newer operator wrote', async () => {
        const first = await stage.worker();
        await first.begin();
        await first.runTo('authorise');
        await first.release();
        await stage.place.renew(stage.id());
        const found = await first.journal.read(stage.id());
        expect(found).to.have.property('newer');
      });
    });
  });
}
