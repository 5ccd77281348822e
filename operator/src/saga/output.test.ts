import { expect } from 'chai';
import { storable } from './output.ts';
import { Rehearsal, revision } from './rehearsal.ts';

describe('an output as journals keep it', () => {
  it('has no member that is null, at any depth; what stands in a list stays in its place', () => {
    const output = { a: null, b: { c: null, d: [null, { e: null, f: 0 }] }, g: false, h: '' };
    expect(storable(output)).to.deep.equal({ b: { d: [null, { f: 0 }] }, g: false, h: '' });
  });

  it('has no half of a character', () => {
    expect(storable({ 'x\ud83d': 'y\ude00', whole: '😀' })).to.deep.equal({ 'x\ufffd': 'y\ufffd', whole: '😀' });
  });

  it('is what later steps get, whichever worker sends them', () => {
    const run = new Rehearsal().runTo('reserve');
    run.answer({ type: 'Success', output: { reservationId: 'r\ud83d', more: null } });
    expect(run.state.steps[0]?.output).to.deep.equal({ reservationId: 'r\ufffd' });
  });

  it('of a Skip may have 1 KiB as any other', () => {
    const run = new Rehearsal(revision(undefined, { onStepFailure: 'Hold' })).runTo('authorise').exhaust();
    run.decide({ do: 'Skip', outputs: { authorisationId: 'a'.repeat(1024) } });
    expect(run.state.observedDecision?.message).to.contain('decision.outputs has 1046 bytes');
    run.decide({ do: 'Skip', outputs: { authorisationId: null } });
    expect(run.state.observedDecision?.message).to.contain('supply authorisationId');
    run.decide({ do: 'Skip', outputs: { authorisationId: 'by-phone' } });
    expect(run.state.observedDecision?.outcome).to.equal('Accepted');
  });
});
