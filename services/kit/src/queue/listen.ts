import { CommandConsumer, type CommandConsumerOptions } from './consumer.ts';
import { sqsClient } from './sqs.ts';

/** Carries out the commands of a queue until it is stopped, with a client of its own where none is given. */
export function listenTo(
  options: Omit<CommandConsumerOptions, 'client'> & Partial<Pick<CommandConsumerOptions, 'client'>>,
): Pick<CommandConsumer, 'stop'> {
  const client = options.client ?? sqsClient(options.queue.sqs);
  const consumer = new CommandConsumer({ ...options, client });
  consumer.start();
  return {
    async stop(grace) {
      await consumer.stop(grace);
      client.destroy();
    },
  };
}
