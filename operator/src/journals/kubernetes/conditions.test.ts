import { expect } from 'chai';
import type { Condition } from '../../api/conditions.ts';
import { businessFailure, Rehearsal, revision, success, unknown } from '../../saga/rehearsal.ts';
import type { RunState } from '../../saga/types.ts';
import { runConditions } from './conditions.ts';

const [EARLY, LATE] = ['2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'];
const of = (list: readonly Condition[], type: string): Condition | undefined =>
  list.find((condition) => condition.type === type);
const seen = (state: RunState, before?: readonly Condition[], now = EARLY): readonly Condition[] =>
  runConditions(state, before, 7, now);

describe('The conditions of a run', () => {
  it('are few while nothing is the matter', () => {
    const list = seen(new Rehearsal().runTo('authorise').state);
    expect(list.map(({ type, status }) => `${type} ${status}`)).to.deep.equal(['Succeeded Unknown', 'Held False']);
    expect(list.every(({ observedGeneration }) => observedGeneration === 7)).to.equal(true);
  });

  it('say how it ended and why', () => {
    const good = new Rehearsal().runTo('capture');
    good.answer(success('capture'));
    expect(of(seen(good.state), 'Succeeded')).to.include({ status: 'True', reason: 'Succeeded' });
    const declined = new Rehearsal().runTo('authorise');
    declined.answer(businessFailure('CardDeclined'));
    declined.answer(success('reserve'));
    expect(of(seen(declined.state), 'Succeeded')).to.include({
      status: 'False',
      reason: 'CardDeclined',
      message: 'everything was undone after authorise: not today',
    });
    const exhausted = new Rehearsal().runTo('authorise').exhaust();
    while (exhausted.state.ended === undefined) exhausted.answer({ type: 'Success', output: {} });
    const told = of(seen(exhausted.state), 'Succeeded')?.message;
    expect(told, 'the step once').to.match(/^everything was undone after authorise: attempt 3 of 3/);
    const aborted = new Rehearsal().runTo('capture').exhaust();
    aborted.decide({ do: 'Abort' });
    expect(of(seen(aborted.state), 'Succeeded')).to.include({ status: 'False', reason: 'Aborted' });
  });

  it('keep their time of transition while their status stays, and take a new one when it changes', () => {
    const run = new Rehearsal(revision(undefined, { onStepFailure: 'Hold' })).runTo('authorise');
    const first = seen(run.state);
    expect(of(seen(run.state, first, LATE), 'Held')?.lastTransitionTime).to.equal(EARLY);
    run.exhaust();
    const held = seen(run.state, first, LATE);
    expect(of(held, 'Held')).to.include({ status: 'True', reason: 'StepFailed', lastTransitionTime: LATE });
    expect(of(held, 'Succeeded')).to.include({ status: 'Unknown', lastTransitionTime: EARLY });
  });

  it('show a pause and what became of a decision, and that a pause is over', () => {
    const run = new Rehearsal().runTo('authorise');
    run.tell({ type: 'Paused' });
    const paused = seen(run.state);
    expect(of(paused, 'Paused')).to.include({ status: 'True' });
    run.tell({ type: 'Resumed' });
    expect(of(seen(run.state, paused, LATE), 'Paused')).to.include({ status: 'False', lastTransitionTime: LATE });
    run.decide({ do: 'Retry', holdId: '9-none' });
    expect(of(seen(run.state, paused), 'DecisionAccepted')).to.include({ status: 'False', reason: 'RetryRefused' });
  });

  it('show that the deadline passed after the pivot', () => {
    const run = new Rehearsal(revision(undefined, { deadline: 1000 })).runTo('capture');
    run.answer(unknown(), 2000);
    run.tick(200);
    expect(of(seen(run.state), 'Overdue')).to.include({ status: 'True', reason: 'DeadlinePassed' });
  });

  it('leave what others say alone', () => {
    const other = {
      type: 'Audited',
      status: 'True',
      reason: 'r',
      message: 'm',
      lastTransitionTime: EARLY,
      observedGeneration: 1,
    } as const;
    expect(of(seen(new Rehearsal().state, [other], LATE), 'Audited')).to.deep.equal(other);
  });
});
