import { expect } from 'chai';
import { Registry } from 'prom-client';
import { JournalUnavailable } from '../journals/journal.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { INPUT } from '../saga/rehearsal.ts';
import type { RunId } from '../saga/types.ts';
import { nameOf } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused, type PlacedOrder, type Taken } from './intake.ts';
import { intakeMetrics } from './metrics.ts';
import { Receiver, type ReceiverOptions } from './receive.ts';

/** What becomes of orders is a test's to say. */
class Scripted implements Intake {
  readonly room = Number.POSITIVE_INFINITY;
  readonly taken: string[] = [];
  failure: Error | undefined;
  readonly gates = new Map<string, Promise<void>>();

  readonly placed: number[] = [];

  async take({ id, placedAt }: PlacedOrder): Promise<Taken> {
    if (this.failure !== undefined) throw this.failure;
    await this.gates.get(id.orderId);
    if (this.taken.includes(id.orderId)) return 'Known';
    this.taken.push(id.orderId);
    this.placed.push(placedAt);
    return 'Begun';
  }
  async cancel({ orderId }: RunId): Promise<'Told' | 'Ended'> {
    if (!this.taken.includes(orderId)) throw new IntakeBusy('not known yet', 1_000);
    return 'Told';
  }
}

describe('A delivery of events', () => {
  let clock: VirtualClock;
  let intake: Scripted;
  let refused: string[];
  let told: string[];
  let canTell: boolean;
  let canRecord: boolean;
  let receiver: Receiver;

  beforeEach(() => {
    clock = new VirtualClock();
    intake = new Scripted();
    refused = [];
    told = [];
    canTell = true;
    canRecord = true;
    receiver = newReceiver();
  });

  const newReceiver = (more: Partial<ReceiverOptions> = {}): Receiver =>
    new Receiver({
      intake,
      async refuse({ id }, { reason }) {
        if (!canRecord) throw new Error('no API server');
        refused.push(`${id} ${reason}`);
      },
      async tellRefused(event, { reason }) {
        if (!canTell) throw new Error('nobody listens');
        told.push(`${nameOf(event).id} ${reason}`);
      },
      metrics: intakeMetrics(new Registry()),
      clock,
      ...more,
    });

  const event = (orderId: string, type: string, changes: object = {}): object => ({
    specversion: '1.0',
    id: `${orderId}/${type}`,
    source: '/mercato/order',
    type: `dev.mercato.order.${type}`,
    subject: orderId,
    mercatonamespace: 'shop',
    mercatosaga: 'checkout',
    data: type === 'placed' ? INPUT : { reason: 'changed their mind' },
    ...changes,
  });
  const receive = (...events: unknown[]) => receiver.receive(events);

  it('is taken in any order: a cancel that comes before its order waits for it', async () => {
    const { outcomes, again } = await receive(
      event('a', 'cancel-requested'),
      event('a', 'placed'),
      event('b', 'placed'),
    );
    expect(again).to.equal(undefined);
    expect(outcomes).to.include({ Begun: 2, Cancelled: 1, Busy: 0 });
  });

  it('puts on record what can never be taken, and takes the rest', async () => {
    const strange = [
      7,
      null,
      [],
      { specversion: '0.3' },
      event('A!', 'placed'),
      event('c', 'placed', { data: { customer: 'ada' } }),
    ];
    const { outcomes, again } = await receive(...strange, event('a', 'placed'), event('a', 'weighed'));
    expect(again).to.equal(undefined);
    expect(outcomes).to.include({ Begun: 1, Ignored: 1, Refused: strange.length });
    expect(refused.at(-1)).to.equal('c/placed InputInvalid');
    expect(refused.filter((each) => each.endsWith('EventInvalid'))).to.have.length(5);
  });

  it('believes no order that it was placed in the future', async () => {
    await receive(event('a', 'placed', { time: new Date(clock.wall() + 86_400_000).toISOString() }));
    await receive(event('b', 'placed', { time: new Date(clock.wall() - 1_000).toISOString() }));
    expect(intake.placed).to.deep.equal([clock.wall(), clock.wall() - 1_000]);
  });

  it('takes no order that may have had its run and been forgotten', async () => {
    const placed = (days: number) => new Date(clock.wall() - days * 86_400_000).toISOString();
    const { outcomes } = await receive(
      event('old', 'placed', { time: placed(35.1) }),
      event('young', 'placed', { time: placed(34.9) }),
      event('young', 'cancel-requested', { time: placed(35.1) }),
    );
    expect(outcomes).to.include({ Begun: 1, Refused: 1, Cancelled: 1 });
    expect(refused).to.deep.equal(['old/placed TooOld']);
    expect(intake.taken).to.deep.equal(['young']);
  });

  it('takes no order that is older than this operator remembers', async () => {
    receiver = newReceiver({ remembered: 3_600_000 });
    const placed = (minutes: number) => new Date(clock.wall() - minutes * 60_000).toISOString();
    await receive(event('old', 'placed', { time: placed(61) }), event('young', 'placed', { time: placed(59) }));
    expect(refused).to.deep.equal(['old/placed TooOld']);
    expect(intake.taken).to.deep.equal(['young']);
  });

  it('has those come again whose refusal cannot be recorded, or told, and no others', async () => {
    canRecord = false;
    const unrecorded = await receive(event('c', 'placed', { data: {} }), event('a', 'placed'));
    expect(unrecorded.again).to.deep.include({ events: [0] });
    expect(unrecorded.again?.why).to.contain('no API server');
    canRecord = true;
    canTell = false;
    const untold = await receive(event('a', 'placed'), event('c', 'placed', { data: {} }));
    expect(untold.again).to.deep.include({ events: [1] });
    expect(untold.again?.why).to.contain('nobody listens');
    expect(told).to.deep.equal([]);
    canTell = true;
    expect((await receive(event('c', 'placed', { data: {} }), event('a', 'placed'))).outcomes).to.include({
      Known: 1,
      Refused: 1,
    });
    expect(told).to.deep.equal(['c/placed InputInvalid']);
  });

  it('is answered in six seconds: what is not done by then comes again, and holds up nothing else', async () => {
    const slow = Promise.withResolvers<void>();
    intake.gates.set('slow', slow.promise);
    const received = receive(event('a', 'placed'), event('slow', 'placed'), event('b', 'placed'));
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(6_000);
    const { outcomes, again } = await received;
    expect(outcomes).to.include({ Begun: 2, Busy: 1 });
    expect(again).to.deep.equal({ why: 'it was not done in 6 s', after: 1_000, events: [1] });
    slow.resolve();
    expect((await receive(event('slow', 'placed'))).again).to.equal(undefined);
  });

  it('comes again after the longest time that an event of it wants', async () => {
    intake.failure = new IntakeBusy('too much to do', 5_000);
    const busy = await receive(event('a', 'placed'), event('b', 'cancel-requested'));
    expect(busy.again).to.deep.equal({ why: 'too much to do', after: 5_000, events: [0, 1] });
    intake.failure = new JournalUnavailable('the disk is full');
    expect((await receive(event('a', 'placed'))).again).to.deep.equal({
      why: 'the disk is full',
      after: 1_000,
      events: [0],
    });
    expect(refused).to.deep.equal([]);
  });

  it('has a cancel come again with its order for as long as that cannot be taken, and gives up on neither', async () => {
    intake.failure = new IntakeBusy('a policy denies it', 2_000);
    const delivery = [event('a', 'cancel-requested'), event('a', 'placed')];
    for (let second = 0; second < 90; second += 10) {
      expect((await receive(...delivery)).again).to.deep.equal({
        why: 'a policy denies it',
        after: 2_000,
        events: [0, 1],
      });
      clock.advance(10_000);
    }
    expect(refused).to.deep.equal([]);
    intake.failure = undefined;
    expect((await receive(...delivery)).outcomes).to.include({ Begun: 1, Cancelled: 1, Busy: 0 });
  });

  it('gives up on a cancel whose order does not come', async () => {
    expect((await receive(event('b', 'cancel-requested'))).again?.after).to.equal(1_000);
    clock.advance(29_999);
    expect((await receive(event('b', 'cancel-requested'))).again).not.to.equal(undefined);
    clock.advance(1);
    expect((await receive(event('b', 'cancel-requested'))).outcomes).to.include({ Refused: 1 });
    expect(refused).to.deep.equal(['b/cancel-requested OrderUnknown']);
  });

  it('refuses an order that its intake refuses', async () => {
    intake.failure = new IntakeRefused('SagaNotFound', 'there is none');
    expect((await receive(event('a', 'placed'))).outcomes).to.include({ Refused: 1 });
    expect(refused).to.deep.equal(['a/placed SagaNotFound']);
  });
});
