import type { SQSClient } from '@aws-sdk/client-sqs';
import { Receivers } from '../../aws/receivers.ts';
import { Queue } from '../../aws/sqs.ts';
import { testQueue } from '../../aws/testing.ts';
import { systemClock } from '../../runtime/clock.ts';

/** A command as a participant behind a queue gets it. */
export interface QueuedCommand {
  readonly item: Readonly<Record<string, unknown>>;
  readonly attributes: Readonly<Record<string, string>>;
}

/** What it answers: an item of a batch's answer, a text as it is, or nothing. */
export type QueueBehaviour = (command: QueuedCommand) => object | string | undefined | Promise<object | undefined>;

/** A participant behind a real queue that behaves as told and remembers what it got. */
export class QueueParticipant {
  readonly commands: Queue;
  readonly answers: Queue;
  readonly received: QueuedCommand[] = [];
  behave: QueueBehaviour;
  readonly #client: SQSClient;
  readonly #receivers: Receivers;

  private constructor(client: SQSClient, commands: Queue, answers: Queue, behave: QueueBehaviour) {
    this.#client = client;
    this.commands = commands;
    this.answers = answers;
    this.behave = behave;
    this.#receivers = new Receivers({
      queue: commands,
      clock: systemClock,
      receivers: 1,
      wait: 1,
      handle: async ({ body, attributes }) => {
        const command = { item: JSON.parse(body) as Record<string, unknown>, attributes };
        this.received.push(command);
        const answer = await this.behave(command);
        if (answer !== undefined) await this.answer(command, answer);
        return { do: 'Delete' };
      },
      onError: () => {},
    });
  }

  static async start(client: SQSClient, behave: QueueBehaviour): Promise<QueueParticipant> {
    const [commands, answers] = await Promise.all([testQueue(client, 'commands'), testQueue(client, 'answers')]);
    const participant = new QueueParticipant(client, commands, answers, behave);
    participant.#receivers.start();
    return participant;
  }

  /** Sends an answer where the command asked for it, whenever that is. */
  async answer({ attributes }: QueuedCommand, answer: object | string): Promise<void> {
    const { 'mercato-reply-to': url = '', 'mercato-correlation': correlation = '' } = attributes;
    const body = typeof answer === 'string' ? answer : JSON.stringify(answer);
    await new Queue(this.#client, url).send({ body, attributes: { 'mercato-correlation': correlation } });
  }

  close(): Promise<void> {
    return this.#receivers.stop(0);
  }
}
