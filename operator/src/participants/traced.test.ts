import { type EndedSpan, recordedTracing } from '@mercato/tracing/testing.ts';
import { expect } from 'chai';
import type { Answer } from '../saga/types.ts';
import type { SendEffect } from './participants.ts';
import { effectOf, patient, runOf } from './testing/commands.ts';
import { traced } from './traced.ts';

const PARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

describe('A command of a traced run', () => {
  let sent: SendEffect | undefined;

  /** Sends one that is answered so. */
  const send = async (answer: Answer, over: Partial<SendEffect> = { traceparent: PARENT }): Promise<EndedSpan[]> => {
    const { tracing, ended } = recordedTracing();
    const participants = {
      async send(_run: unknown, effect: SendEffect) {
        sent = effect;
        return answer;
      },
    };
    const got = await traced(participants, tracing).send(runOf('o-1'), effectOf('o-1', over), patient());
    expect(got).to.equal(answer);
    return ended();
  };

  it('goes out under a span of its own, which names it and says nothing of the order', async () => {
    const spans = await send({ type: 'Success', output: { reservationId: 'r-1' } });
    expect(spans).to.deep.equal([
      {
        name: 'reserve-stock',
        kind: 'client',
        traceparent: sent?.traceparent,
        parentSpanId: 'b'.repeat(16),
        attributes: {
          'mercato.run': 'shop/checkout/o-1',
          'mercato.participant': 'inventory',
          'mercato.command': 'reserve-stock',
          'mercato.step': 'reserve',
          'mercato.kind': 'action',
          'mercato.epoch': 1,
          'mercato.send': 1,
          'mercato.answer': 'Success',
        },
        failure: undefined,
      },
    ]);
  });

  it('has failed when its outcome is not known, and not when it is a refusal by business', async () => {
    const [unknown] = await send({ type: 'Unknown', reason: 'NotJson', message: 'it answered 4111111111111111' });
    expect(unknown).to.include({ failure: 'Unknown' });
    expect(unknown?.attributes).to.include({ 'error.type': 'NotJson' });
    expect(JSON.stringify(unknown), 'a message may quote anything').to.not.include('4111');
    const [refused] = await send({ type: 'BusinessFailure', reason: 'OutOfStock', message: 'none of MUG' });
    expect(refused).to.include({ failure: undefined });
    expect(refused?.attributes).to.include({ 'mercato.answer': 'BusinessFailure', 'mercato.reason': 'OutOfStock' });
  });

  it('goes out as it is where its run has no trace, or one that is not kept', async () => {
    expect(await send({ type: 'Success', output: {} }, {})).to.be.empty;
    expect(sent).to.not.have.property('traceparent');
    const dropped = PARENT.replace(/1$/, '0');
    expect(await send({ type: 'Success', output: {} }, { traceparent: dropped })).to.be.empty;
    expect(sent?.traceparent).to.equal(dropped);
  });
});
