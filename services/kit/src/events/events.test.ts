import { EventBridgeClient, type PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { CreateQueueCommand, GetQueueAttributesCommand, ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import fc from 'fast-check';
import { systemClock } from '../clock.ts';
import { parseEvents } from '../inbox/event.ts';
import type { Receipt } from '../inbox/inbox.ts';
import { NotTaken } from '../outbox/not-taken.ts';
import { type CloudEvent, cloudEventOf } from '../outbox/outbox.ts';
import { ProblemError } from '../problem.ts';
import { sendMessages } from '../queue/sqs.ts';
import { instant, milliseconds } from '../units.ts';
import { inCalls, sendAll } from './batches.ts';
import { EventConsumer, type EventOutcome } from './consumer.ts';
import { eventIn } from './envelope.ts';
import { busEntry, EventBusSender, entryBytes, failuresOf } from './event-bus.ts';

const eventOf = (sequence: number, orderId = 'o-1'): CloudEvent =>
  cloudEventOf(
    '/mercato/order',
    { type: 'dev.mercato.order.placed', namespace: 'shop', saga: 'checkout', orderId, data: {}, time: instant(0) },
    sequence,
  );
const thrown = (work: Promise<unknown>) => work.catch((error: unknown) => error as Error);

describe('events in calls', () => {
  it('are all sent, in their order, within the limits', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 })), (sizes) => {
        const calls = inCalls(sizes, (size) => size, { entries: 4, bytes: 150 });
        expect(calls.flat()).to.deep.equal(sizes);
        for (const call of calls) {
          expect(call.length).to.be.within(1, 4);
          expect(call.reduce((sum, size) => sum + size, 0)).to.be.at.most(150);
        }
      }),
    );
  });

  it('are refused where one is too large for any', () => {
    expect(() => inCalls([200], (size) => size, { entries: 4, bytes: 150 })).to.throw(RangeError, '200 bytes');
  });

  it('are sent again where they were not taken, and only those', async () => {
    const sent: number[][] = [];
    const carry = async (items: readonly number[]) => {
      sent.push([...items]);
      return items.map((item) => (item % 2 === 1 && sent.length < 3 ? 'ThrottlingException: later' : undefined));
    };
    await sendAll([1, 2, 3], () => 1, carry, { clock: systemClock, base: 1 });
    expect(sent).to.deep.equal([
      [1, 2, 3],
      [1, 3],
      [1, 3],
    ]);
  });

  it('are given back, with why, when that does not help', async () => {
    const carry = async (items: readonly number[]) =>
      items.map((item) => (item === 2 ? 'InternalFailure: x' : undefined));
    const error = await thrown(sendAll([1, 2], () => 1, carry, { clock: systemClock, base: 1, tries: 3 }));
    expect(error).to.have.property('message', '1 of 2 events were not taken: InternalFailure: x');
    expect(error).to.be.instanceOf(NotTaken).with.deep.property('again', [1]);
  });

  it('are named where they were not taken, with all of a call that failed as a whole', async () => {
    const carry = async (items: readonly number[]) => {
      if (items.includes(13)) throw new Error('no answer');
      return items.map((item) => (item === 5 ? 'InternalFailure: x' : undefined));
    };
    const items = Array.from({ length: 23 }, (_, i) => i);
    const error = await thrown(sendAll(items, () => 1, carry, { clock: systemClock, base: 1, tries: 2 }));
    expect(error)
      .to.be.instanceOf(NotTaken)
      .with.deep.property('again', [5, ...items.slice(10, 20)]);
    expect(error).to.have.property('message', '11 of 23 events were not taken: InternalFailure: x');
    const away = () => Promise.reject(new Error('no answer'));
    const all = await thrown(sendAll(items, () => 1, away, { clock: systemClock }));
    expect(all).to.be.instanceOf(NotTaken).with.property('again', undefined);
    expect(all).to.have.property('message', '23 of 23 events were not taken: Error: no answer');
  });
});

describe('an event on the bus', () => {
  it('is picked by source and type, and is whole inside', () => {
    const event = eventOf(1);
    const entry = busEntry('mercato', event);
    expect(entry).to.include({
      Source: '/mercato/order',
      DetailType: 'dev.mercato.order.placed',
      EventBusName: 'mercato',
    });
    expect(JSON.parse(entry.Detail ?? '')).to.deep.equal(event);
    expect(entryBytes(entry)).to.equal(14 + 14 + 24 + Buffer.byteLength(JSON.stringify(event)));
  });

  it('is known as not taken by its own error', () => {
    const Entries = [{ EventId: 'a' }, { ErrorCode: 'ThrottlingException', ErrorMessage: 'slow down' }];
    expect(failuresOf({ Entries })).to.deep.equal([undefined, 'ThrottlingException: slow down']);
  });

  it('is taken out of its envelope, and taken without one', () => {
    const event = eventOf(1);
    const envelope = { version: '0', 'detail-type': event.type, source: event.source, detail: event };
    expect(eventIn(JSON.stringify(envelope))).to.deep.equal(event);
    expect(eventIn(JSON.stringify(event))).to.deep.equal(event);
    expect(() => eventIn('{')).to.throw(ProblemError, 'no JSON');
  });

  it('is put there with others, more than a call takes', async function () {
    // The emulator alone may take a minute to start.
    this.timeout(120_000);
    const client = new EventBridgeClient((await sharedMiniStack()).client);
    const calls: number[] = [];
    const send = client.send.bind(client);
    client.send = ((command: PutEventsCommand) => {
      calls.push(command.input.Entries?.length ?? 0);
      return send(command);
    }) as typeof client.send;
    await new EventBusSender(client, 'default').send(Array.from({ length: 23 }, (_, i) => eventOf(i + 1)));
    expect(calls.sort()).to.deep.equal([10, 10, 3]);
    client.destroy();
  });
});

describe('events from a queue', function () {
  this.timeout(120_000);
  const SECRET = 'tok_secret';
  let client: SQSClient;
  let url: string;
  let deadLetters: string;
  let consumer: EventConsumer;
  let outcomes: EventOutcome[];
  let errors: Error[];
  let received: string[];
  let receive: (body: unknown) => Promise<Receipt>;
  const receipt: Receipt = { applied: 1, duplicate: 0, stale: 0, ignored: 0, unsubscribed: 0 };
  let queues = 0;

  const made = async (name: string, Attributes: Record<string, string> = {}) =>
    (await client.send(new CreateQueueCommand({ QueueName: `${name}-${process.pid}-${++queues}`, Attributes })))
      .QueueUrl!;
  const attributesOf = async (QueueUrl: string) =>
    (await client.send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }))).Attributes ?? {};
  const empty = async () => {
    const { ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible } = await attributesOf(url);
    return Number(ApproximateNumberOfMessages) + Number(ApproximateNumberOfMessagesNotVisible) === 0;
  };
  async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 20_000; !(await holds()); ) {
      if (Date.now() > deadline) throw new Error(`not within 20 s: ${outcomes.join()} ${errors.map(String).join()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
  const put = (...bodies: readonly string[]) =>
    sendMessages(
      client,
      url,
      bodies.map((body) => ({ body, attributes: {} })),
    );

  beforeEach(async () => {
    client = new SQSClient((await sharedMiniStack()).client);
    deadLetters = await made('events-dead');
    const { QueueArn } = await attributesOf(deadLetters);
    const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: QueueArn, maxReceiveCount: 1000 });
    url = await made('events', { RedrivePolicy });
    [outcomes, errors, received] = [[], [], []];
    receive = async (body) => {
      const { wanted } = parseEvents(body, () => true);
      received.push(...wanted.map(({ id }) => id));
      return receipt;
    };
    consumer = new EventConsumer({
      client,
      queue: { url, wait: milliseconds(0) },
      inbox: { receive: (body) => receive(body) },
      onError: (error) => errors.push(error as Error),
      onOutcome: (outcome) => outcomes.push(outcome),
      retry: 10,
    });
  });
  afterEach(async () => {
    await consumer.stop();
    client.destroy();
  });

  it('are deleted once they are taken', async () => {
    const event = eventOf(1);
    await put(
      JSON.stringify({ 'detail-type': event.type, source: event.source, detail: event }),
      JSON.stringify(eventOf(2)),
    );
    consumer.start();
    await until(async () => outcomes.length === 2 && (await empty()));
    expect(received.sort()).to.deep.equal(['shop/checkout/o-1/1', 'shop/checkout/o-1/2']);
    expect(outcomes).to.deep.equal(['taken', 'taken']);
    expect(errors).to.deep.equal([]);
  });

  it('come again until they are taken, and no sooner leave the queue', async () => {
    let failures = 2;
    const take = receive;
    receive = async (body) => {
      if (failures-- > 0) throw new Error('the store is away');
      return take(body);
    };
    await put(JSON.stringify(eventOf(1)));
    consumer.start();
    await until(async () => outcomes.length === 3 && (await empty()));
    expect(outcomes).to.deep.equal(['returned', 'returned', 'taken']);
  });

  it('that nobody can read are put aside with their reason, in words that quote nothing', async () => {
    const { subject: _gone, ...wrong } = { ...eventOf(1), data: { paymentToken: SECRET } };
    await put('no json', JSON.stringify(wrong), JSON.stringify(eventOf(3)));
    consumer.start();
    await until(async () => outcomes.length === 3 && (await empty()));
    expect(outcomes.sort()).to.deep.equal(['poison', 'poison', 'taken']);
    const { Messages = [] } = await client.send(
      new ReceiveMessageCommand({ QueueUrl: deadLetters, MaxNumberOfMessages: 10, MessageAttributeNames: ['All'] }),
    );
    const letters = Messages.map(({ MessageAttributes = {}, Body }) => [
      MessageAttributes['mercato-reason']?.StringValue,
      MessageAttributes['mercato-message']?.StringValue,
      Body,
    ]).sort();
    expect(letters.map(([reason]) => reason)).to.deep.equal(['BadEvent', 'NotJson']);
    expect(letters[0]?.[1]).to.include('/subject').and.not.include(SECRET);
    expect(letters[1]?.[2]).to.equal('no json');
    expect(errors.map(String).join()).not.to.include(SECRET);
  });

  it('without a place for what nobody can read say so at once', async () => {
    const bare = await made('bare');
    const alone: Error[] = [];
    const other = new EventConsumer({
      client,
      queue: { url: bare, wait: milliseconds(0) },
      inbox: { receive },
      onError: (error) => alone.push(error as Error),
    });
    other.start();
    await until(() => alone.length > 0);
    expect(alone[0]?.message).to.include('has no dead-letter queue').and.include('RedrivePolicy');
    await other.stop();
  });
});
