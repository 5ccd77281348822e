import type { SQSClient } from '@aws-sdk/client-sqs';
import { type Milliseconds, seconds } from '../units.ts';
import { type ReceivedMessage, receive } from './sqs.ts';

/** Where messages come from. */
export interface QueueAddress {
  readonly url: string;
  /** How long one receive waits for a message; a stop may take as long. 0: asks again and again, for tests. @default 5 s */
  readonly wait?: Milliseconds;
}

export interface ReceiverOptions {
  readonly client: SQSClient;
  readonly queue: QueueAddress;
  /** How long a message that was received is nobody else's. Seconds. */
  readonly visibility: number;
  /** Deals with a message, and must not reject. What it does not delete comes again. */
  readonly handle: (message: ReceivedMessage) => Promise<void>;
  readonly onError: (error: unknown) => void;
  /** Receives at once. @default 2 */
  readonly receivers?: number;
  /** Messages in hand, at which nothing more is received. @default 500 */
  readonly maxInFlight?: number;
}

const RETRY_MS = 1000;
const SHORT_POLL_MS = 10;

/** Receives a queue's messages until it is stopped, and has each dealt with. */
export class Receiver {
  readonly #o: ReceiverOptions;
  readonly #stopping = new AbortController();
  readonly #cut = new AbortController();
  readonly #handling = new Set<Promise<void>>();
  #loops: Promise<void>[] = [];
  #restUntil = 0;

  constructor(options: ReceiverOptions) {
    this.#o = options;
  }

  start(): void {
    this.#loops = Array.from({ length: this.#o.receivers ?? 2 }, () => this.#receive());
  }

  /** Receives no more, and ends what is under way; what takes longer than `grace` comes again. */
  async stop(grace: Milliseconds = seconds(10)): Promise<void> {
    this.#stopping.abort();
    const timer = setTimeout(() => this.#cut.abort(), grace);
    await Promise.all(this.#loops);
    clearTimeout(timer);
    const late = Promise.withResolvers<void>();
    const end = setTimeout(late.resolve, this.#cut.signal.aborted ? 0 : grace);
    await Promise.race([Promise.all(this.#handling), late.promise]);
    clearTimeout(end);
  }

  /** Receives nothing for so long: what would come could not be dealt with either, and use up its receives. */
  rest(span: Milliseconds): void {
    this.#restUntil = Math.max(this.#restUntil, performance.now() + span);
  }

  async #receive(): Promise<void> {
    const { client, queue, visibility, onError, maxInFlight = 500 } = this.#o;
    const wait = queue.wait ?? seconds(5);
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const received = await receive(client, queue.url, {
          visibility,
          wait: Math.ceil(wait / 1000),
          signal: this.#cut.signal,
        });
        for (const message of received) this.#begin(message);
        if (received.length === 0 && wait === 0) await this.#pause(SHORT_POLL_MS);
      } catch (error) {
        if (this.#cut.signal.aborted) return;
        onError(error);
        await this.#pause(RETRY_MS);
      }
      while (this.#handling.size >= maxInFlight && !signal.aborted) await Promise.race(this.#handling);
      while (performance.now() < this.#restUntil && !signal.aborted)
        await this.#pause(this.#restUntil - performance.now());
    }
  }

  #begin(message: ReceivedMessage): void {
    const handling = this.#o.handle(message).finally(() => this.#handling.delete(handling));
    this.#handling.add(handling);
  }

  #pause(delay: number): Promise<void> {
    return new Promise((resolve) => {
      const { signal } = this.#stopping;
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, delay);
      signal.addEventListener('abort', end, { once: true });
      if (signal.aborted) end();
    });
  }
}
