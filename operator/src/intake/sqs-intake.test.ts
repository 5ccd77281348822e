import { EventBridgeClient, PutEventsCommand, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import type { SQSClient } from '@aws-sdk/client-sqs';
import { sharedElasticMq, sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { Registry } from 'prom-client';
import { MESSAGE, QueueUnfit, REASON } from '../aws/dead-letters.ts';
import { type Queue, sqsClient } from '../aws/sqs.ts';
import { depth, testQueue, testQueueWithDeadLetters } from '../aws/testing.ts';
import { JournalUnavailable } from '../journals/journal.ts';
import { eventually } from '../kube/testing.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';
import { silentLogger } from '../runtime/logger.ts';
import { fraction } from '../saga/backoff.ts';
import type { RunId } from '../saga/types.ts';
import { CANCEL_REQUESTED, nameOf, ORDER_PLACED } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused, type PlacedOrder, type Taken } from './intake.ts';
import { intakeMetrics } from './metrics.ts';
import { SqsIntake, type SqsIntakeOptions } from './sqs-intake.ts';
import { REDRIVEN } from './sqs-message.ts';
import { sqsIntakeMetrics } from './sqs-metrics.ts';

/** An intake over a memory for a journal, that keeps what the interface promises and can be made to be away. */
class MemoryIntake implements Intake {
  readonly begun: string[] = [];
  readonly cancelled = new Set<string>();
  /** Each order takes one. */
  room = 1_000;
  /** Called before each order or cancel is stored. */
  gate: (id: RunId) => Promise<void> | void = () => {};

  async take({ id }: PlacedOrder): Promise<Taken> {
    if (this.room <= 0) throw new IntakeBusy('there is no room', 50);
    this.room -= 1;
    await this.gate(id);
    if (this.begun.includes(id.orderId)) return 'Known';
    this.begun.push(id.orderId);
    return 'Begun';
  }

  async cancel(id: RunId): Promise<'Told' | 'Ended'> {
    await this.gate(id);
    if (!this.begun.includes(id.orderId)) throw new IntakeBusy('the order is not known yet', 50);
    this.cancelled.add(id.orderId);
    return 'Told';
  }
}

/** How long what the emulator and the intake do is waited for: a message that was received in vain comes again after 10 s. */
const PATIENCE_MILLIS = 30_000;
const until = (what: string, isSo: () => boolean | Promise<boolean>) => eventually(what, isSo, PATIENCE_MILLIS);

const PAYMENT_TOKEN = 'tok_4f9a1c2e';
const shipTo = { name: 'Ada Lovelace', line1: '12 St James Square', country: 'GB' };

function event(orderId: string, type: string, data: object, time = new Date().toISOString()): object {
  return {
    specversion: '1.0',
    id: `shop/checkout/${orderId}/${type}`,
    source: '/mercato/order',
    type,
    subject: orderId,
    time,
    mercatonamespace: 'shop',
    mercatosaga: 'checkout',
    data,
  };
}

const placed = (orderId: string, time?: string) =>
  event(
    orderId,
    ORDER_PLACED,
    {
      customer: 'customer-1',
      currency: 'GBP',
      lines: [{ sku: 'mug', quantity: 1, unitPrice: 1250 }],
      paymentToken: PAYMENT_TOKEN,
      shipTo,
    },
    time,
  );

const cancelRequested = (orderId: string) => event(orderId, CANCEL_REQUESTED, { reason: 'changed their mind' });

/** As EventBridge hands an event to a queue. */
const inEnvelope = (detail: object) => ({
  version: '0',
  id: '17793124-05d4-b198-2fde-7ededc63b103',
  'detail-type': ORDER_PLACED,
  source: '/mercato/order',
  account: '111122223333',
  time: '2026-11-22T00:00:00Z',
  region: 'eu-west-1',
  resources: [],
  detail,
});

const emulators = { ElasticMQ: sharedElasticMq, MiniStack: sharedMiniStack };

for (const [emulator, start] of Object.entries(emulators)) {
  describe(`intake from SQS (${emulator})`, function () {
    this.timeout(120_000);
    let client: SQSClient;
    let queue: Queue;
    let deadLetters: Queue;
    let memory: MemoryIntake;
    let registry: Registry;
    let told: string[];
    let deaf: boolean;
    let stopping: AbortController;
    let ended: Promise<void>;

    before(async () => {
      client = sqsClient({ config: (await start()).client });
    });

    beforeEach(async () => {
      ({ queue, deadLetters } = await testQueueWithDeadLetters(client, 'intake'));
      memory = new MemoryIntake();
      registry = new Registry();
      told = [];
      deaf = false;
    });

    afterEach(async () => {
      stopping.abort();
      await ended;
    });

    after(() => client.destroy());

    function begin(options: Partial<SqsIntakeOptions> = {}): SqsIntake {
      const intake: SqsIntake = new SqsIntake({
        client,
        queueUrl: queue.url,
        intake: memory,
        tellRefused: async (event, { reason }) => {
          if (deaf) throw new Error('nobody listens');
          told.push(`${nameOf(event).subject} ${reason}`);
        },
        metrics: intakeMetrics(registry),
        queueMetrics: sqsIntakeMetrics(registry, () => intake.inHand),
        logger: silentLogger,
        wait: 1,
        grace: 0,
        ...options,
      });
      stopping = new AbortController();
      ended = intake.start(stopping.signal);
      return intake;
    }

    const sendAll = (events: readonly object[]) =>
      Promise.all(events.map((each) => queue.send({ body: JSON.stringify(each) })));
    const gone = () => until('the queue is empty', async () => Object.values(await depth(queue)).every((n) => n === 0));
    const metric = async (name: string, labels: Record<string, string> = {}) => {
      const { values } = (await registry.getSingleMetric(name)!.get()) as { values: MetricValue[] };
      return values.find((value) => Object.entries(labels).every(([key, text]) => value.labels[key] === text))?.value;
    };

    const wasBusy = async () => ((await metric('mercato_intake_events_total', { outcome: 'Busy' })) ?? 0) > 0;

    const seed = Date.now();
    it(`takes orders raw and in the envelope of EventBridge, each delivered twice and in any order, once (seed ${seed})`, async () => {
      const ids = Array.from({ length: 30 }, (_, i) => `order-${i}`);
      const orders = ids.map((id, i) => (i % 2 === 0 ? placed(id) : inEnvelope(placed(id))));
      const cancels = ids.filter((_, i) => i % 3 === 0).map(cancelRequested);
      const twice = [...orders, ...cancels].flatMap((each) => [each, each]);
      await sendAll(shuffled(twice, seed));
      begin();
      await gone();
      expect(memory.begun.toSorted()).to.deep.equal(ids.toSorted());
      expect([...memory.cancelled].toSorted()).to.deep.equal(ids.filter((_, i) => i % 3 === 0).toSorted());
      expect(await depth(deadLetters)).to.deep.equal({ visible: 0, inFlight: 0 });
      expect(await metric('mercato_intake_events_total', { outcome: 'Begun' })).to.equal(30);
      expect(await metric('mercato_intake_events_total', { outcome: 'Known' })).to.equal(30);
    });

    it('leaves to others what it has no room for, and still hears of cancels then', async () => {
      memory.room = 3;
      const ids = Array.from({ length: 20 }, (_, i) => `order-${i}`);
      await sendAll(ids.map((id) => placed(id)));
      // Time stands still, since one a second is asked for all the same, and then hidden for a while.
      const began = systemClock.monotonic();
      let isStill = true;
      begin({ clock: { ...systemClock, monotonic: () => (isStill ? 0 : systemClock.monotonic() - began) } });
      await until('there is no room left', () => memory.begun.length === 3);
      const { visible } = await depth(queue);
      expect(visible, 'left in the queue').to.be.at.least(15);
      isStill = false;
      memory.room = 1_000;
      await gone();
      expect(memory.begun.toSorted()).to.deep.equal(ids.toSorted());
      memory.room = 0;
      await sendAll([cancelRequested('order-7')]);
      await gone();
      expect([...memory.cancelled]).to.deep.equal(['order-7']);
    });

    it('puts aside what can never be taken, with the reason and as it was, and nothing else', async () => {
      memory.gate = ({ orderId }) => {
        if (orderId === 'order-2') throw new IntakeRefused('SagaUnknown', 'nobody knows the saga checkout');
      };
      const old = new Date(Date.now() - 36 * 86_400_000).toISOString();
      const poison: readonly [string, string][] = [
        ['{"half', 'NotJson'],
        [JSON.stringify({ hello: 'world' }), 'EventInvalid'],
        [JSON.stringify({ ...placed('order-3'), data: { paymentToken: PAYMENT_TOKEN } }), 'InputInvalid'],
        [JSON.stringify(placed('order-2')), 'SagaUnknown'],
        [JSON.stringify(placed('order-4', old)), 'TooOld'],
      ];
      await Promise.all(poison.map(([body]) => queue.send({ body })));
      await sendAll([placed('order-1'), event('order-1', 'dev.mercato.order.completed', {})]);
      begin();
      await gone();
      expect(memory.begun).to.deep.equal(['order-1']);
      expect(await metric('mercato_intake_events_total', { outcome: 'Ignored' })).to.equal(1);
      expect(await metric('mercato_intake_events_total', { outcome: 'Refused' })).to.equal(5);
      const letters = await receiveAll(deadLetters, poison.length);
      expect(new Map(letters.map(({ body, attributes }) => [body, attributes[REASON]]))).to.deep.equal(new Map(poison));
      for (const { attributes } of letters) expect(attributes[MESSAGE]).to.not.contain(PAYMENT_TOKEN);
      expect(new Set(told)).to.deep.equal(
        new Set([' EventInvalid', 'order-3 InputInvalid', 'order-2 SagaUnknown', 'order-4 TooOld']),
      );
    });

    it('puts poison aside only when who waits for its order was told, and takes the rest meanwhile', async () => {
      deaf = true;
      await sendAll([{ ...placed('order-1'), data: {} }, placed('order-2')]);
      begin();
      await until('the rest was taken', () => memory.begun.includes('order-2'));
      await until('it was tried', wasBusy);
      expect(await depth(deadLetters)).to.deep.equal({ visible: 0, inFlight: 0 });
      deaf = false;
      await gone();
      expect(told).to.deep.equal(['order-1 InputInvalid']);
      expect(await depth(deadLetters)).to.deep.equal({ visible: 1, inFlight: 0 });
    });

    if (emulator === 'MiniStack') {
      it('takes what EventBridge itself brings', async () => {
        const bus = new EventBridgeClient((await start()).client);
        const { QueueArn } = await queue.attributes(['QueueArn']);
        const EventPattern = JSON.stringify({ source: ['/mercato/order'], 'detail-type': [ORDER_PLACED] });
        await bus.send(new PutRuleCommand({ Name: 'to-intake', EventPattern }));
        await bus.send(new PutTargetsCommand({ Rule: 'to-intake', Targets: [{ Id: 'intake', Arn: QueueArn }] }));
        const entry = { Source: '/mercato/order', DetailType: ORDER_PLACED, Detail: JSON.stringify(placed('order-1')) };
        await bus.send(new PutEventsCommand({ Entries: [entry] }));
        bus.destroy();
        begin();
        await until('the order was begun', () => memory.begun.length === 1);
        expect(memory.begun).to.deep.equal(['order-1']);
      });
      return; // A second opinion; what takes its time is asked of one.
    }

    it('deletes a message only once the journal has the order', async () => {
      const { promise: durable, resolve: commit } = Promise.withResolvers<void>();
      const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
      memory.gate = async () => {
        ask();
        await durable;
      };
      await sendAll([placed('order-1')]);
      begin();
      await asked;
      expect(await depth(queue)).to.deep.equal({ visible: 0, inFlight: 1 });
      expect(await metric('mercato_intake_messages_in_flight')).to.equal(1);
      commit();
      await gone();
      expect(memory.begun).to.deep.equal(['order-1']);
      // It is in hand until SQS's answer to its deletion is.
      await until('none is in hand', async () => (await metric('mercato_intake_messages_in_flight')) === 0);
    });

    it('keeps a message invisible to others for as long as work on it goes on', async () => {
      const { promise: durable, resolve: commit } = Promise.withResolvers<void>();
      memory.gate = () => durable;
      await sendAll([placed('order-1')]);
      // By a clock ten times as fast it is prolonged soon enough also on a machine that stands still for seconds.
      const clock: Clock = {
        ...systemClock,
        monotonic: () => 10 * systemClock.monotonic(),
        after: (ms, fn) => systemClock.after(ms / 10, fn),
      };
      begin({ visibility: 4, receivers: 1, clock });
      await until('it is in hand', async () => (await depth(queue)).inFlight === 1);
      // Longer than it would stay invisible by itself.
      expect(await queue.receive({ visibility: 1, wait: 5 })).to.deep.equal([]);
      commit();
      await gone();
      expect(memory.begun).to.deep.equal(['order-1']);
    });

    it('leaves what a journal that is away could not take, and takes it when the journal is back', async () => {
      let tries = 0;
      memory.gate = () => {
        if (++tries <= 2) throw new JournalUnavailable('the disk is full');
      };
      await sendAll([placed('order-1')]);
      begin();
      await until('it tried', wasBusy);
      expect(await depth(deadLetters)).to.deep.equal({ visible: 0, inFlight: 0 });
      await gone();
      expect(memory.begun).to.deep.equal(['order-1']);
      expect(tries).to.equal(3);
    });

    it('waits for the order of a cancel, and puts the cancel aside when none has come in an hour', async () => {
      await sendAll([cancelRequested('order-1')]);
      begin({ grace: 5000 });
      await until('it was busy', async () => {
        return ((await metric('mercato_intake_events_total', { outcome: 'Busy' })) ?? 0) >= 2;
      });
      stopping.abort();
      await ended;
      registry.clear();
      begin({ clock: { ...systemClock, wall: () => Date.now() + 3_600_000 } });
      await until('it was put aside', async () => (await depth(deadLetters)).visible === 1);
      const [letter] = await receiveAll(deadLetters, 1);
      expect(letter?.attributes[REASON]).to.equal('OrderUnknown');
      await gone();
    });

    it('takes an old order that a redrive has just asked about', async () => {
      const old = new Date(Date.now() - 36 * 86_400_000).toISOString();
      await queue.send({
        body: JSON.stringify(placed('order-1', old)),
        attributes: { [REDRIVEN]: new Date().toISOString() },
      });
      begin();
      await gone();
      expect(memory.begun).to.deep.equal(['order-1']);
    });

    it('gives back at its stop what it could not finish, at once', async () => {
      memory.gate = () => new Promise(() => {});
      await sendAll([placed('order-1')]);
      const intake = begin({ grace: 1500 });
      await until('it is in hand', () => memory.begun.length === 0 && intake.inHand === 1);
      stopping.abort();
      await ended;
      expect(await queue.receive({ visibility: 30, wait: 5 })).to.have.length(1);
    });

    it('refuses a queue that has nowhere to put poison, and one that keeps order', async () => {
      const bare = await testQueue(client, 'bare');
      for (const queueUrl of [bare.url, `${queue.url}.fifo`]) {
        begin({ queueUrl });
        const error = await ended.catch((thrown: unknown) => thrown);
        expect(error).to.be.instanceOf(QueueUnfit);
        ended = Promise.resolve();
        registry.clear();
      }
    });
  });
}

interface MetricValue {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** All of them, in an order of chance that a seed gives again. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const rest = [...items];
  for (let i = rest.length - 1; i > 0; i--) {
    const j = Math.floor(fraction(`${seed}/${i}`) * (i + 1));
    [rest[i], rest[j]] = [rest[j]!, rest[i]!];
  }
  return rest;
}

async function receiveAll(queue: Queue, count: number) {
  const all = [];
  while (all.length < count) {
    const some = await queue.receive({ visibility: 30, wait: 2 });
    if (some.length === 0) break;
    all.push(...some);
  }
  return all;
}
