import { GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';
import type { Queue } from './sqs.ts';

/** A queue that is not as it must be. The message says what to change. */
export class QueueUnfit extends Error {
  override readonly name = 'QueueUnfit';
}

/** Message attributes of a dead letter: why it was put aside, for machines and for people. */
export const REASON = 'mercato-reason';
export const MESSAGE = 'mercato-message';

/**
 * Where a queue's redrive policy puts what nobody could deal with: the queue says it, so that there is one place to say it.
 *
 * @throws QueueUnfit for a queue without one, or one that puts good messages aside too soon; else what the SDK does
 */
export async function deadLetterUrl(client: SQSClient, queue: Queue): Promise<string> {
  const { RedrivePolicy } = await queue.attributes(['RedrivePolicy']);
  const policy = parsed(RedrivePolicy);
  if (policy === undefined) {
    throw new QueueUnfit(
      `the queue ${queue.url} has no dead-letter queue, so that a message which nobody can read would come for ever: give it a RedrivePolicy with a deadLetterTargetArn`,
    );
  }
  // arn:aws:sqs:<region>:<account>:<name>
  const [, , , , account, name] = policy.deadLetterTargetArn.split(':');
  const { QueueUrl } = await client.send(
    new GetQueueUrlCommand({ QueueName: name, ...(account ? { QueueOwnerAWSAccountId: account } : {}) }),
  );
  if (QueueUrl === undefined) throw new QueueUnfit(`the dead-letter queue of ${queue.url} has no URL`);
  return QueueUrl;
}

function parsed(text: string | undefined): { readonly deadLetterTargetArn: string } | undefined {
  if (text === undefined || text === '') return undefined;
  const policy = JSON.parse(text) as { deadLetterTargetArn?: unknown };
  return typeof policy.deadLetterTargetArn === 'string'
    ? { deadLetterTargetArn: policy.deadLetterTargetArn }
    : undefined;
}
