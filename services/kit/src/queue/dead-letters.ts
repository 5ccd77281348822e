import { GetQueueAttributesCommand, GetQueueUrlCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** Message attributes of a dead letter, as the operator's intake writes them: why it was put aside, for machines and for people. */
export const deadLetterReason = 'mercato-reason';
export const deadLetterMessage = 'mercato-message';

/**
 * Where a queue's redrive policy puts what nobody could deal with: the queue says it, so that there is one place to say it. (The operator has its like in
 * operator/src/aws/dead-letters.ts.)
 * @throws Error for a queue without one, that says what to change; else what the SDK does
 */
export async function deadLetterUrl(client: SQSClient, url: string): Promise<string> {
  const asked = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['RedrivePolicy'] });
  const { Attributes } = await client.send(asked);
  const { deadLetterTargetArn } = JSON.parse(Attributes?.RedrivePolicy || '{}') as { deadLetterTargetArn?: string };
  // arn:aws:sqs:<region>:<account>:<name>
  const [, , , , account, name] = deadLetterTargetArn?.split(':') ?? [];
  if (name === undefined)
    throw new Error(
      `the queue ${url} has no dead-letter queue, so that a message which nobody can read would come for ever: give it a RedrivePolicy with a deadLetterTargetArn`,
    );
  const owner = account ? { QueueOwnerAWSAccountId: account } : {};
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: name, ...owner }));
  if (QueueUrl === undefined) throw new Error(`the dead-letter queue of ${url} has no URL`);
  return QueueUrl;
}
