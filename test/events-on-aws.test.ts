import {
  CreateEventBusCommand,
  EventBridgeClient,
  PutRuleCommand,
  PutTargetsCommand,
} from '@aws-sdk/client-eventbridge';
import { CreateTopicCommand, SNSClient, SubscribeCommand } from '@aws-sdk/client-sns';
import {
  CreateQueueCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs';
import type { Emulator } from '@mercato/aws-emulators';
import { sharedMiniStack } from '@mercato/aws-emulators/testing.ts';
import { Program } from '@mercato/kit/testing/program.ts';
import { eventOf } from '@mercato/operator/announce/event.ts';
import { EventBusSubscriber } from '@mercato/operator/announce/event-bus.ts';
import { openLetter, readLetter } from '@mercato/operator/intake/sqs-message.ts';
import type { Announcement } from '@mercato/operator/journals/worker-journal.ts';
import { DynamoPlace } from '@mercato/order/testing/dynamo.ts';
import { request } from '@mercato/order/testing/samples.ts';
import { expect } from 'chai';

const MAIN = new URL('../services/order/src/main.ts', import.meta.url);
const SAGA_TYPES = ['held', 'resumed', 'succeeded', 'compensated', 'aborted', 'refused'].map(
  (end) => `dev.mercato.saga.${end}`,
);
const INTAKE_TYPES = ['dev.mercato.order.placed', 'dev.mercato.order.cancel-requested'];

const PATIENCE_MS = 60_000;

/** The order service as a process, its bus, queues, topic and table in an emulator; the operator's own code at both of its ends. */
describe('orders and their sagas over a bus, queues and a topic', function () {
  this.timeout(180_000);
  const bus = `mercato-${process.pid}`;
  let aws: Emulator;
  let sqs: SQSClient;
  let place: DynamoPlace;
  let operator: EventBusSubscriber;
  let service: Program;
  /** What intake reads, what customers' news come to, what the order service reads. */
  let intake: string;
  let news: string;
  let heard: string;

  async function queue(name: string): Promise<{ url: string; arn: string }> {
    const made = async (QueueName: string, Attributes: Record<string, string> = {}) => {
      const { QueueUrl = '' } = await sqs.send(new CreateQueueCommand({ QueueName, Attributes }));
      const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] });
      return { url: QueueUrl, arn: (await sqs.send(asked)).Attributes?.QueueArn ?? '' };
    };
    const deadLetters = await made(`${name}-${bus}-dead-letter`);
    return made(`${name}-${bus}`, {
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadLetters.arn, maxReceiveCount: 1000 }),
    });
  }

  before(async () => {
    aws = await sharedMiniStack();
    sqs = new SQSClient(aws.client);
    const events = new EventBridgeClient(aws.client);
    const sns = new SNSClient(aws.client);
    place = await DynamoPlace.create(aws.client);
    const [toIntake, toOrder, toCustomers] = [await queue('orders'), await queue('order-events'), await queue('news')];
    [intake, heard, news] = [toIntake.url, toOrder.url, toCustomers.url];
    await events.send(new CreateEventBusCommand({ Name: bus }));
    for (const [Name, types, { arn }] of [
      ['to-orders', INTAKE_TYPES, toIntake],
      ['to-order-events', SAGA_TYPES, toOrder],
    ] as const) {
      const EventPattern = JSON.stringify({ 'detail-type': types });
      await events.send(new PutRuleCommand({ Name, EventBusName: bus, EventPattern }));
      await events.send(new PutTargetsCommand({ Rule: Name, EventBusName: bus, Targets: [{ Id: 'queue', Arn: arn }] }));
    }
    const { TopicArn = '' } = await sns.send(new CreateTopicCommand({ Name: `order-announcements-${process.pid}` }));
    const Attributes = { RawMessageDelivery: 'true' };
    await sns.send(new SubscribeCommand({ TopicArn, Protocol: 'sqs', Endpoint: toCustomers.arn, Attributes }));
    operator = new EventBusSubscriber({ bus, config: aws.client });
    service = await Program.start(MAIN, {
      ...aws.environment,
      PORT: '0',
      MERCATO_INSECURE_NO_AUTH: 'true',
      MERCATO_NAMESPACE: 'shop',
      MERCATO_ORDERS: 'dynamodb',
      MERCATO_ORDERS_TABLE: place.table,
      MERCATO_EVENT_BUS: bus,
      MERCATO_EVENT_QUEUE: heard,
      MERCATO_ANNOUNCEMENTS_TOPIC: TopicArn,
    });
    events.destroy();
    sns.destroy();
  });
  after(async () => {
    await service?.end('SIGTERM');
    await operator.close();
    place.close();
    sqs.destroy();
  });

  async function placed(key: string): Promise<string> {
    const response = await fetch(`${service.url}/orders`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body: JSON.stringify(request()),
    });
    expect(response.status).to.equal(201);
    return ((await response.json()) as { id: string }).id;
  }
  const stateOf = async (id: string) =>
    ((await (await fetch(`${service.url}/orders/${id}`)).json()) as { state: string }).state;

  /** Receives and deletes until this many came. */
  async function received(url: string, count: number): Promise<Message[]> {
    const all: Message[] = [];
    for (const deadline = Date.now() + PATIENCE_MS; all.length < count; ) {
      if (Date.now() > deadline) throw new Error(`${all.length} of ${count} messages came: ${service.output}`);
      const { Messages = [] } = await sqs.send(
        new ReceiveMessageCommand({
          QueueUrl: url,
          MaxNumberOfMessages: 10,
          WaitTimeSeconds: 1,
          MessageAttributeNames: ['All'],
        }),
      );
      for (const { ReceiptHandle } of Messages)
        await sqs.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle }));
      all.push(...Messages);
    }
    return all;
  }
  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + PATIENCE_MS; !(await holds()); ) {
      if (Date.now() > deadline) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}: ${service.output}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  const empty = async (url: string) => {
    const AttributeNames = ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'] as const;
    const asked = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [...AttributeNames] });
    const { Attributes = {} } = await sqs.send(asked);
    return AttributeNames.every((name) => Attributes[name] === '0');
  };
  const told = (orderId: string, said: Pick<Announcement, 'sequence' | 'type' | 'reason' | 'message'>) =>
    eventOf({ id: { namespace: 'shop', saga: 'checkout', orderId }, at: Date.now(), ...said });

  it('brings an order, and its cancel, to the operator as they were written', async () => {
    const id = await placed('one');
    await fetch(`${service.url}/orders/${id}/cancel`, { method: 'POST' });
    const letters = await received(intake, 2);
    const asked = letters.map(({ Body = '' }) => readLetter(openLetter(Body), undefined, Date.now()));
    const run = { namespace: 'shop', saga: 'checkout', orderId: id };
    const order = asked.find((each) => each.type === 'Placed');
    expect(order).to.have.nested.property('order.id').which.deep.equals(run);
    expect(order).to.have.nested.property('order.input').which.deep.equals(request());
    expect(asked.find((each) => each.type === 'Cancel')).to.deep.include({ id: run });
  });

  it('tells customers why, once, whatever comes twice and in what order', async () => {
    const [held, failed] = [await placed('two'), await placed('three')];
    await received(intake, 2);
    const first = told(held, { sequence: 1, type: 'held', reason: 'StepFailed', message: 'pay: 503 of vault-3' });
    const end = told(failed, { sequence: 3, type: 'compensated', reason: 'CardDeclined', message: 'by acquirer 7' });
    const stale = told(failed, { sequence: 1, type: 'held', reason: 'StepFailed', message: 'pay: 503' });
    await operator.send([first, end]);
    await until('both are known', async () => (await stateOf(held)) === 'Held' && (await stateOf(failed)) === 'Failed');
    // The bus again, and SQS itself once more.
    await operator.send([end, stale, first]);
    await sqs.send(new SendMessageCommand({ QueueUrl: heard, MessageBody: JSON.stringify(first) }));
    await until('all is read', () => empty(heard));
    // What is said afterwards comes after what would have been said of those.
    await operator.send([told(held, { sequence: 3, type: 'succeeded' })]);

    const messages = await received(news, 3);
    const said = messages.map(({ Body = '', MessageAttributes: attributes = {} }) => {
      const { subject, data } = JSON.parse(Body) as { subject: string; data: { reason?: string; message?: string } };
      return [attributes['type']?.StringValue, attributes['state']?.StringValue, subject, data.reason, data.message];
    });
    const words = 'Your bank declined the payment. You have not been charged.';
    expect(said).to.deep.include(['dev.mercato.order.failed', 'Failed', failed, 'CardDeclined', words]);
    expect(said.map(([type, state, subject]) => `${type} ${state} ${subject}`).sort()).to.deep.equal(
      [
        `dev.mercato.order.completed Completed ${held}`,
        `dev.mercato.order.failed Failed ${failed}`,
        `dev.mercato.order.held Held ${held}`,
      ].sort(),
    );
    expect(await empty(news), 'nothing else').to.equal(true);
    expect(said.find(([type]) => type === 'dev.mercato.order.held')?.[4]).to.include('a look from our staff');
    expect(JSON.stringify(messages), 'no token, address or words of ours').not.to.match(
      /tok_|High Street|pay: 503|vault-3|acquirer/,
    );
    expect(await stateOf(failed)).to.equal('Failed');
  });

  it('says how far each way is behind, under its own name', async () => {
    const page = await (await fetch(`${service.url}/metrics`)).text();
    expect(page).to.contain(`mercato_outbox_backlog{subscriber="eventbridge:${bus}",service="order"} 0`);
    expect(page).to.match(/mercato_queue_events_total\{outcome="taken",service="order"\} [5-9]/);
    expect(page).to.match(/mercato_inbox_events_total\{outcome="duplicate",service="order"\} [1-9]/);
  });
});
