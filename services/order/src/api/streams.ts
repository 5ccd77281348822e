import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Cancel,
  type Clock,
  every,
  type Instant,
  type Milliseconds,
  minutes,
  ProblemError,
  problem,
  type RawRoute,
  seconds,
  type TokenCheck,
} from '@mercato/kit';
import { spread } from '@mercato/kit/http/retry-after.ts';
import { send } from '@mercato/kit/http/saga.ts';
import { Type } from '@sinclair/typebox';
import { type OrderId, parseOrderId } from '../domain/ids.ts';
import { ended, type Order } from '../domain/order.ts';
import type { Orders } from '../ports/orders.ts';
import { unavailable } from './problems.ts';
import { notFound } from './routes.ts';
import { momentOf } from './views.ts';
import { customerOf, isOf, OfCustomer } from './whose.ts';

/** What streaming needs. */
export interface StreamsOptions {
  readonly orders: Pick<Orders, 'find'>;
  readonly tokens: TokenCheck;
  readonly clock: Clock;
  /** Streams that are open at once; more get 429. @default 1000 */
  readonly maxStreams?: number;
  /** Of those, for orders of one customer: none may take the places of all. @default 20 */
  readonly maxPerCustomer?: number;
  /** How often a stream that has nothing to say shows that it lives. @default 15 s */
  readonly heartbeat?: Milliseconds;
  /** How often orders are looked up that are watched, for what another process changed. @default 5 s */
  readonly lookUp?: Milliseconds;
  /** How long a stream lasts; its client comes again, with a token that is still good. @default 15 min */
  readonly lifetime?: Milliseconds;
  readonly onError: (error: unknown) => void;
}

/** A client that takes nothing is cut off when so much waits for it. */
const MAX_BUFFERED_BYTES = 64 * 1024;

/** How soon a client is to come again when its stream breaks, and when there was no room for it. */
const RETRY_MS = 2_000;
const NO_ROOM_SECONDS = 5;
/** Of a customer's orders at once: a few windows of each of a few. */
const MAX_PER_CUSTOMER = 20;

interface Stream {
  readonly id: OrderId;
  readonly response: ServerResponse;
  readonly until: Instant;
  /** Known once the order was read. */
  customer?: string;
  /** The version of the last moment that was sent. */
  sent: number;
}

/** The streams of server-sent events that are open: each tells how one order goes on, until it is over. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Map<OrderId, Set<Stream>>();
  readonly #perCustomer = new Map<string, number>();
  readonly #stops: Cancel[];
  #count = 0;
  #isClosed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    const { clock, heartbeat = seconds(15), lookUp = seconds(5), onError } = options;
    this.#stops = [
      every(clock, heartbeat, async () => this.#beat(), onError),
      every(clock, lookUp, () => this.#lookUpAll(), onError),
    ];
  }

  /** How many streams are open. */
  get count(): number {
    return this.#count;
  }

  /** Something of this order may have changed: those who watch it are told. */
  changed(id: OrderId): void {
    if (this.#open.has(id)) this.#lookUp(id).catch(this.#options.onError);
  }

  /** Ends all streams, and takes no more. Their clients come again. */
  close(): void {
    this.#isClosed = true;
    for (const stop of this.#stops) stop();
    for (const stream of this.#all()) stream.response.end();
  }

  /** `GET /orders/{id}/events`. */
  route(): RawRoute {
    return {
      method: 'get',
      path: '/orders/{id}/events',
      tag: 'orders',
      summary:
        'How an order goes on, as server-sent events, from its beginning or from Last-Event-ID, until it is over',
      headers: Type.Object({
        'Last-Event-ID': Type.Optional(
          Type.String({ pattern: '^[0-9]{1,15}$', description: 'id of the last event seen' }),
        ),
      }),
      query: OfCustomer,
      produces: 'text/event-stream',
      response: Type.String({ description: 'events `state`: id, and data {id, state, at, reason?, message?}' }),
      others: {
        204: { description: 'the order is over and all of it was seen: do not come again' },
        400: 'Last-Event-ID is no id of an event, or customer is malformed',
        401: 'no good token',
        403: 'the caller may not see orders',
        404: 'there is no such order, or none of that customer',
        429: "too many streams are open, of all or of the order's customer: again after Retry-After seconds",
        503: 'the store cannot be used now, or the service is stopping',
      },
      handle: (request, response, { id = '' }) => this.#handle(request, response, id),
    };
  }

  async #handle(request: IncomingMessage, response: ServerResponse, text: string): Promise<void> {
    const { orders, tokens, clock, maxStreams = 1000, lifetime = minutes(15) } = this.#options;
    await tokens.check(request.headers.authorization);
    const sent = lastEventId(request);
    const whose = customerOf(request.url ?? '');
    const id = parseOrderId(text);
    if (id === undefined) throw notFound(text);
    // It left while its token was looked at: nothing would ever say so again, and its place would be gone for good.
    if (response.destroyed) return;
    if (this.#isClosed) throw new ProblemError(503, 'Stopping', 'the service is stopping: come again');
    if (this.#count >= maxStreams) return noRoom(response, `${this.#count} streams are open`);
    const stream: Stream = { id, response, until: (clock.now() + lifetime) as Instant, sent };
    // Watched before it is read, so that no change falls between the two.
    this.#add(stream);
    try {
      const order = await orders.find(id).catch(unavailable);
      if (order === undefined || !isOf(order, whose)) throw notFound(text);
      if (!this.#takePlace(stream, order.terms.customer)) {
        this.#remove(stream);
        return noRoom(response, "as many streams of this customer's orders are open as may be");
      }
      if (ended(order.progress) && sent >= order.progress.moments.at(-1)!.version) {
        this.#remove(stream);
        response.writeHead(204).end();
        return;
      }
      response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
      response.write(`retry: ${RETRY_MS}\n\n`);
      tell(stream, order);
    } catch (error) {
      this.#remove(stream);
      throw error;
    }
  }

  #add(stream: Stream): void {
    const others = this.#open.get(stream.id) ?? new Set();
    this.#open.set(stream.id, others.add(stream));
    this.#count++;
    stream.response.once('close', () => this.#remove(stream));
  }

  /** @returns whether the customer has room for it. One that left meanwhile takes none: nothing would give it back. */
  #takePlace(stream: Stream, customer: string): boolean {
    if (this.#open.get(stream.id)?.has(stream) !== true) return true;
    const open = this.#perCustomer.get(customer) ?? 0;
    if (open >= (this.#options.maxPerCustomer ?? MAX_PER_CUSTOMER)) return false;
    this.#perCustomer.set(customer, open + 1);
    stream.customer = customer;
    return true;
  }

  #remove(stream: Stream): void {
    const others = this.#open.get(stream.id);
    if (others?.delete(stream) !== true) return;
    this.#count--;
    const { customer } = stream;
    if (customer !== undefined) {
      const left = (this.#perCustomer.get(customer) ?? 1) - 1;
      if (left === 0) this.#perCustomer.delete(customer);
      else this.#perCustomer.set(customer, left);
    }
    if (others.size === 0) this.#open.delete(stream.id);
  }

  *#all(): Iterable<Stream> {
    for (const streams of this.#open.values()) yield* streams;
  }

  #beat(): void {
    const now = this.#options.clock.now();
    for (const { response, until } of this.#all()) {
      if (!response.headersSent) continue;
      if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
      else if (now >= until) response.end();
      else response.write(':\n\n');
    }
  }

  async #lookUpAll(): Promise<void> {
    for (const id of [...this.#open.keys()]) await this.#lookUp(id);
  }

  async #lookUp(id: OrderId): Promise<void> {
    const order = await this.#options.orders.find(id);
    if (order === undefined) return;
    for (const stream of this.#open.get(id) ?? []) if (stream.response.headersSent) tell(stream, order);
  }
}

/** Sends what a stream has not been sent, and ends it when there will be no more. */
function tell(stream: Stream, { id, progress }: Order): void {
  const { response } = stream;
  if (response.writableEnded || response.destroyed) return;
  for (const moment of progress.moments) {
    if (moment.version <= stream.sent) continue;
    stream.sent = moment.version;
    response.write(`id: ${moment.version}\nevent: state\ndata: ${JSON.stringify(momentOf(id, moment))}\n\n`);
  }
  if (ended(progress)) response.end();
}

function noRoom(response: ServerResponse, why: string): void {
  const detail = `${why}: ask GET /orders/{id} from time to time instead`;
  send(response, { status: 429, body: problem(429, 'TooManyStreams', detail), retryAfter: spread(NO_ROOM_SECONDS) });
}

function lastEventId(request: IncomingMessage): number {
  const text = request.headers['last-event-id'];
  if (text === undefined || text === '') return 0;
  if (typeof text === 'string' && /^\d{1,15}$/.test(text)) return Number(text);
  throw new ProblemError(400, 'BadRequest', 'Last-Event-ID must be the id of an event of this stream, a number');
}
