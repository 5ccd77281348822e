import { expect } from 'chai';
import { possibleDecisions } from './decisions.ts';
import { phaseOf } from './draft.ts';
import { businessFailure, CHECKOUT, CHECKOUT_AND_MORE, Rehearsal, revision, success, unknown } from './rehearsal.ts';

const holding = revision(CHECKOUT, { onStepFailure: 'Hold' });
const heldAt = (name: string): Rehearsal => new Rehearsal(holding).runTo(name).exhaust();
const heldCompensation = (): Rehearsal => {
  const run = new Rehearsal().runTo('commit');
  run.answer(businessFailure());
  run.answer(businessFailure('TooLate'));
  return run;
};

describe('a decision', () => {
  it('is durable before it is carried out, and told', () => {
    const run = heldAt('authorise');
    expect(run.decide({ do: 'Retry' }).durability).to.equal('before');
    expect(run.state.observedDecision).to.deep.equal({
      holdId: run.state.observedDecision?.holdId,
      do: 'Retry',
      outcome: 'Accepted',
      message: 'ann: looked into it',
    });
    expect(run.notices.at(-1)).to.include({ level: 'Normal', reason: 'DecisionAccepted' });
  });

  it('for another hold is refused with what to do', () => {
    const run = heldAt('authorise');
    const { hold } = run.state;
    run.decide({ do: 'Retry', holdId: '9-abc' });
    expect(run.state.hold).to.deep.equal(hold);
    expect(run.state.observedDecision).to.include({ holdId: '9-abc', outcome: 'Refused' });
    expect(run.state.observedDecision?.message).to.contain(`the run is in hold ${hold?.id}`);
    expect(run.notices.at(-1)).to.include({ level: 'Warning', reason: 'DecisionRefused' });
    expect(run.sentNow).to.deep.equal([]);
  });

  it('for a hold that is over is refused, also where the run is held again', () => {
    const run = heldAt('authorise');
    const stale = run.state.hold!.id;
    run.decide({ do: 'Retry' });
    run.exhaust();
    expect(run.state.hold!.id).not.to.equal(stale);
    run.decide({ do: 'Skip', holdId: 'other', outputs: {} });
    run.decide({ do: 'Compensate', holdId: stale });
    expect(run.state.direction).to.equal('Forward');
    expect(run.state.observedDecision?.outcome).to.equal('Refused');
  });

  it('that is given again changes nothing', () => {
    const run = heldAt('authorise');
    const holdId = run.state.hold!.id;
    run.decide({ do: 'Retry' });
    const before = run.state;
    expect(run.decide({ do: 'Retry', holdId })).to.deep.include({ durability: 'none', effects: [] });
    expect(run.decide({ do: 'Abort', holdId })).to.deep.include({ durability: 'none', effects: [] });
    expect(run.state).to.equal(before);
  });

  it('that was refused is refused again without a word, and may be amended', () => {
    const run = heldAt('authorise');
    run.decide({ do: 'Skip' });
    expect(run.state.observedDecision?.message).to.contain('supply authorisationId in decision.outputs');
    const before = run.state;
    expect(run.decide({ do: 'Skip' }).effects).to.deep.equal([]);
    expect(run.state).to.equal(before);
    run.decide({ do: 'Skip', outputs: { authorisationId: 'by-phone' } });
    expect(run.state.observedDecision?.outcome).to.equal('Accepted');
  });

  it('for a run that is not held is refused', () => {
    const run = new Rehearsal().runTo('authorise');
    run.decide({ do: 'Retry', holdId: '1-x' });
    expect(run.state.observedDecision).to.include({ outcome: 'Refused' });
    expect(run.state.observedDecision?.message).to.contain('not held');
  });

  it('for a run that has ended is refused, and changes nothing else', () => {
    const run = new Rehearsal().runTo('capture');
    run.answer(success('capture'));
    const before = run.state;
    run.decide({ do: 'Abort', holdId: '1-x' });
    expect({ ...run.state, observedDecision: undefined }).to.deep.equal({ ...before, observedDecision: undefined });
    expect(run.state.observedDecision).to.include({ outcome: 'Refused' });
  });

  it('that names another step than the one held is refused', () => {
    const run = heldAt('authorise');
    run.decide({ do: 'Retry', step: 'reserve' });
    expect(run.state.observedDecision?.message).to.contain('the run is held at authorise');
    run.decide({ do: 'Retry', step: 'authorise' });
    expect(run.state.hold).to.equal(undefined);
  });
});

describe('Retry', () => {
  it('sends the next epoch with a fresh budget of attempts', () => {
    const run = heldAt('authorise');
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'authorise', epoch: 2, key: 'shop/checkout/o-1/authorise/action' });
    expect(run.at('authorise').action).to.include({ attempts: 0 });
    run.exhaust();
    run.decide({ do: 'Retry' });
    expect(run.latest.epoch).to.equal(3);
  });

  it('goes past the epoch that a participant knows', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer({ type: 'Refused', reason: 'StaleEpoch', message: '', epoch: 5 });
    run.decide({ do: 'Retry' });
    expect(run.latest.epoch).to.equal(6);
  });

  it('of a business failure past the pivot sends it again', () => {
    const run = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('notify');
    run.answer(businessFailure());
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'notify', epoch: 2 });
    expect(run.at('notify').action.error).to.equal(undefined);
    run.answer(success('notify'));
    expect(run.state.ended).to.equal('Succeeded');
  });

  it('of a compensation sends its next epoch', () => {
    const run = heldCompensation();
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation', epoch: 2 });
  });

  it('keeps a step that may have taken effect registered', () => {
    const run = heldAt('authorise');
    run.tell({ type: 'Paused' });
    run.decide({ do: 'Retry' });
    expect(run.at('authorise').action.state).to.equal('Unknown');
    run.tell({ type: 'Cancelled', reason: '' });
    run.tell({ type: 'Resumed' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation', epoch: 2 });
  });
});

describe('Skip', () => {
  it('supplies the outputs and goes on, and puts on record what it gave up on', () => {
    const run = heldAt('authorise');
    run.decide({ do: 'Skip', outputs: { authorisationId: 'by-phone' } });
    const entry = {
      decision: 'Skip',
      kind: 'action',
      step: 'authorise',
      state: 'Unknown',
      by: 'ann',
      reason: 'looked into it',
    };
    expect(run.state.givenUp).to.deep.equal([entry]);
    expect(run.records).to.deep.equal([{ type: 'RecordException', entry }]);
    expect(run.latest.step).to.equal('commit');
    run.runTo('capture');
    expect(run.latest.body).to.include({ authorisationId: 'by-phone' });
  });

  it('needs every output that later steps use, and no others', () => {
    const run = heldAt('commit');
    run.decide({ do: 'Skip', outputs: { other: 1 } });
    expect(run.state.observedDecision).to.include({ outcome: 'Refused' });
    expect(run.state.observedDecision?.message).to.contain('warehouses');
    const free = heldAt('book');
    free.decide({ do: 'Skip' });
    expect(free.latest.step).to.equal('capture');
  });

  it('keeps the skipped action registered for compensation', () => {
    const run = heldAt('authorise');
    run.decide({ do: 'Skip', outputs: { authorisationId: 'x' } });
    run.answer(businessFailure());
    expect(run.course.at(-1)).to.equal('undo authorise');
  });

  it('of a compensation leaves that one out, records it, and undoes the rest', () => {
    const run = heldCompensation();
    run.decide({ do: 'Skip' });
    expect(run.at('authorise').compensation.state).to.equal('GivenUp');
    expect(run.state.givenUp).to.deep.include({
      decision: 'Skip',
      kind: 'compensation',
      step: 'authorise',
      state: 'Succeeded',
      by: 'ann',
      reason: 'looked into it',
    });
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation' });
    run.answer(success('undo'));
    expect(run.state.ended).to.equal('Compensated');
  });

  it('of the pivot keeps the run going forward', () => {
    const run = new Rehearsal().runTo('capture').exhaust();
    run.decide({ do: 'Skip' });
    expect(run.state.ended).to.equal('Succeeded');
    expect(run.state.givenUp).to.have.length(1);
  });

  it('of the pivot is the point of no return, also where the pivot was never sent', () => {
    const late = revision(CHECKOUT_AND_MORE, { deadline: 1000, onStepFailure: 'Hold' });
    const run = new Rehearsal(late).runTo('book');
    run.answer(success('book'), 1000);
    expect(run.state.hold).to.include({ reason: 'DeadlineExceeded', step: 'capture' });
    run.decide({ do: 'Skip', outputs: { captureId: 'by-hand' } });
    expect(run.state.pivotIntent).to.equal(true);
    run.answer(businessFailure());
    expect(run.state.hold).to.include({ reason: 'StepFailed', step: 'notify' });
    expect(run.state.direction).to.equal('Forward');
  });

  it('keeps the output of a step that succeeded while the run was held', () => {
    const run = new Rehearsal(holding).runTo('authorise');
    const first = run.latest;
    run.exhaust();
    run.answerTo(first, success('authorise'));
    run.decide({ do: 'Skip', outputs: { authorisationId: 'wrong' } });
    expect(run.at('authorise').output).to.deep.equal({ authorisationId: 'a-1' });
  });

  it('is refused where the whole run is in doubt', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Damaged', message: 'edited' });
    run.decide({ do: 'Skip' });
    expect(run.state.observedDecision?.message).to.contain('decide Retry, Compensate or Abort');
    expect(phaseOf(run.state)).to.equal('Held');
  });

  it('names no decision that would be refused too', () => {
    const run = new Rehearsal().runTo('capture');
    run.tell({ type: 'Damaged', message: 'edited' });
    run.decide({ do: 'Skip' });
    expect(run.state.observedDecision?.message).to.contain('decide Retry or Abort');
    run.decide({ do: 'Compensate' });
    expect(run.state.observedDecision?.message).to.contain('only go forward (Retry) or end');
    expect(possibleDecisions(run.revision, run.state)).to.deep.equal(['Retry', 'Abort']);
  });

  it('begins a new budget where the deadline held the run', () => {
    const run = new Rehearsal(revision(CHECKOUT, { deadline: 1000, onStepFailure: 'Hold' })).runTo('book');
    run.tick(1000);
    run.decide({ do: 'Skip' });
    expect(run.latest.step).to.equal('capture');
    expect(run.state.hold).to.equal(undefined);
  });
});

describe('Compensate', () => {
  it('turns the run back before the pivot', () => {
    const run = heldAt('commit');
    expect(run.decide({ do: 'Compensate' }).durability).to.equal('before');
    expect(run.state.cause).to.deep.equal({ reason: 'Decided', message: 'ann: looked into it', step: 'commit' });
    expect(run.course.at(-1)).to.equal('undo commit');
  });

  it('is refused past the pivot’s intent', () => {
    const run = new Rehearsal().runTo('capture').exhaust();
    run.decide({ do: 'Compensate' });
    expect(run.state.observedDecision?.message).to.contain('the pivot was sent');
    expect(run.state.direction).to.equal('Forward');
    expect(run.state.hold).not.to.equal(undefined);
  });

  it('is refused where the run compensates already', () => {
    const run = heldCompensation();
    run.decide({ do: 'Compensate' });
    expect(run.state.observedDecision?.message).to.contain('already compensates');
  });
});

describe('Abort', () => {
  it('ends the run where it is, with a record of all that may be in place', () => {
    const run = heldAt('commit');
    expect(run.decide({ do: 'Abort' }).durability).to.equal('before');
    expect(run.state.ended).to.equal('Aborted');
    expect(run.state.hold).to.equal(undefined);
    expect(run.state.givenUp.map(({ step, state }) => `${step} ${state}`)).to.deep.equal([
      'reserve Succeeded',
      'authorise Succeeded',
      'commit Unknown',
    ]);
    expect(run.records).to.have.length(3);
    expect(run.sentNow).to.deep.equal([]);
    expect(run.last.wakeIn).to.equal(undefined);
  });

  it('leaves out what was undone', () => {
    const run = new Rehearsal().runTo('commit');
    run.answer(businessFailure());
    run.answer(success('undo'));
    run.answer(businessFailure('TooLate'));
    run.decide({ do: 'Abort' });
    expect(run.state.givenUp.map(({ step }) => step)).to.deep.equal(['reserve']);
  });

  it('records the step that it was held at, even where nothing is in place', () => {
    const run = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('notify');
    run.answer(businessFailure());
    run.decide({ do: 'Abort' });
    expect(run.state.givenUp.at(-1)).to.include({ decision: 'Abort', step: 'notify', state: 'Failed' });
  });

  it('is the last word: later answers change nothing', () => {
    const run = heldAt('commit');
    const sent = run.latest;
    run.decide({ do: 'Abort' });
    const before = run.state;
    run.answerTo(sent, success('commit'));
    run.answerTo(sent, unknown());
    expect(run.state).to.equal(before);
  });
});
