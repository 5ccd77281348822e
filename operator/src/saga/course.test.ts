import { expect } from 'chai';
import { phaseOf } from './draft.ts';
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

describe('the way forward', () => {
  it('sends each step once, in order, and ends', () => {
    const run = new Rehearsal().runTo('capture');
    run.answer(success('capture'));
    expect(run.course).to.deep.equal(['reserve', 'authorise', 'commit', 'book', 'capture']);
    expect(run.state.ended).to.equal('Succeeded');
    expect(run.state.finishedAt).to.equal(run.wall);
    expect(run.last.wakeIn).to.equal(undefined);
    expect(run.notices.at(-1)).to.include({ level: 'Normal', reason: 'Succeeded' });
  });

  it('tells a participant all that the contract asks for', () => {
    const run = new Rehearsal().runTo('reserve');
    const { body, ...sending } = run.latest;
    expect(sending).to.deep.equal({
      type: 'Send',
      step: 'reserve',
      kind: 'action',
      participant: 'reserve-service',
      command: 'do-reserve',
      key: 'shop/checkout/o-1/reserve/action',
      epoch: 1,
      send: 1,
      begunAt: run.state.begunAt,
      timeout: 1000,
    });
    expect(Object.keys(body)).to.deep.equal(['lines', 'shipTo']);
  });

  it('writes nothing before it sends an ordinary step, and the end before it tells of it', () => {
    const run = new Rehearsal();
    expect(run.tick().durability).to.equal('soon');
    expect(run.answer(success('reserve')).durability).to.equal('soon');
    run.runTo('capture');
    expect(run.answer(success('capture')).durability).to.equal('before');
  });

  it('makes the intent to send the pivot durable, with all earlier outputs, before the pivot is sent', () => {
    const run = new Rehearsal().runTo('capture');
    expect(run.sentNow.map((send) => send.step)).to.deep.equal(['capture']);
    expect(run.last.durability).to.equal('before');
    expect(run.state.pivotIntent).to.equal(true);
    const outputs = run.state.steps.map((one) => one.output);
    expect(outputs).to.deep.equal([
      { reservationId: 'r-1' },
      { authorisationId: 'a-1' },
      { warehouses: 'leeds' },
      { bookingId: 'b-1' },
      undefined,
    ]);
  });

  it('writes the intent once: a repeat of the pivot waits for no write', () => {
    const run = new Rehearsal().runTo('capture');
    run.answer(unknown());
    expect(run.tick(run.last.wakeIn).durability).to.equal('soon');
    expect(run.latest).to.include({ step: 'capture', send: 2, epoch: 1 });
  });

  it('goes on after the pivot to its end', () => {
    const run = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('notify');
    expect(run.latest.body).to.deep.equal({ captureId: 'cap-1' });
    run.answer(success('notify'));
    expect(run.state.ended).to.equal('Succeeded');
  });

  it('succeeds at once when there is nothing to do', () => {
    const run = new Rehearsal(revision([]));
    expect(run.tick().durability).to.equal('before');
    expect(run.state.ended).to.equal('Succeeded');
  });
});

describe('compensation', () => {
  it('undoes what succeeded, in reverse order, one at a time', () => {
    const run = new Rehearsal().runTo('book');
    run.answer(businessFailure('NoService'));
    while (run.state.ended === undefined) run.answer(success('undo'));
    expect(run.course.slice(4)).to.deep.equal(['undo commit', 'undo authorise', 'undo reserve']);
    expect(run.state.ended).to.equal('Compensated');
    expect(run.state.cause).to.deep.equal({ reason: 'NoService', message: 'not today', step: 'book' });
    expect(run.notices.filter(({ reason }) => reason === 'StepCompensated').map((one) => one.step)).to.deep.equal([
      'commit',
      'authorise',
      'reserve',
    ]);
  });

  it('makes the decision to compensate durable before the first compensation is sent', () => {
    const run = new Rehearsal().runTo('commit');
    const next = run.answer(businessFailure());
    expect(run.sentNow.map((send) => send.key)).to.deep.equal(['shop/checkout/o-1/authorise/compensation']);
    expect(next.durability).to.equal('before');
    expect(phaseOf(next.state)).to.equal('Compensating');
  });

  it('covers a step whose outcome is unknown, that one first', () => {
    const run = new Rehearsal().runTo('authorise').exhaust();
    expect(run.course).to.deep.equal(['reserve', 'authorise', 'authorise', 'authorise', 'undo authorise']);
    expect(run.at('authorise').action.state).to.equal('Unknown');
  });

  it('covers a step that is in flight', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Cancelled', reason: 'changed my mind' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation' });
  });

  it('leaves out steps that failed, were never sent, or have nothing to undo', () => {
    const steps = [step('a', { compensation: 'undo-a' }), step('b'), step('c', { compensation: 'undo-c' }), step('d')];
    const run = new Rehearsal(revision(steps)).runTo('c');
    run.answer(businessFailure());
    run.answer(success('undo'));
    expect(run.course.slice(3)).to.deep.equal(['undo a']);
    expect(run.state.ended).to.equal('Compensated');
    expect(run.state.steps.map((one) => one.compensation.state)).to.deep.equal(['Succeeded', 'None', 'None', 'None']);
  });

  it('ends at once, durably, when there is nothing to undo', () => {
    const run = new Rehearsal().runTo('reserve');
    expect(run.answer(businessFailure()).durability).to.equal('before');
    expect(run.state.ended).to.equal('Compensated');
  });

  it('carries the epoch of its action, and so fences all that was sent', () => {
    const run = new Rehearsal(revision(CHECKOUT, { onStepFailure: 'Hold' })).runTo('authorise').exhaust();
    run.decide({ do: 'Retry' });
    expect(run.latest).to.include({ step: 'authorise', epoch: 2 });
    run.tell({ type: 'Cancelled', reason: 'late' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation', epoch: 2 });
    run.answer(success('undo'));
    expect(run.latest).to.include({ step: 'reserve', kind: 'compensation', epoch: 1 });
  });

  it('begins after the pivot’s intent only when the pivot itself answers with a business failure', () => {
    const run = new Rehearsal().runTo('capture');
    run.answer(businessFailure('CaptureDeclined'));
    while (run.state.ended === undefined) run.answer(success('undo'));
    expect(run.course.slice(5)).to.deep.equal(['undo book', 'undo commit', 'undo authorise', 'undo reserve']);
    expect(run.at('capture').compensation.state).to.equal('None');
  });

  it('never begins past the pivot: a step that fails there is held', () => {
    const run = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('notify');
    run.answer(businessFailure('NoAddress'));
    expect(run.state.hold).to.include({ reason: 'StepFailed', step: 'notify', kind: 'action' });
    expect(run.last.durability).to.equal('before');
    expect(run.sentNow).to.deep.equal([]);
  });

  it('never begins while the pivot is unknown: it is held, whatever the saga says', () => {
    const run = new Rehearsal().runTo('capture').exhaust();
    expect(run.state.direction).to.equal('Forward');
    expect(run.state.hold).to.include({ reason: 'StepFailed', step: 'capture' });
    expect(run.course.filter((one) => one === 'capture')).to.have.length(3);
  });

  it('that a participant refuses for good is held, not dropped', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer(businessFailure());
    run.answer(businessFailure('TooLate'));
    expect(run.state.hold).to.include({ reason: 'CompensationFailed', step: 'reserve', kind: 'compensation' });
    expect(run.at('reserve').compensation).to.deep.include({
      state: 'Pending',
      error: { reason: 'TooLate', message: 'not today' },
    });
  });

  it('that gets no answer is tried as often as the step may be, then held', () => {
    const run = new Rehearsal().runTo('authorise');
    run.answer(businessFailure());
    run.exhaust();
    expect(run.course.slice(2)).to.deep.equal(['undo reserve', 'undo reserve', 'undo reserve']);
    expect(run.state.hold).to.include({ reason: 'CompensationFailed', step: 'reserve' });
    expect(run.state.hold?.message).to.contain('attempt 3 of 3');
  });
});

describe('the deadline', () => {
  const short = revision(CHECKOUT, { deadline: 1000 });

  it('compensates when its budget is used up, in-flight steps included', () => {
    const run = new Rehearsal(short).runTo('authorise');
    expect(run.last.wakeIn).to.equal(1000);
    run.tick(1000);
    expect(run.state.cause).to.include({ reason: 'DeadlineExceeded', step: 'authorise' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation' });
    expect(run.last.durability).to.equal('before');
  });

  it('does nothing a millisecond earlier', () => {
    const run = new Rehearsal(short).runTo('authorise');
    run.tick(999);
    expect(run.state.direction).to.equal('Forward');
    expect(run.last.wakeIn).to.equal(1);
  });

  it('holds when the saga says so, and a Retry begins a new budget', () => {
    const run = new Rehearsal(revision(CHECKOUT, { deadline: 1000, onStepFailure: 'Hold' })).runTo('authorise');
    run.tick(1000);
    expect(run.state.hold).to.include({ reason: 'DeadlineExceeded', step: 'authorise' });
    run.decide({ do: 'Retry' });
    expect(run.state.used).to.equal(0);
    expect(run.latest).to.include({ step: 'authorise', kind: 'action', epoch: 2 });
  });

  it('only marks a run overdue past the pivot, once', () => {
    const run = new Rehearsal(short).runTo('capture');
    run.tick(5000);
    expect(run.state).to.include({ overdue: true, direction: 'Forward' });
    run.tick(5000);
    expect(run.notices.filter(({ reason }) => reason === 'Overdue')).to.have.length(1);
    run.answer(success('capture'));
    expect(run.state.ended).to.equal('Succeeded');
  });

  it('does not run on while the run is paused', () => {
    const run = new Rehearsal(short).runTo('authorise');
    run.tick(600);
    run.tell({ type: 'Paused' });
    run.tell({ type: 'Resumed' }, 100_000);
    expect(run.state.used).to.equal(600);
    expect(run.state.clock).to.equal(100_600);
    run.tick(399);
    expect(run.state.direction).to.equal('Forward');
    run.tick(1);
    expect(run.state.direction).to.equal('Backward');
  });

  it('does not run on while the run is held', () => {
    const run = new Rehearsal(revision(CHECKOUT, { deadline: 10_000, onStepFailure: 'Hold' })).runTo('authorise');
    run.exhaust();
    const { used } = run.state;
    run.tick(1_000_000);
    run.decide({ do: 'Retry' });
    expect(run.state.used).to.equal(used);
    expect(run.state.hold).to.equal(undefined);
  });

  it('heeds no wall clock: one that jumps compensates nobody', () => {
    const run = new Rehearsal(short).runTo('authorise');
    for (const jump of [10 ** 9, -(10 ** 10), 10 ** 12]) {
      run.wall += jump;
      run.tick(1);
      expect(run.state.direction).to.equal('Forward');
    }
    expect(run.state.used).to.equal(3);
  });

  it('takes time that goes backwards for none', () => {
    const run = new Rehearsal(short).runTo('authorise');
    run.tick(10);
    run.tick(-100_000);
    expect(run.state).to.include({ used: 10, clock: 10 });
  });
});
