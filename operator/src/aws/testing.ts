import { randomBytes } from 'node:crypto';
import { CreateQueueCommand, type SQSClient } from '@aws-sdk/client-sqs';
import { Queue } from './sqs.ts';

/** Makes a queue of a name that no other test has. */
export async function testQueue(
  client: SQSClient,
  name: string,
  attributes: Readonly<Record<string, string>> = {},
): Promise<Queue> {
  const QueueName = `${name}-${randomBytes(5).toString('hex')}`;
  const { QueueUrl } = await client.send(new CreateQueueCommand({ QueueName, Attributes: { ...attributes } }));
  return new Queue(client, QueueUrl!);
}

/** Makes a queue with a dead-letter queue. */
export async function testQueueWithDeadLetters(
  client: SQSClient,
  name: string,
): Promise<{ queue: Queue; deadLetters: Queue }> {
  const deadLetters = await testQueue(client, `${name}-dead-letter`);
  const { QueueArn } = await deadLetters.attributes(['QueueArn']);
  const RedrivePolicy = JSON.stringify({ deadLetterTargetArn: QueueArn, maxReceiveCount: 1000 });
  return { queue: await testQueue(client, name, { RedrivePolicy }), deadLetters };
}

/** How many messages a queue holds: those that can be received, and those in somebody's hand. */
export async function depth(queue: Queue): Promise<{ visible: number; inFlight: number }> {
  const counts = await queue.attributes(['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible']);
  return {
    visible: Number(counts.ApproximateNumberOfMessages),
    inFlight: Number(counts.ApproximateNumberOfMessagesNotVisible),
  };
}
