import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { randomStream } from '@mercato/demo/play/random.ts';
import type { Queue } from '@mercato/operator/aws/sqs.ts';

/** How long a message may be under way in a queue that is busy, in milliseconds. */
const MOST_LATE_MS = 1_500;

/**
 * Takes the order service's events over HTTP and puts each into a queue twice, at moments of their own, so that they come doubled and in any order: what SQS
 * says of its standard queues, and rarely shows.
 */
export class QueueDoor {
  /** Messages sent. */
  sent = 0;
  readonly #server: Server;
  readonly #queue: Queue;
  readonly #random: () => number;
  readonly #late = new Set<Promise<void>>();
  #failure: unknown;

  private constructor(queue: Queue, seed: string) {
    this.#queue = queue;
    this.#random = randomStream(`${seed}\nqueue`);
    this.#server = createServer(async (incoming, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
      const events = JSON.parse(Buffer.concat(chunks).toString()) as readonly unknown[];
      for (const event of events) for (const _ of ['once', 'again']) this.#post(JSON.stringify(event));
      response.writeHead(this.#failure === undefined ? 204 : 500).end();
    });
  }

  /** Listens on a free port of the loopback. */
  static async before(queue: Queue, seed: string): Promise<QueueDoor> {
    const door = new QueueDoor(queue, seed);
    await new Promise<void>((resolve) => door.#server.listen(0, '127.0.0.1', resolve));
    return door;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Sends what is under way. @throws what kept a message from the queue */
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    await Promise.all(this.#late);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #post(body: string): void {
    const under = pause(this.#random() * MOST_LATE_MS)
      .then(() => this.#queue.send({ body }))
      .then((outcome) => {
        if (outcome !== 'Done') throw new Error(`a message was not sent: ${JSON.stringify(outcome)}`);
        this.sent += 1;
      })
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#late.delete(under));
    this.#late.add(under);
  }
}
