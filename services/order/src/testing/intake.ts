import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { CloudEvent } from '@mercato/kit';

/** Who is told of events, as a server of a test's: remembers what it was sent, and answers when and how the test wants. */
export class Intake {
  /** All that it was sent, repeats too, in the order in which it came. */
  readonly got: CloudEvent[] = [];
  /** @default 204 at once */
  answer: (response: ServerResponse) => void = (response) => void response.writeHead(204).end();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
      this.got.push(...(JSON.parse(Buffer.concat(chunks).toString()) as CloudEvent[]));
      this.answer(response);
    });
  }

  static async start(): Promise<Intake> {
    const intake = new Intake();
    await new Promise<void>((resolve) => intake.#server.listen(0, '127.0.0.1', resolve));
    return intake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
  }

  /** What it was sent, each event once, as its type's last word and its order: `placed o01...`. */
  get known(): string[] {
    const byId = new Map(this.got.map((event) => [event.id, event]));
    return [...byId.values()].map(({ type, subject }) => `${type.split('.').at(-1)} ${subject}`);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
