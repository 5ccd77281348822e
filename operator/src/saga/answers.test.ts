import { expect } from 'chai';
import {
  businessFailure,
  CHECKOUT,
  CHECKOUT_AND_MORE,
  Rehearsal,
  revision,
  step,
  success,
  unknown,
} from './rehearsal.ts';
import type { Answer } from './types.ts';

const holding = revision(CHECKOUT, { onStepFailure: 'Hold' });
const accepted = (retryAfter?: number): Answer => ({
  type: 'Accepted',
  ...(retryAfter === undefined ? {} : { retryAfter }),
});
const notNow = (retryAfter?: number): Answer => ({
  type: 'NotNow',
  reason: 'TooManyRequests',
  message: 'slow down',
  ...(retryAfter === undefined ? {} : { retryAfter }),
});
const refused = (reason: Extract<Answer, { type: 'Refused' }>['reason'], epoch?: number): Answer => ({
  type: 'Refused',
  reason,
  message: 'no',
  ...(epoch === undefined ? {} : { epoch }),
});

describe('an answer to an action', () => {
  it('Success keeps the output and goes on', () => {
    const run = new Rehearsal().runTo('reserve');
    run.answer(success('reserve'), 5);
    expect(run.at('reserve')).to.deep.include({ output: { reservationId: 'r-1' }, finishedAt: run.wall });
    expect(run.at('reserve').action.state).to.equal('Succeeded');
    expect(run.notices.at(-1)).to.include({ level: 'Normal', reason: 'StepSucceeded', step: 'reserve' });
    expect(run.latest.step).to.equal('authorise');
  });

  it('BusinessFailure is final and compensates, whatever onStepFailure says', () => {
    const run = new Rehearsal(holding).runTo('authorise');
    run.answer(businessFailure('CardDeclined'));
    expect(run.at('authorise').action).to.deep.include({
      state: 'Failed',
      error: { reason: 'CardDeclined', message: 'not today' },
    });
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation' });
    expect(run.notices.map(({ reason }) => reason)).to.include.members(['StepFailed', 'Compensating']);
  });

  it('Accepted polls with the same key and epoch, after as long as it says, at no cost', () => {
    const run = new Rehearsal().runTo('reserve');
    for (let poll = 1; poll <= 10; poll++) {
      run.answer(accepted(250));
      expect(run.last.wakeIn).to.equal(250);
      run.tick(249);
      expect(run.sentNow).to.deep.equal([]);
      run.tick(1);
      expect(run.latest).to.include({ key: 'shop/checkout/o-1/reserve/action', epoch: 1, send: poll + 1 });
    }
    expect(run.at('reserve').action.attempts).to.equal(0);
  });

  it('Accepted without a time waits the initial interval, and never longer than the maximum', () => {
    const run = new Rehearsal().runTo('reserve');
    run.answer(accepted());
    expect(run.last.wakeIn).to.equal(100);
    run.tick(100);
    run.answer(accepted(86_400_000));
    expect(run.last.wakeIn).to.equal(1000);
    run.tick(1000);
    run.answer(accepted(0));
    expect(run.last.wakeIn).to.equal(1);
  });

  it('NotNow costs no attempt, however often it comes', () => {
    const run = new Rehearsal().runTo('reserve');
    for (let i = 0; i < 20; i++) {
      run.answer(notNow(10));
      run.tick(10);
    }
    expect(run.at('reserve').action).to.include({ attempts: 0, state: 'InFlight', sends: 21 });
    run.answer(success('reserve'));
    expect(run.at('reserve').action.error).to.equal(undefined);
  });

  it('Unknown is tried again after the backoff, until the attempts are used up', () => {
    const run = new Rehearsal().runTo('reserve');
    run.answer(unknown());
    expect(run.last.wakeIn).to.equal(100);
    expect(run.at('reserve').action).to.deep.include({
      state: 'Unknown',
      attempts: 1,
      error: { reason: 'Timeout', message: 'no answer' },
    });
    run.tick(100);
    run.answer(unknown());
    expect(run.last.wakeIn).to.equal(200);
    run.tick(200);
    run.answer(unknown());
    expect(run.state.direction).to.equal('Backward');
    expect(run.notices.filter(({ reason }) => reason === 'AttemptFailed').map(({ message }) => message)).to.deep.equal([
      'reserve: attempt 1 of 3: Timeout: no answer',
      'reserve: attempt 2 of 3: Timeout: no answer',
      'reserve: attempt 3 of 3: Timeout: no answer',
    ]);
  });

  it('Unknown holds, attempts used up, where the saga says Hold', () => {
    const run = new Rehearsal(holding).runTo('authorise').exhaust();
    expect(run.state.hold).to.include({ reason: 'StepFailed', step: 'authorise', kind: 'action' });
    expect(run.notices.at(-1)).to.include({ level: 'Warning', reason: 'Held', step: 'authorise' });
  });

  it('Unknown moves its retry by a jitter that a replay repeats', () => {
    const jittery = revision([step('a', { retry: { ...CHECKOUT[0]!.retry, jitterPercent: 50 } })]);
    const waits = [1, 2].map(() => new Rehearsal(jittery).runTo('a').answer(unknown()).wakeIn);
    expect(waits[0]).to.equal(waits[1]);
    expect(waits[0]).to.be.within(50, 150);
  });

  for (const reason of ['FingerprintMismatch', 'StaleEpoch', 'KeyExpired'] as const) {
    it(`Refused (${reason}) holds at once, durably`, () => {
      const run = new Rehearsal().runTo('authorise');
      run.answer(refused(reason, reason === 'StaleEpoch' ? 7 : undefined));
      expect(run.state.hold).to.include({ reason, step: 'authorise', kind: 'action' });
      expect(run.state.hold?.knownEpoch).to.equal(reason === 'StaleEpoch' ? 7 : undefined);
      expect(run.last.durability).to.equal('before');
      expect(run.at('authorise').action.state).to.equal('Unknown');
    });
  }

  it('Refused (Fenced) is final, nothing of the step is in place: the run compensates', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer(refused('Fenced'));
    expect(run.at('authorise').action.state).to.equal('Failed');
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation' });
    expect(run.at('authorise').compensation.state).to.equal('None');
  });
});

describe('an answer that is not to the current sending', () => {
  it('changes nothing unless it is a success', () => {
    for (const late of [businessFailure(), unknown(), accepted(1), notNow(1), refused('FingerprintMismatch')]) {
      const run = new Rehearsal().runTo('authorise');
      const first = run.latest;
      run.answer(unknown());
      run.tick(run.last.wakeIn);
      const before = run.state;
      expect(run.answerTo(first, late)).to.deep.include({ durability: 'none', effects: [] });
      expect(run.state).to.equal(before);
    }
  });

  it('counts as the step’s success from any sending and any epoch', () => {
    const run = new Rehearsal(holding).runTo('authorise');
    const first = run.latest;
    run.exhaust();
    run.decide({ do: 'Retry' });
    run.answerTo(first, success('authorise'));
    expect(run.at('authorise').action).to.include({ state: 'Succeeded', epoch: 2 });
    expect(run.latest.step).to.equal('commit');
    const settled = run.state;
    run.answerTo({ ...first, send: 4, epoch: 2 }, businessFailure());
    expect(run.state).to.equal(settled);
  });

  it('is ignored for a step that nobody knows', () => {
    const run = new Rehearsal().runTo('authorise');
    const before = run.state;
    run.answerTo({ ...run.latest, step: 'ghost' }, success('ghost'));
    expect(run.state).to.equal(before);
  });

  it('is ignored on the way back: the compensation covers it', () => {
    const run = new Rehearsal().runTo('authorise');
    const sent = run.latest;
    run.tell({ type: 'Cancelled', reason: '' });
    run.answerTo(sent, success('authorise'));
    expect(run.at('authorise').action.state).to.equal('InFlight');
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation' });
  });
});

describe('an answer while the run is held', () => {
  it('is kept, and the hold stays', () => {
    const run = new Rehearsal(holding).runTo('authorise');
    const first = run.latest;
    run.exhaust();
    run.answerTo(first, success('authorise'));
    expect(run.at('authorise').action.state).to.equal('Succeeded');
    expect(run.state.hold?.reason).to.equal('StepFailed');
    expect(run.sentNow).to.deep.equal([]);
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'commit', epoch: 1 });
  });

  it('that is the pivot’s business failure makes compensation possible', () => {
    const run = new Rehearsal().runTo('capture');
    const early = revision(CHECKOUT, { deadline: 60_000 });
    expect(early.hash).to.equal(run.revision.hash);
    run.tell({ type: 'Damaged', message: 'edited' });
    run.answer(businessFailure('CaptureDeclined'));
    expect(run.state.hold?.reason).to.equal('JournalDamaged');
    expect(run.state.direction).to.equal('Forward');
    run.decide({ do: 'Compensate' });
    expect(run.latest).to.include({ step: 'book', kind: 'compensation' });
  });

  it('that is a business failure turns the run back once the doubt is over', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Damaged', message: 'edited' });
    run.answer(businessFailure('CardDeclined'));
    run.decide({ do: 'Retry' });
    expect(run.state.cause?.reason).to.equal('CardDeclined');
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation' });
  });

  it('that is a business failure past the pivot holds anew once the doubt is over', () => {
    const run = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('notify');
    run.tell({ type: 'Damaged', message: 'edited' });
    run.answer(businessFailure('NoAddress'));
    run.decide({ do: 'Retry' });
    expect(run.state.hold).to.include({ reason: 'StepFailed', step: 'notify' });
  });

  it('that the run must repeat is repeated after the hold', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Damaged', message: 'edited' });
    run.answer(unknown());
    expect(run.last.wakeIn).to.equal(undefined);
    run.decide({ do: 'Retry' });
    run.tick(run.last.wakeIn);
    expect(run.latest).to.include({ step: 'authorise', send: 2 });
  });
});

describe('an answer to a compensation', () => {
  const compensating = (): Rehearsal => {
    const run = new Rehearsal().runTo('commit');
    run.answer(businessFailure());
    return run;
  };

  it('Success goes on to the one before', () => {
    const run = compensating();
    run.answer(success('undo'));
    expect(run.at('authorise').compensation.state).to.equal('Succeeded');
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation' });
  });

  it('Accepted and NotNow poll at no cost', () => {
    const run = compensating();
    for (const answer of [accepted(10), notNow(10), accepted(10), notNow(10), accepted(10)]) {
      run.answer(answer);
      run.tick(10);
    }
    expect(run.at('authorise').compensation).to.include({ attempts: 0, sends: 6, epoch: 1 });
  });

  it('Refused holds, with the epoch that the participant knows', () => {
    const run = compensating();
    run.answer(refused('StaleEpoch', 4));
    expect(run.state.hold).to.include({ reason: 'StaleEpoch', kind: 'compensation', knownEpoch: 4 });
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation', epoch: 5 });
  });

  it('Refused (Fenced), which makes no sense, is held as a compensation that fails', () => {
    const run = compensating();
    run.answer(refused('Fenced'));
    expect(run.state.hold).to.include({ reason: 'CompensationFailed', step: 'authorise' });
  });

  it('of an earlier sending counts only as a success', () => {
    const run = compensating();
    const first = run.latest;
    run.answer(unknown());
    run.tick(run.last.wakeIn);
    const before = run.state;
    run.answerTo(first, businessFailure());
    expect(run.state).to.equal(before);
    run.answerTo(first, success('undo'));
    expect(run.at('authorise').compensation.state).to.equal('Succeeded');
  });

  it('of an epoch before the action’s says nothing of what was sent since', () => {
    const run = compensating();
    const before = run.state;
    run.answerTo({ ...run.latest, epoch: 0 }, success('undo'));
    expect(run.state).to.equal(before);
  });
});
