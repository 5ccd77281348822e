import { expect } from 'chai';
import type { OrderSagaRun } from '../api/ordersagarun.ts';
import { FINALIZER, idOf } from '../controllers/ordersagarun/run.ts';
import { encode } from '../journals/kubernetes/codec.ts';
import { Rehearsal } from '../saga/rehearsal.ts';
import type { RunState } from '../saga/types.ts';
import { standingOf } from './survey.ts';

/** A run's object in this state, as the API server gives it. */
function objectOf(state: RunState | undefined, changes: object = {}, finalizers = [FINALIZER]): OrderSagaRun {
  const run = {
    apiVersion: 'mercato.dev/v1alpha1',
    kind: 'OrderSagaRun',
    metadata: { name: 'checkout-1', namespace: 'shop', finalizers },
    spec: { sagaRef: { name: 'checkout' }, orderId: '1', mode: 'Execute', ...changes },
  } as unknown as OrderSagaRun;
  if (state === undefined) return run;
  return { ...run, status: JSON.parse(JSON.stringify(encode(idOf(run), state))) } as OrderSagaRun;
}

const played = () => new Rehearsal();

describe('Where a run stands when the operator goes', () => {
  it('is free where nothing of ours keeps its object', () => {
    const { state } = played();
    expect(standingOf(objectOf(state, {}, []))).to.deep.equal({ kind: 'free' });
    expect(standingOf(objectOf(undefined, {}, ['other/finalizer']))).to.deep.equal({ kind: 'free' });
    expect(standingOf(objectOf(state, { mode: 'View' }))).to.deep.equal({ kind: 'free' });
  });

  it('is at work from the moment it is taken up', () => {
    expect(standingOf(objectOf(undefined))).to.deep.equal({
      kind: 'working',
      why: 'it was taken up, and has no status yet',
    });
    expect(standingOf(objectOf(played().state)).kind).to.equal('working');
  });

  it('is over only if the engine wrote so: a phase that somebody edited is none', () => {
    const ended = { ...played().state, ended: 'Succeeded' as const, finishedAt: 7 };
    const run = objectOf(ended);
    expect(standingOf(run)).to.deep.equal({ kind: 'ended', givenUp: [], finishedAt: 7 });
    const working = objectOf(played().state);
    const edited = { ...working, status: { ...working.status, phase: 'Succeeded' } } as OrderSagaRun;
    expect(standingOf(edited).kind).to.equal('working');
  });

  it('is held with the hold that a decision must name, and why', () => {
    const hold = { id: '1-abc', reason: 'StepFailed' as const, message: 'no answer', since: 1 };
    expect(standingOf(objectOf({ ...played().state, hold, holds: 1 }))).to.deep.equal({
      kind: 'held',
      holdId: '1-abc',
      why: 'StepFailed: no answer',
    });
  });
});
