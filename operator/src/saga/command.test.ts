import { expect } from 'chai';
import { bodyOf, commandKey, runKey, totalOf } from './command.ts';
import { begin } from './engine.ts';
import { CONTEXT, INPUT, Rehearsal, revision, step } from './rehearsal.ts';

describe('a command', () => {
  it('has the same key for every attempt and epoch, from names alone', () => {
    const key = commandKey(CONTEXT.id, 'reserve', 'action');
    expect(key).to.equal('shop/checkout/o-1/reserve/action');
    expect(commandKey(CONTEXT.id, 'reserve', 'compensation')).to.equal('shop/checkout/o-1/reserve/compensation');
    expect(runKey(CONTEXT.id)).to.equal('shop/checkout/o-1');
  });

  it('gets what its step uses, each by its last segment, and nothing else', () => {
    const run = new Rehearsal().runTo('capture');
    expect(run.latest.body).to.deep.equal({ authorisationId: 'a-1', total: 1530 });
    expect(run.sent[0]?.body).to.deep.equal({ lines: INPUT.lines, shipTo: INPUT.shipTo });
  });

  it('leaves out an output that an earlier step did not give', () => {
    const steps = [step('a'), step('b', { uses: ['a.x', 'input.currency'] })];
    const body = bodyOf(steps[1]!, CONTEXT, begin(revision(steps), 0));
    expect(body).to.deep.equal({ currency: 'GBP' });
  });

  it('gives a compensation the body of its action', () => {
    const run = new Rehearsal().runTo('book');
    const forward = run.sent.find((send) => send.step === 'commit')!;
    run.answer({ type: 'BusinessFailure', reason: 'NoService', message: '' });
    expect(run.latest).to.include({ step: 'commit', kind: 'compensation', command: 'release' });
    expect(run.latest.body).to.deep.equal(forward.body);
  });
});

describe('totalOf', () => {
  it('sums quantity times unit price exactly', () => {
    expect(totalOf(INPUT)).to.equal(1530);
    const dear = { ...INPUT, lines: [{ sku: 'X', quantity: 3, unitPrice: 3_000_000_000_000_001 }] };
    expect(totalOf(dear)).to.equal(9_000_000_000_000_003);
  });
});
