import { after, instant, minutes } from '@mercato/kit';
import { expect } from 'chai';
import fc from 'fast-check';
import { newOrderId } from './ids.ts';
import { askToCancel, ended, hear, KEPT, type Progress, placed, type SagaEvent, wasRefused } from './order.ts';
import { isOver, orderStates, orderTriggers, transitions } from './states.ts';

const noon = instant(Date.UTC(2026, 10, 22, 12));
const orderId = newOrderId(noon);
const said = (sequence: number, type: SagaEvent['type'], reason?: string): SagaEvent => ({
  orderId,
  sequence,
  type,
  ...(reason === undefined ? {} : { reason }),
});

/** The progress after these events, each of which must be applied. */
function told(progress: Progress, ...events: readonly SagaEvent[]): Progress {
  for (const event of events) {
    const heard = hear(progress, event, noon);
    if (heard.type !== 'Applied') throw new Error(`${event.type} ${event.sequence}: ${heard.type}`);
    progress = heard.progress;
  }
  return progress;
}
function cancelled(progress: Progress): Progress {
  const answer = askToCancel(progress, noon);
  if (answer.type !== 'Asked') throw new Error(answer.type);
  return answer.progress;
}

describe('the table of transitions', () => {
  it('lets nothing happen to an order that is over, but that a saga revives one that was refused', () => {
    for (const state of orderStates)
      expect(Object.keys(transitions[state]).filter((trigger) => trigger !== 'revived').length === 0, state).to.equal(
        isOver(state),
      );
    expect(orderStates.filter((state) => transitions[state].revived !== undefined)).to.deep.equal(['Failed']);
  });

  it('reaches every state, and uses every trigger', () => {
    const rows = Object.values(transitions);
    expect(new Set(['Placed', ...rows.flatMap((row) => Object.values(row))])).to.deep.equal(new Set(orderStates));
    expect(new Set(rows.flatMap((row) => Object.keys(row)))).to.deep.equal(new Set(orderTriggers));
  });
});

describe('an order', () => {
  const ends: [SagaEvent, string, string | undefined][] = [
    [said(1, 'succeeded'), 'Completed', undefined],
    [said(1, 'compensated', 'OutOfStock'), 'Failed', 'OutOfStock'],
    [said(1, 'compensated', 'DeadlineExceeded'), 'Failed', 'NotPossible'],
    [said(1, 'compensated'), 'Failed', 'NotPossible'],
    [said(1, 'compensated', 'Cancelled'), 'Cancelled', 'Cancelled'],
    [said(1, 'aborted', 'Decided'), 'Aborted', 'Ended'],
    [said(1, 'held', 'WorkersDied'), 'Held', 'NeedsAttention'],
  ];
  for (const [event, state, reason] of ends)
    it(`that hears ${event.type} (${event.reason ?? 'no reason'}) is ${state}, and says ${reason ?? 'nothing'}`, () => {
      const progress = told(placed(noon), event);
      expect(progress.state).to.equal(state);
      expect(progress.notice?.reason).to.equal(reason);
    });

  it('says nothing of what our own programs and people said', () => {
    const progress = told(placed(noon), said(1, 'held', 'JournalDamaged'), said(2, 'compensated', 'constructor'));
    expect(JSON.stringify(progress)).not.to.match(/JournalDamaged|constructor/);
  });

  it('goes on being cancelled after a hold, and remembers that it was asked to while it was held', () => {
    expect(told(cancelled(placed(noon)), said(1, 'held'), said(2, 'resumed')).state).to.equal('Cancelling');
    const held = cancelled(told(placed(noon), said(1, 'held')));
    expect(held.state).to.equal('Held');
    expect(told(held, said(2, 'resumed')).state).to.equal('Cancelling');
    expect(told(placed(noon), said(1, 'held'), said(2, 'resumed')).state).to.equal('Placed');
  });

  it('fails when its saga will not be begun, and says no more than that', () => {
    for (const open of [placed(noon), cancelled(placed(noon))]) {
      const progress = told(open, said(0, 'refused', 'SagaNotFound'));
      expect([progress.state, progress.notice?.reason, progress.heard]).to.deep.equal(['Failed', 'NotPossible', 0]);
      expect(progress.notice?.message).to.contain('not been charged');
      expect(hear(progress, said(0, 'refused', 'SagaNotFound'), noon)).to.deep.equal({ type: 'Duplicate' });
      expect(askToCancel(progress, noon)).to.deep.equal({ type: 'Over' });
    }
  });

  it('is not refused once its saga was heard of, however late the refusal comes', () => {
    for (const type of ['held', 'succeeded', 'compensated'] as const)
      expect(hear(told(placed(noon), said(1, type)), said(0, 'refused'), noon)).to.deep.equal({ type: 'Stale' });
  });

  it('follows its saga when one is begun after it was refused, from the first that it says', () => {
    const refused = told(placed(noon), said(0, 'refused', 'SagaNotFound'));
    const ran = told(refused, said(1, 'succeeded'));
    expect([ran.state, ran.heard, ran.notice]).to.deep.equal(['Completed', 1, undefined]);
    expect(ran.moments.map(({ state }) => state)).to.deep.equal(['Placed', 'Failed', 'Placed', 'Completed']);
    expect(told(refused, said(1, 'held'), said(2, 'resumed'), said(3, 'compensated', 'OutOfStock'))).to.include({
      state: 'Failed',
      heard: 3,
    });
    expect(told(cancelled(placed(noon)), said(0, 'refused'), said(1, 'compensated', 'Cancelled')).state).to.equal(
      'Cancelled',
    );
  });

  it('that its saga failed is revived by nothing', () => {
    const failed = told(placed(noon), said(1, 'compensated', 'OutOfStock'));
    expect(hear(failed, said(2, 'succeeded'), noon).type).to.equal('Refused');
  });

  it('says that a cancel came too late', () => {
    const progress = told(cancelled(placed(noon)), said(1, 'succeeded'));
    expect([progress.state, progress.notice?.reason]).to.deep.equal(['Completed', 'CancelTooLate']);
  });

  it('takes a cancel once, and none when it is over', () => {
    expect(askToCancel(cancelled(placed(noon)), noon)).to.deep.equal({ type: 'Standing' });
    expect(askToCancel(told(placed(noon), said(1, 'succeeded')), noon)).to.deep.equal({ type: 'Over' });
    expect(askToCancel(told(placed(noon), said(1, 'compensated', 'Cancelled')), noon)).to.deep.equal({
      type: 'Standing',
    });
  });

  it('keeps a bounded history, the first moment and the latest', () => {
    let progress = placed(noon);
    for (let i = 1; i <= 200; i++) progress = told(progress, said(i, i % 2 === 1 ? 'held' : 'resumed'));
    expect(progress.moments).to.have.length(KEPT + 1);
    expect(progress.moments[0]?.version).to.equal(1);
    expect(progress.moments.at(-1)?.version).to.equal(201);
  });

  const event = fc.record({
    sequence: fc.integer({ min: 1, max: 12 }),
    type: fc.constantFrom<SagaEvent['type'] | 'cancel'>(
      'held',
      'resumed',
      'succeeded',
      'compensated',
      'aborted',
      'cancel',
    ),
    reason: fc.constantFrom('Cancelled', 'OutOfStock'),
  });
  const refusal = fc.constant({ sequence: 0, type: 'refused', reason: 'SagaNotFound' } as const);

  it('never goes back, never forgets what it heard, and ends once, whatever comes', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 9, arbitrary: event }, refusal), { maxLength: 40 }), (events) => {
        let progress = placed(noon);
        for (const [i, { type, sequence, reason }] of events.entries()) {
          const at = after(noon, minutes(i));
          const answer =
            type === 'cancel' ? askToCancel(progress, at) : hear(progress, { orderId, type, sequence, reason }, at);
          if (!('progress' in answer)) continue;
          const next = answer.progress;
          expect(ended(progress) && !wasRefused(progress), 'what is over stays over').to.equal(false);
          expect(next.version).to.be.greaterThan(progress.version);
          if (type === 'refused') expect([progress.heard, next.heard]).to.deep.equal([0, 0]);
          else if (type !== 'cancel') expect(next.heard).to.equal(sequence).and.to.be.greaterThan(progress.heard);
          if (progress.cancel !== undefined) expect(next.cancel).to.deep.equal(progress.cancel);
          expect(next.moments.at(-1)?.state).to.equal(next.state);
          progress = next;
        }
        const versions = progress.moments.map(({ version }) => version);
        expect(versions).to.deep.equal([...new Set(versions)].sort((a, b) => a - b));
      }),
    );
  });

  it('comes to the same end, in whatever order and however often the events of its saga come', () => {
    const course = [said(1, 'held'), said(2, 'resumed'), said(3, 'held'), said(4, 'resumed'), said(5, 'succeeded')];
    course.push(said(0, 'refused', 'SagaNotFound'));
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 20 }), (deliveries) => {
        let progress = placed(noon);
        for (const index of [...deliveries, 4]) {
          const heard = hear(progress, course[index]!, noon);
          if (heard.type === 'Applied') progress = heard.progress;
        }
        expect(progress.state).to.equal('Completed');
      }),
    );
  });
});
