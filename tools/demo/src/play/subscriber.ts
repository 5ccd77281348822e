import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { BodyRefused, readEvents } from '@mercato/operator/intake/body.ts';
import { CallerRefused, clusterKeys, TokenVerifier } from '@mercato/operator/intake/tokens.ts';
import type { Transport } from '@mercato/operator/kube/transport.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import type { Announcement } from '../conservation.ts';

/** Whom the order service's tokens for subscribers are for: the default of its chart. */
export const ANNOUNCEMENTS = 'order-announcements';

/** The types that customers are told (docs/reference/order.md), said here again, since the order service's own are under test. */
const PREFIX = 'dev.mercato.order.';
const TYPES: readonly string[] = ['held', 'completed', 'failed', 'cancelled'] satisfies Announcement['type'][];

/** Where a subscriber listens, and whom it believes. */
export interface SubscriberOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  /** Of the tokens that it takes, as `system:serviceaccount:mercato-shop:order`. */
  readonly announcer: string;
  /** To the API server, whose keys tokens are verified by. */
  readonly transport: Transport;
  /** Told what was refused, and why. */
  readonly say: (line: string) => void;
}

/** Somebody who is told what customers are told of their orders, over HTTP, and keeps all that was delivered. */
export class AnnouncementSubscriber {
  readonly #announced: Announcement[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens. @throws when the port is taken */
  static async listen({ host, port, announcer, transport, say }: SubscriberOptions): Promise<AnnouncementSubscriber> {
    const tokens = new TokenVerifier({
      audience: ANNOUNCEMENTS,
      subjects: [announcer],
      source: clusterKeys(transport),
      clock: systemClock,
      onError: (error) => say(`the keys of tokens cannot be read: ${(error as Error).message}`),
    });
    const server = createServer();
    const subscriber = new AnnouncementSubscriber(server);
    server.on('request', async (request, response) => {
      try {
        await tokens.check(request.headers.authorization);
        await subscriber.#take(request);
        response.writeHead(204).end();
      } catch (error) {
        const isKnown = error instanceof CallerRefused || error instanceof BodyRefused;
        // Whoever sends what makes no sense goes on sending it, and the check finds what is missing.
        say(`refused an announcement: ${(error as Error).message}`);
        response.writeHead(isKnown ? error.status : 400).end((error as Error).message);
      }
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    return subscriber;
  }

  /** Where it listens. */
  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** All that it took, in order, repetitions too. */
  get announced(): readonly Announcement[] {
    return [...this.#announced];
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** All of a delivery, or none. */
  async #take(request: IncomingMessage): Promise<void> {
    const events = (await readEvents(request)).map(announcementIn);
    this.#announced.push(...events);
  }
}

/** Reads an event of the order service's. Pure. @throws Error that names what is wrong with it */
export function announcementIn(event: unknown): Announcement {
  const { specversion, source, type, subject, sequence, mercatonamespace, mercatosaga, data } = (event ??
    {}) as Readonly<Record<string, unknown>>;
  const told = String(type).slice(PREFIX.length);
  if (specversion !== '1.0' || source !== '/mercato/order') throw new Error(`no event of the order service: ${source}`);
  if (!String(type).startsWith(PREFIX) || !TYPES.includes(told)) throw new Error(`${type} is not for customers`);
  if (typeof subject !== 'string' || !/^[1-9][0-9]*$/.test(String(sequence)))
    throw new Error(`${type} of ${subject}: the sequence ${sequence} is no number`);
  const { customer, reason } = (data ?? {}) as { customer?: unknown; reason?: unknown };
  if (typeof customer !== 'string') throw new Error(`${type} of ${subject} names no customer`);
  return {
    key: `${mercatonamespace}/${mercatosaga}/${subject}`,
    sequence: Number(sequence),
    type: told as Announcement['type'],
    customer,
    ...(typeof reason === 'string' ? { reason } : {}),
  };
}
