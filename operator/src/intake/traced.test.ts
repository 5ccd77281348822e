import { recordedTracing } from '@mercato/tracing/testing.ts';
import { expect } from 'chai';
import { CONTEXT } from '../saga/rehearsal.ts';
import type { Asked } from './events.ts';
import { IntakeBusy, IntakeRefused, type PlacedOrder } from './intake.ts';
import { tracedBy, tracedIntake } from './traced.ts';

const PARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
const order: PlacedOrder = { ...CONTEXT, placedAt: 0 };

describe('An event that is part of a trace', () => {
  const taken: (string | undefined)[] = [];
  let failure: Error | undefined;

  beforeEach(() => {
    taken.length = 0;
    failure = undefined;
  });

  const open = () => {
    const { tracing, ended } = recordedTracing();
    const note = (traceparent: string | undefined) => {
      taken.push(traceparent);
      if (failure !== undefined) throw failure;
    };
    const inner = {
      room: 5,
      async take({ traceparent }: PlacedOrder) {
        note(traceparent);
        return 'Begun' as const;
      },
      async cancel(_id: unknown, _reason: string, traceparent?: string) {
        note(traceparent);
        return 'Told' as const;
      },
    };
    return { inner, intake: tracedIntake(inner, tracing), ended };
  };

  it('is taken under a span of its own, whose trace the run goes on with', async () => {
    const { intake, ended } = open();
    expect(await intake.take({ ...order, traceparent: PARENT })).to.equal('Begun');
    expect(await intake.cancel(order.id, 'changed their mind', PARENT)).to.equal('Told');
    const spans = ended();
    expect(spans.map(({ name, kind, parentSpanId }) => [name, kind, parentSpanId])).to.deep.equal([
      ['dev.mercato.order.placed', 'consumer', 'b'.repeat(16)],
      ['dev.mercato.order.cancel-requested', 'consumer', 'b'.repeat(16)],
    ]);
    expect(taken).to.deep.equal(spans.map(({ traceparent }) => traceparent));
    expect(spans[0]?.attributes).to.deep.equal({ 'mercato.run': 'shop/checkout/o-1', 'mercato.outcome': 'Begun' });
  });

  it('is taken as far as there is room now', () => {
    const { inner, intake } = open();
    expect(intake.room).to.equal(5);
    inner.room = 0;
    expect(intake.room).to.equal(0);
  });

  it('has failed where it is not taken, and says no more than why', async () => {
    for (failure of [new IntakeBusy('later', 10), new IntakeRefused('InputInvalid', 'paymentToken is 4111')]) {
      const { intake, ended } = open();
      const error = await intake.take({ ...order, traceparent: PARENT }).catch((caught: unknown) => caught);
      expect(error).to.equal(failure);
      expect(ended()[0]?.attributes).to.include({ 'error.type': failure.name });
      expect(JSON.stringify(ended())).to.not.include('4111');
    }
  });

  it('begins no trace where there is none', async () => {
    const { intake, ended } = open();
    await intake.take(order);
    await intake.cancel(order.id, 'changed their mind');
    expect(ended()).to.be.empty;
    expect(taken).to.deep.equal([undefined, undefined]);
  });
});

describe("The trace context of a message's attribute", () => {
  const OWN = `00-${'c'.repeat(32)}-${'d'.repeat(16)}-01`;
  const cancel: Asked = { type: 'Cancel', id: CONTEXT.id, reason: 'changed their mind' };
  const placed: Extract<Asked, { type: 'Placed' }> = { type: 'Placed', order: { ...CONTEXT, placedAt: 0 } };

  it('counts where the event has none', () => {
    expect(tracedBy(cancel, PARENT)).to.deep.equal({ ...cancel, traceparent: PARENT });
    expect(tracedBy(placed, PARENT)).to.have.nested.property('order.traceparent', PARENT);
  });

  it("gives way to the event's own", () => {
    expect(tracedBy({ ...cancel, traceparent: OWN }, PARENT)).to.include({ traceparent: OWN });
    const traced = { ...placed, order: { ...placed.order, traceparent: OWN } };
    expect(tracedBy(traced, PARENT)).to.have.nested.property('order.traceparent', OWN);
  });

  it('is dropped where it is none', () => {
    for (const wrong of [undefined, '', 'x']) expect(tracedBy(placed, wrong)).to.equal(placed);
  });
});
