import { Queue, type SqsClientOptions, sqsClient } from '../aws/sqs.ts';
import { AnswerQueue, type AnswerQueueOptions } from './answer-queue.ts';
import type { CheckedQueueConfig } from './config.ts';

/** The two queues of a participant, from here. Apart from its lane, since the AWS SDK takes 27 MB and most operators use none. */
export class SqsLink {
  readonly commands: Queue;
  readonly answers: AnswerQueue;
  readonly #close: () => void;

  constructor(
    { queue, maxInFlight }: Pick<CheckedQueueConfig, 'queue' | 'maxInFlight'>,
    options: Omit<AnswerQueueOptions, 'client' | 'baseUrl'> & { readonly sqs?: SqsClientOptions },
  ) {
    const { sqs, ...rest } = options;
    const client = sqsClient({ connections: Math.min(32, 4 + Math.ceil(maxInFlight / 10)), ...sqs });
    this.commands = new Queue(client, queue.url);
    this.answers = new AnswerQueue({ ...rest, client, baseUrl: queue.answersUrl });
    this.#close = () => client.destroy();
  }

  async close(): Promise<void> {
    await this.answers.close();
    this.#close();
  }
}
