import { expect } from 'chai';
import fc from 'fast-check';
import { currentCompensation, currentStep, isRegistered } from './draft.ts';
import { distrust, transition } from './engine.ts';
import {
  businessFailure,
  CHECKOUT,
  CHECKOUT_AND_MORE,
  CONTEXT,
  Rehearsal,
  revision,
  type Sending,
  success,
  unknown,
} from './rehearsal.ts';
import { pivotIndex } from './revision.ts';
import type { Answer, Decision, Revision, RunEvent, RunState, Transition } from './types.ts';

/** What may happen to a run next. Numbers pick among what there is at that moment. */
type Move =
  | { readonly do: 'answer'; readonly which: number; readonly answer: Answer; readonly elapsed: number }
  | { readonly do: 'wait'; readonly percent: number }
  | { readonly do: 'decide'; readonly decision: Decision['do']; readonly stale: boolean; readonly outputs: boolean }
  | { readonly do: 'event'; readonly event: RunEvent }
  /** What is not durable yet becomes so. */
  | { readonly do: 'flush' }
  /** The worker dies, and another one takes over what was durable. */
  | { readonly do: 'crash'; readonly distrusted: boolean };

const answers: fc.Arbitrary<Answer> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('reserve', 'authorise', 'commit', 'book', 'capture').map(success) },
  { weight: 1, arbitrary: fc.constant(businessFailure()) },
  { weight: 3, arbitrary: fc.constant(unknown()) },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Answer>({ type: 'Accepted' }, { type: 'NotNow', reason: 'Busy', message: '' }),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom<Answer>(
      { type: 'Refused', reason: 'FingerprintMismatch', message: '' },
      { type: 'Refused', reason: 'StaleEpoch', message: '', epoch: 3 },
      { type: 'Refused', reason: 'KeyExpired', message: '' },
      { type: 'Refused', reason: 'Fenced', message: '' },
    ),
  },
);

const moves: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      which: fc.nat(3),
      answer: answers,
      elapsed: fc.nat(500),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('wait' as const), percent: fc.constantFrom(50, 100, 100, 100, 300) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('decide' as const),
      decision: fc.constantFrom<Decision['do']>('Retry', 'Retry', 'Skip', 'Skip', 'Compensate', 'Abort'),
      stale: fc.boolean(),
      outputs: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom<RunEvent>(
        { type: 'Cancelled', reason: 'changed my mind' },
        { type: 'Paused' },
        { type: 'Resumed' },
        { type: 'Resumed' },
        { type: 'TakenOver', died: false },
        { type: 'Damaged', message: 'edited' },
      )
      .map((event) => ({ do: 'event' as const, event })),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'event' as const, event: { type: 'LetGo' as const, reason: 'gone' } }) },
  { weight: 2, arbitrary: fc.constant({ do: 'flush' as const }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      distrusted: fc.integer({ max: 9, min: 0 }).map((n) => n === 0),
    }),
  },
);

const revisions = fc.record({
  steps: fc.constantFrom(CHECKOUT, CHECKOUT_AND_MORE, CHECKOUT.slice(0, 2)),
  deadline: fc.constantFrom(800, 5000, 10 ** 9),
  onStepFailure: fc.constantFrom('Compensate' as const, 'Hold' as const),
});
const lives = fc.record({
  of: revisions.map(({ steps, ...rest }) => revision(steps, rest)),
  moves: fc.array(moves, { maxLength: 60, size: 'max' }),
});

/** One transition of a life, with what was durable before it. */
interface Moment {
  readonly before: RunState;
  readonly durable: RunState;
  readonly event: RunEvent;
  readonly next: Transition;
}

const OUTPUTS = { reservationId: 'r', authorisationId: 'a', warehouses: 'w', captureId: 'c' };

/** Plays the moves, and hands each transition to `observe` as it happens. */
class Life extends Rehearsal {
  #durable: RunState = this.state;
  #outstanding: Sending[] = [];
  #holds: string[] = ['0-none'];
  readonly #observe: (moment: Moment) => void;

  constructor(of: Revision, observe: (moment: Moment) => void) {
    super(of);
    this.#observe = observe;
  }

  override tell(event: RunEvent, elapsed = 0): Transition {
    const before = this.state;
    const next = super.tell(event, elapsed);
    this.#observe({ before, durable: this.#durable, event, next });
    this.#settle(next);
    return next;
  }

  #settle(next: Transition): void {
    if (next.durability === 'before') this.#durable = next.state;
    this.#outstanding.push(...this.sentNow);
    if (next.state.hold !== undefined) this.#holds.push(next.state.hold.id);
  }

  play(move: Move): void {
    switch (move.do) {
      case 'answer': {
        const sending = this.#outstanding.at(-1 - move.which);
        if (sending !== undefined) this.answerTo(sending, move.answer, move.elapsed);
        return;
      }
      case 'wait':
        this.tick(Math.round(((this.last.wakeIn ?? 100) * move.percent) / 100));
        return;
      case 'decide': {
        const holdId = move.stale ? (this.#holds[0] as string) : (this.#holds.at(-1) as string);
        this.decide({ do: move.decision, holdId, ...(move.outputs ? { outputs: OUTPUTS } : {}) });
        return;
      }
      case 'event':
        this.tell(move.event, 1);
        return;
      case 'flush':
        this.#durable = this.state;
        return;
      case 'crash':
        return this.#crash(move.distrusted);
    }
  }

  #crash(distrusted: boolean): void {
    this.#outstanding = [];
    this.state = this.#durable;
    if (this.state.ended !== undefined) return;
    if (!distrusted) {
      this.tell({ type: 'TakenOver', died: true });
      return;
    }
    this.#settle(this.take(distrust(this.revision, CONTEXT, 'edited', { wall: this.wall, elapsed: 0 })));
    this.#durable = this.state;
  }

  /** From here on every answer is a success and a person retries what is held: how many transitions until the end? */
  calm(): number {
    this.tell({ type: 'Resumed' });
    for (let count = 1; count < 200; count++) {
      if (this.state.ended !== undefined) return count;
      const { hold } = this.state;
      const sending = this.#outstanding.at(-1);
      if (hold !== undefined) this.decide({ do: 'Retry' });
      else if (this.last.wakeIn !== undefined && !inFlight(this.state)) this.tick(this.last.wakeIn);
      else if (sending !== undefined) this.answerTo(sending, success(sending.step));
    }
    return Number.POSITIVE_INFINITY;
  }
}

function current(state: RunState) {
  const index = state.direction === 'Forward' ? currentStep(state) : currentCompensation(state);
  const step = index === undefined ? undefined : state.steps[index];
  return state.direction === 'Forward' ? step?.action : step?.compensation;
}

const inFlight = (state: RunState): boolean => current(state)?.state === 'InFlight';
const sends = ({ next }: Moment): Sending[] => next.effects.filter((effect) => effect.type === 'Send');
const isHeld = (state: RunState): boolean => state.hold !== undefined || state.paused || state.ended !== undefined;
const withoutClock = (state: RunState) => ({ ...state, clock: 0, used: 0 });

/** Says of every transition of every life that `law` holds. */
function always(law: (moment: Moment, of: Revision) => void): () => void {
  return () => {
    fc.assert(
      fc.property(lives, ({ of, moves: all }) => {
        const life = new Life(of, (moment) => law(moment, of));
        life.tick();
        for (const move of all) life.play(move);
      }),
      { numRuns: 400 },
    );
  };
}

describe('laws of the engine, over any events', function () {
  // A machine that does a dozen other things takes 11 s for a law.
  this.timeout(60_000);

  it(
    'the pivot, and what follows it, is sent only where its intent is durable first',
    always((moment, of) => {
      for (const { step } of sends(moment)) {
        if (of.steps.findIndex(({ name }) => name === step) < pivotIndex(of)) continue;
        expect(moment.next.state.pivotIntent).to.equal(true);
        expect(moment.durable.pivotIntent || moment.next.durability === 'before').to.equal(true);
      }
    }),
  );

  it(
    'a compensation is sent only where the decision to compensate is durable first',
    always((moment) => {
      if (!sends(moment).some(({ kind }) => kind === 'compensation')) return;
      expect(moment.next.state.direction).to.equal('Backward');
      expect(moment.durable.direction === 'Backward' || moment.next.durability === 'before').to.equal(true);
    }),
  );

  it(
    'after the pivot’s intent nothing is compensated, unless the pivot itself failed',
    always((moment, of) => {
      if (!moment.next.state.pivotIntent || moment.next.state.steps[pivotIndex(of)]?.action.state === 'Failed') return;
      expect(sends(moment).filter(({ kind }) => kind === 'compensation')).to.deep.equal([]);
    }),
  );

  it('compensations go in reverse order, and no action follows one', () => {
    fc.assert(
      fc.property(lives, ({ of, moves: all }) => {
        let turned = false;
        let reached = Number.POSITIVE_INFINITY;
        const life = new Life(of, (moment) => {
          // A worker that died takes what it had not written yet with it: its successor may begin the way back anew.
          if (moment.event.type === 'TakenOver') reached = Number.POSITIVE_INFINITY;
          for (const { step, kind } of sends(moment)) {
            const index = of.steps.findIndex(({ name }) => name === step);
            if (kind === 'action') expect(turned).to.equal(false);
            else expect(index).to.be.at.most(reached);
            if (kind === 'action') continue;
            turned = true;
            reached = index;
          }
        });
        life.tick();
        // A journal that is not believed begins the run anew, so the law is about lives without one.
        for (const move of all) if (move.do !== 'crash' || !move.distrusted) life.play(move);
      }),
      { numRuns: 400 },
    );
  });

  it(
    'a run that compensated has undone, or given up on record, everything that may be in place',
    always(({ next: { state } }, of) => {
      if (state.ended !== 'Compensated') return;
      state.steps.forEach((step, index) => {
        if (!isRegistered(step) || of.steps[index]?.compensation === undefined) return;
        expect(step.compensation.state).to.be.oneOf(['Succeeded', 'GivenUp']);
        if (step.compensation.state !== 'GivenUp') return;
        expect(state.givenUp.some((entry) => entry.step === step.name && entry.kind === 'compensation')).to.equal(true);
      });
    }),
  );

  it(
    'Skip never loses what may be in place: a step once sent and not failed stays registered',
    always(({ before, event, next: { state } }) => {
      if (event.type !== 'Decided') return;
      before.steps.forEach((step, index) => {
        if (isRegistered(step)) expect(isRegistered(state.steps[index]!), step.name).to.equal(true);
      });
    }),
  );

  it(
    'a run that succeeded did every step',
    always(({ next: { state } }) => {
      if (state.ended !== 'Succeeded') return;
      for (const { action } of state.steps) expect(action.state).to.be.oneOf(['Succeeded', 'Skipped']);
    }),
  );

  it(
    'a run that has ended never changes, but for the word that a decision came too late',
    always(({ before, next }) => {
      if (before.ended === undefined) return;
      expect({ ...next.state, observedDecision: undefined }).to.deep.equal({ ...before, observedDecision: undefined });
      expect(next.effects.filter(({ type }) => type !== 'Notice')).to.deep.equal([]);
      expect(next.wakeIn).to.equal(undefined);
    }),
  );

  it(
    'nothing is sent while the run is held or paused',
    always((moment) => {
      if (isHeld(moment.next.state)) expect(sends(moment)).to.deep.equal([]);
    }),
  );

  it(
    'a run that is not stopped waits for an answer or for a timer',
    always(({ next: { state, wakeIn } }) => {
      if (!isHeld(state)) expect(inFlight(state) || wakeIn !== undefined).to.equal(true);
      if (isHeld(state)) expect(wakeIn).to.equal(undefined);
    }),
  );

  it(
    'a timer that is due does something: no run spins',
    always(({ next: { state, wakeIn } }, of) => {
      if (wakeIn === undefined) return;
      const due = transition(of, CONTEXT, state, { type: 'Tick' }, { wall: 0, elapsed: wakeIn });
      expect(withoutClock(due.state)).not.to.deep.equal(withoutClock(state));
    }),
  );

  it(
    'a change of course is durable before anything follows from it',
    always(({ before, next: { state, durability } }) => {
      const course = (of: RunState) => [of.direction, of.ended, of.givenUp.length, of.pivotIntent ? 1 : 0];
      const held = state.hold !== undefined && state.hold.id !== before.hold?.id;
      const turned = state.direction !== before.direction || state.ended !== before.ended;
      const gaveUp = state.givenUp.length !== before.givenUp.length;
      const intends = state.pivotIntent && !before.pivotIntent;
      const accepted =
        state.observedDecision?.outcome === 'Accepted' && state.observedDecision !== before.observedDecision;
      if (held || turned || gaveUp || intends || accepted) expect(durability, String(course(state))).to.equal('before');
    }),
  );

  it(
    'what is not written changed nothing but clocks',
    always(({ before, next: { state, durability } }) => {
      if (durability === 'none') expect(withoutClock(state)).to.deep.equal(withoutClock(before));
    }),
  );

  it(
    'everything given up goes on record, and again after a worker died',
    always(({ before, event, next: { state, effects } }) => {
      if (event.type === 'TakenOver' && event.died) return;
      const records = effects.filter((effect) => effect.type === 'RecordException').map(({ entry }) => entry);
      expect(state.givenUp.slice(before.givenUp.length)).to.deep.equal(records);
    }),
  );

  it(
    'epochs and sendings only grow, attempts stay within the policy, clocks never go back',
    always(({ before, next: { state } }, of) => {
      expect(state.clock).to.be.at.least(before.clock);
      state.steps.forEach((step, index) => {
        for (const kind of ['action', 'compensation'] as const) {
          const old = before.steps[index]![kind];
          expect(step[kind].epoch).to.be.at.least(old.epoch);
          expect(step[kind].attempts).to.be.at.most(Math.max(old.attempts + 1, of.steps[index]!.retry.maxAttempts));
          if (step[kind].epoch === old.epoch && old.state !== 'None')
            expect(step[kind].sends).to.be.at.least(old.sends);
        }
      });
    }),
  );

  it(
    'no sending is repeated: epoch, kind and number tell them apart',
    always((moment) => {
      for (const sending of sends(moment)) {
        const old = moment.before.steps.find(({ name }) => name === sending.step)![sending.kind];
        expect(sending.send).to.be.greaterThan(moment.next.state.direction === moment.before.direction ? old.sends : 0);
        expect(sending.key.endsWith(`/${sending.step}/${sending.kind}`)).to.equal(true);
      }
    }),
  );

  it(
    'a replay is exact',
    always(({ before, event, next }, of) => {
      const elapsed = next.state.clock - before.clock;
      const wall = next.state.hold?.since ?? next.state.finishedAt ?? 0;
      const replay = () => transition(of, CONTEXT, before, event, { wall, elapsed });
      expect(replay()).to.deep.equal(replay());
      expect(withoutClock(replay().state).direction).to.equal(next.state.direction);
    }),
  );

  it('whatever happened, with answers and a person who retries every run ends', () => {
    fc.assert(
      fc.property(lives, ({ of, moves: all }) => {
        const life = new Life(of, () => {});
        life.tick();
        for (const move of all) life.play(move);
        expect(life.calm()).to.be.lessThan(200);
      }),
      { numRuns: 400 },
    );
  });
});
