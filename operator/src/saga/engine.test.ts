import { expect } from 'chai';
import { phaseOf } from './draft.ts';
import { begin, CLAIM_LIMIT, distrust, transition } from './engine.ts';
import {
  businessFailure,
  CHECKOUT,
  CHECKOUT_AND_MORE,
  CONTEXT,
  Rehearsal,
  revision,
  success,
  unknown,
} from './rehearsal.ts';

const holding = revision(CHECKOUT, { onStepFailure: 'Hold' });
const phases = (run: Rehearsal): string[] => run.state.steps.map((one) => one.action.state);

describe('identity', () => {
  it('is namespace, saga and order: a run begun again sends the same keys and bodies', () => {
    const first = new Rehearsal().runTo('capture');
    const again = new Rehearsal();
    again.wall = 9_999_999;
    again.runTo('capture');
    const told = (run: Rehearsal) => run.sent.map(({ key, epoch, body }) => ({ key, epoch, body }));
    expect(told(again)).to.deep.equal(told(first));
  });

  it('a run whose status was lost learns from the participants that it was compensated', () => {
    const again = new Rehearsal().runTo('authorise');
    again.answer({ type: 'Refused', reason: 'Fenced', message: 'compensated before' });
    again.answer(success('undo'));
    expect(again.state).to.include({ ended: 'Compensated' });
    expect(again.state.cause).to.include({ reason: 'Fenced', step: 'authorise' });
  });
});

describe('a take-over', () => {
  it('from a worker that died counts every step before the pivot without an outcome as unknown', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'TakenOver', died: true });
    expect(phases(run)).to.deep.equal(['Succeeded', 'InFlight', 'Unknown', 'Unknown', 'Pending']);
    expect(run.last.durability).to.equal('before');
  });

  it('sends what was in flight again: same key, same epoch', () => {
    const run = new Rehearsal().runTo('authorise');
    const before = run.latest;
    run.tell({ type: 'TakenOver', died: true });
    expect(run.latest).to.deep.equal({ ...before, send: 2 });
  });

  it('does not count the pivot as sent before its intent is durable, and the rest as sent after', () => {
    const early = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('book');
    early.tell({ type: 'TakenOver', died: true });
    expect(phases(early).slice(4)).to.deep.equal(['Pending', 'Pending']);
    const late = new Rehearsal(revision(CHECKOUT_AND_MORE)).runTo('capture');
    late.tell({ type: 'TakenOver', died: true });
    expect(phases(late).slice(4)).to.deep.equal(['InFlight', 'Unknown']);
    expect(late.latest).to.include({ step: 'capture', epoch: 1, send: 2 });
  });

  it('then compensates every step that may have been sent, registered or not', () => {
    const run = new Rehearsal();
    run.tell({ type: 'TakenOver', died: true });
    run.tell({ type: 'Cancelled', reason: 'gone' });
    while (run.state.ended === undefined) run.answer(success('undo'));
    expect(run.course).to.deep.equal(['reserve', 'undo book', 'undo commit', 'undo authorise', 'undo reserve']);
  });

  it('keeps outcomes that are on record', () => {
    const run = new Rehearsal(holding).runTo('commit').exhaust();
    run.decide({ do: 'Skip', outputs: { warehouses: 'leeds' } });
    run.tell({ type: 'TakenOver', died: true });
    expect(phases(run).slice(0, 3)).to.deep.equal(['Succeeded', 'Succeeded', 'Skipped']);
  });

  it('sends a compensation that was in flight again', () => {
    const run = new Rehearsal().runTo('commit');
    run.answer(businessFailure());
    run.tell({ type: 'TakenOver', died: true });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation', epoch: 1, send: 2 });
    expect(phases(run).slice(2)).to.deep.equal(['Failed', 'Pending', 'Pending']);
  });

  it('that was handed over leaves what was never sent alone, and counts no claim', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'TakenOver', died: false });
    expect(phases(run)).to.deep.equal(['Succeeded', 'InFlight', 'Pending', 'Pending', 'Pending']);
    expect(run.latest).to.include({ step: 'authorise', send: 2 });
    expect(run.state.claims).to.equal(0);
  });

  it('by too many workers that died without progress is held', () => {
    const run = new Rehearsal().runTo('authorise');
    for (let i = 0; i < CLAIM_LIMIT; i++) run.tell({ type: 'TakenOver', died: true });
    expect(run.state.hold).to.equal(undefined);
    run.tell({ type: 'TakenOver', died: true });
    expect(run.state.hold?.reason).to.equal('WorkersDied');
    expect(run.sentNow).to.deep.equal([]);
    run.decide({ do: 'Retry' });
    expect(run.state.claims).to.equal(0);
    expect(run.latest).to.include({ step: 'authorise', epoch: 1 });
  });

  it('puts on record again what was given up: the worker may have died before it did', () => {
    const run = new Rehearsal(holding).runTo('commit').exhaust();
    run.decide({ do: 'Skip', outputs: { warehouses: 'leeds' } });
    const records = run.records;
    run.tell({ type: 'TakenOver', died: true });
    expect(run.records).to.deep.equal(records);
  });

  it('counts anew after progress', () => {
    const run = new Rehearsal().runTo('authorise');
    for (let i = 0; i < CLAIM_LIMIT; i++) run.tell({ type: 'TakenOver', died: true });
    run.answer(success('authorise'));
    expect(run.state.claims).to.equal(0);
  });
});

describe('a hold', () => {
  it('stops the run and its deadline, and nothing else', () => {
    const run = new Rehearsal(holding).runTo('authorise').exhaust();
    expect(phaseOf(run.state)).to.equal('Held');
    expect(run.last.wakeIn).to.equal(undefined);
    run.tick(10 ** 7);
    expect(run.sentNow).to.deep.equal([]);
    expect(run.state.clock).to.be.greaterThan(10 ** 7);
    expect(run.state.used).to.be.lessThan(1000);
  });

  it('has an id of its own', () => {
    const run = new Rehearsal(holding).runTo('authorise').exhaust();
    const ids = [run.state.hold?.id];
    for (let i = 0; i < 3; i++) {
      run.decide({ do: 'Retry' });
      run.exhaust();
      ids.push(run.state.hold?.id);
    }
    expect(new Set(ids)).to.have.length(4);
  });

  it('has another id than the same hold of an earlier life of the run', () => {
    const [one, other] = [0, 77_000].map((later) => {
      const run = new Rehearsal(holding);
      run.wall += later;
      return run.runTo('authorise').exhaust().state.hold?.id;
    });
    expect(one).not.to.equal(other);
  });
});

describe('a cancel', () => {
  it('before anything was sent ends the run with nothing to undo', () => {
    const run = new Rehearsal();
    run.tell({ type: 'Cancelled', reason: 'changed my mind' });
    expect(run.state).to.include({ ended: 'Compensated' });
    expect(run.sent).to.deep.equal([]);
  });

  it('before the pivot’s intent compensates', () => {
    const run = new Rehearsal().runTo('book');
    run.tell({ type: 'Cancelled', reason: 'changed my mind' });
    expect(run.state.cancel).to.deep.equal({ reason: 'changed my mind', outcome: 'Compensating' });
    expect(run.state.cause).to.deep.equal({ reason: 'Cancelled', message: 'changed my mind' });
    expect(run.last.durability).to.equal('before');
  });

  it('after the pivot’s intent comes too late: the run finishes forward', () => {
    const run = new Rehearsal().runTo('capture');
    run.tell({ type: 'Cancelled', reason: 'changed my mind' });
    expect(run.state.cancel?.outcome).to.equal('TooLate');
    expect(run.notices.at(-1)).to.include({ level: 'Warning', reason: 'CancelTooLate' });
    run.answer(success('capture'));
    expect(run.state.ended).to.equal('Succeeded');
  });

  it('given again changes nothing', () => {
    const run = new Rehearsal().runTo('capture');
    run.tell({ type: 'Cancelled', reason: 'a' });
    expect(run.tell({ type: 'Cancelled', reason: 'b' })).to.include({ durability: 'none' });
    expect(run.state.cancel?.reason).to.equal('a');
  });

  it('does not wait for a person where a step only waits for one', () => {
    const run = new Rehearsal(holding).runTo('authorise').exhaust();
    run.tell({ type: 'Cancelled', reason: '' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation' });
    expect(run.state.hold).to.equal(undefined);
  });

  it('waits for the person where the run is in doubt, or past its pivot', () => {
    for (const [until, event] of [
      ['authorise', { type: 'Damaged', message: 'edited' }],
      ['capture', undefined],
    ] as const) {
      const run = new Rehearsal(holding).runTo(until);
      if (event === undefined) run.exhaust();
      else run.tell(event);
      run.tell({ type: 'Cancelled', reason: '' });
      expect(run.state.hold).not.to.equal(undefined);
      expect(run.state.cancel?.outcome).to.equal('Requested');
      expect(run.sentNow).to.deep.equal([]);
    }
  });

  it('that waited is settled by the decision', () => {
    const doubt = new Rehearsal().runTo('authorise');
    doubt.tell({ type: 'Damaged', message: 'edited' });
    doubt.tell({ type: 'Cancelled', reason: '' });
    doubt.decide({ do: 'Retry' });
    expect(doubt.latest).to.include({ step: 'authorise', kind: 'compensation' });
    const late = new Rehearsal().runTo('capture').exhaust();
    late.tell({ type: 'Cancelled', reason: '' });
    late.decide({ do: 'Retry' });
    expect(late.state.cancel?.outcome).to.equal('TooLate');
    expect(late.latest).to.include({ step: 'capture', epoch: 2 });
  });

  it('of a run that compensates is granted', () => {
    const run = new Rehearsal().runTo('commit');
    run.answer(businessFailure());
    run.tell({ type: 'Cancelled', reason: '' });
    expect(run.state.cancel?.outcome).to.equal('Compensating');
    expect(run.sentNow).to.deep.equal([]);
  });

  it('of a paused run is kept until the pause ends', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Paused' });
    run.tell({ type: 'Cancelled', reason: '' });
    expect(run.sentNow).to.deep.equal([]);
    run.tell({ type: 'Resumed' });
    expect(run.latest).to.include({ step: 'authorise', kind: 'compensation' });
  });
});

describe('a pause', () => {
  it('stops sending, takes answers in, and ends', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Paused' });
    run.answer(success('authorise'));
    expect(run.sentNow).to.deep.equal([]);
    expect(run.last.wakeIn).to.equal(undefined);
    run.tell({ type: 'Resumed' });
    expect(run.latest.step).to.equal('commit');
    expect(run.notices.map(({ reason }) => reason)).to.include.members(['Paused', 'Resumed']);
  });

  it('given again is no news', () => {
    const run = new Rehearsal();
    run.tell({ type: 'Paused' });
    expect(run.tell({ type: 'Paused' })).to.deep.include({ effects: [], durability: 'none' });
  });

  it('decides to compensate all the same, and sends nothing', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Paused' });
    expect(run.answer(businessFailure()).durability).to.equal('before');
    expect(run.state.direction).to.equal('Backward');
    expect(run.sentNow).to.deep.equal([]);
  });
});

describe('a run that is let go', () => {
  it('ends where it is, with a record of what may be in place', () => {
    const run = new Rehearsal().runTo('commit');
    run.tell({ type: 'LetGo', reason: 'its namespace is being deleted' });
    expect(run.state.ended).to.equal('Aborted');
    expect(run.last.durability).to.equal('before');
    expect(run.state.givenUp.map(({ decision, step, state }) => [decision, step, state])).to.deep.equal([
      ['LetGo', 'reserve', 'Succeeded'],
      ['LetGo', 'authorise', 'Succeeded'],
      ['LetGo', 'commit', 'InFlight'],
    ]);
    expect(run.records).to.have.length(3);
  });

  it('needs no record of what was undone', () => {
    const run = new Rehearsal().runTo('commit');
    run.answer(businessFailure());
    run.answer(success('undo'));
    run.tell({ type: 'LetGo', reason: 'gone' });
    expect(run.state.givenUp.map(({ step }) => step)).to.deep.equal(['reserve']);
  });
});

describe('a damaged journal', () => {
  it('holds the run', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Damaged', message: 'the checksum does not fit' });
    expect(run.state.hold).to.include({ reason: 'JournalDamaged', message: 'the checksum does not fit' });
    expect(run.state.hold?.step).to.equal(undefined);
    expect(run.last.durability).to.equal('before');
  });

  const distrusted = (): Rehearsal => {
    const run = new Rehearsal();
    run.take(distrust(run.revision, CONTEXT, 'edited', { wall: run.wall, elapsed: 0 }));
    return run;
  };

  it('is believed in nothing: every step counts as unknown and the pivot as intended', () => {
    const run = distrusted();
    expect(phases(run)).to.deep.equal(['Unknown', 'Unknown', 'Unknown', 'Unknown', 'Unknown']);
    expect(run.state).to.include({ pivotIntent: true });
    expect(run.state.hold?.reason).to.equal('JournalDamaged');
    expect(run.sent).to.deep.equal([]);
  });

  it('compensates nothing by itself: Compensate is refused, a cancel waits', () => {
    const run = distrusted();
    run.decide({ do: 'Compensate' });
    expect(run.state.observedDecision?.outcome).to.equal('Refused');
    run.tell({ type: 'Cancelled', reason: '' });
    expect(run.state.direction).to.equal('Forward');
  });

  it('after a Retry asks the participants, step by step', () => {
    const run = distrusted();
    run.decide({ do: 'Retry' });
    run.runTo('capture');
    run.answer(success('capture'));
    expect(run.course).to.deep.equal(['reserve', 'authorise', 'commit', 'book', 'capture']);
    expect(run.state.ended).to.equal('Succeeded');
  });

  it('after a Retry learns from a fence that the run had turned back, and finishes that', () => {
    const run = distrusted();
    run.decide({ do: 'Retry' });
    run.answer(success('reserve'));
    run.answer({ type: 'Refused', reason: 'Fenced', message: '' });
    expect(run.state.direction).to.equal('Backward');
    while (run.state.ended === undefined) run.answer(success('undo'));
    expect(run.course.slice(2)).to.deep.equal(['undo book', 'undo commit', 'undo reserve']);
  });

  it('after an Abort records every step', () => {
    const run = distrusted();
    run.decide({ do: 'Abort' });
    expect(run.state.givenUp).to.have.length(5);
  });
});

describe('the engine', () => {
  it('gives the same answer to the same arguments', () => {
    const run = new Rehearsal().runTo('authorise');
    const args = [
      { type: 'Answered', step: 'authorise', kind: 'action', epoch: 1, send: 1, answer: unknown() },
    ] as const;
    const now = { wall: 5, elapsed: 7 };
    expect(transition(run.revision, CONTEXT, run.state, ...args, now)).to.deep.equal(
      transition(run.revision, CONTEXT, run.state, ...args, now),
    );
  });

  it('begins with nothing sent and nothing used', () => {
    const state = begin(revision(), 77);
    expect(phaseOf(state)).to.equal('Pending');
    expect(state).to.include({ begunAt: 77, clock: 0, used: 0, pivotIntent: false, direction: 'Forward' });
  });

  it('keeps an ended run as it is, whatever comes', () => {
    const run = new Rehearsal().runTo('capture');
    const sent = run.latest;
    run.answer(success('capture'));
    const before = run.state;
    run.answerTo(sent, businessFailure(), 1000);
    for (const event of [
      { type: 'Tick' },
      { type: 'Cancelled', reason: '' },
      { type: 'Paused' },
      { type: 'TakenOver', died: true },
      { type: 'LetGo', reason: '' },
      { type: 'Damaged', message: '' },
    ] as const) {
      expect(run.tell(event, 1000)).to.deep.equal({ state: before, effects: [], durability: 'none' });
    }
  });
});
