import { expect } from 'chai';
import { nextAction } from './narrate.ts';
import { businessFailure, CHECKOUT, Rehearsal, revision, success, unknown } from './rehearsal.ts';

const tell = (run: Rehearsal): string => nextAction(run.revision, run.state, (millis) => `in ${millis} ms`);

describe('nextAction', () => {
  it('says what is sent, and that an answer is waited for', () => {
    expect(tell(new Rehearsal())).to.equal('reserve: do-reserve at reserve-service, now');
    expect(tell(new Rehearsal().runTo('capture'))).to.equal(
      'capture: do-capture at capture-service (the pivot), sent, waiting for the answer',
    );
  });

  it('says when it tries again, after what, and what follows', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer(unknown());
    expect(tell(run)).to.equal(
      'authorise: do-authorise at authorise-service, in 100 ms, after Timeout; 2 of 3 attempts left, then it compensates',
    );
    const holding = new Rehearsal(revision(CHECKOUT, { onStepFailure: 'Hold' })).runTo('authorise');
    holding.answer(unknown());
    expect(tell(holding)).to.match(/2 of 3 attempts left, then it is held$/);
    const late = new Rehearsal().runTo('capture');
    late.answer(unknown());
    expect(tell(late)).to.match(/then it is held$/);
  });

  it('says what is undone, and why', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer(businessFailure('CardDeclined'));
    expect(tell(run)).to.equal(
      'undo reserve: release at reserve-service, because of CardDeclined at authorise, sent, waiting for the answer',
    );
    const cancelled = new Rehearsal().runTo('authorise');
    cancelled.tell({ type: 'Cancelled', reason: 'changed my mind' });
    cancelled.answer(unknown('Http503'));
    expect(tell(cancelled)).to.equal(
      'undo authorise: void at authorise-service, because of Cancelled, in 100 ms, after Http503; 2 of 3 attempts left, then it is held',
    );
  });

  it('says what a person is to decide', () => {
    const run = new Rehearsal().runTo('capture').exhaust();
    expect(tell(run)).to.match(
      /^a person decides hold 1-[0-9a-z]+ \(StepFailed\): set spec\.decision to Retry, Skip or Abort\. capture: attempt 3 of 3/,
    );
  });

  it('offers no decision that would be refused', () => {
    const holding = new Rehearsal(revision(CHECKOUT, { onStepFailure: 'Hold' })).runTo('authorise').exhaust();
    expect(tell(holding)).to.contain('set spec.decision to Retry, Skip, Compensate or Abort.');
    const damaged = new Rehearsal().runTo('authorise');
    damaged.tell({ type: 'Damaged', message: 'edited' });
    expect(tell(damaged)).to.contain('set spec.decision to Retry, Compensate or Abort.');
  });

  it('says that a pause stops everything', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Paused' });
    expect(tell(run)).to.equal('nothing until the pause ends');
  });

  it('says that nothing comes after the end', () => {
    const run = new Rehearsal().runTo('capture');
    run.answer(success('capture'));
    expect(tell(run)).to.equal('nothing: every step succeeded');
    const declined = new Rehearsal().runTo('authorise');
    declined.answer(businessFailure('CardDeclined'));
    declined.answer(success('reserve'));
    expect(tell(declined)).to.equal('nothing: everything was undone, because of CardDeclined at authorise');
    const aborted = new Rehearsal().runTo('capture').exhaust();
    aborted.decide({ do: 'Abort' });
    expect(tell(aborted)).to.equal('nothing: it was aborted, see the exception record');
  });
});
