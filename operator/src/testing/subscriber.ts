import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AnnouncedEvent } from '../announce/event.ts';

/** Somebody who is told what becomes of runs, over real HTTP. */
export class Subscriber {
  /** All that it took, in order. */
  readonly events: AnnouncedEvent[] = [];
  /** Answers of the deliveries to come, in order; empty: it takes them. */
  readonly answers: number[] = [];
  /** The Authorization headers that came. */
  readonly authorizations = new Set<string>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port of the loopback. */
  static async start(): Promise<Subscriber> {
    const server = createServer();
    const subscriber = new Subscriber(server);
    server.on('request', async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      subscriber.authorizations.add(String(request.headers.authorization));
      const status = subscriber.answers.shift() ?? 200;
      if (status === 200) subscriber.events.push(...(JSON.parse(Buffer.concat(chunks).toString()) as AnnouncedEvent[]));
      response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return subscriber;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/events`;
  }

  /** What it was told of an order, as `held`, `succeeded`; repetitions left out. */
  toldOf(orderId: string): string[] {
    const told = new Map(
      this.events
        .filter(({ subject }) => subject === orderId)
        .map(({ id, type }) => [id, type.split('.').at(-1) ?? '']),
    );
    return [...told.values()];
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
