import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from '../runtime/logger.ts';
import type { Runnable } from '../runtime/manager.ts';
import { BodyRefused, readEvents } from './body.ts';
import type { Callers } from './callers.ts';
import type { IntakeMetrics } from './metrics.ts';
import type { Receiver } from './receive.ts';
import { CallerRefused, type TokenVerifier } from './tokens.ts';

/** Requests at once; each may hold MAX_BYTES. More are told to come again. */
const MAX_REQUESTS = 64;
/** Connections at once, idle ones included; more are cut at once. Who has none of them is one of a few relays, which come again. */
const MAX_CONNECTIONS = 1_024;
/** A sender that takes longer for its request has gone. */
const REQUEST_TIMEOUT_MILLIS = 10_000;
/** How often Node looks for requests that are late; its own 30 s would make the time-out above mean nothing. */
const CHECK_EVERY_MILLIS = 1_000;
/** At a stop, what was begun may take so long; the manager's bound is 30 s. */
const GRACE_MILLIS = 10_000;
const IDLE_EVERY_MILLIS = 20;
const BUSY_RETRY_MILLIS = 500;

export interface HttpIntakeOptions {
  readonly host: string;
  /** 0: any. */
  readonly port: number;
  readonly receiver: Receiver;
  readonly tokens: Pick<TokenVerifier, 'check'>;
  readonly callers: Pick<Callers, 'maySend'>;
  readonly metrics: IntakeMetrics;
  readonly logger: Logger;
}

/**
 * `POST /events`: CloudEvents in structured or batched JSON mode. 200 once the journal has all of them, or a record of why it never will; 503 with
 * Retry-After where some are to come again: `again` of the problem has their places in the batch, from 0. A sender that repeats the whole does no harm.
 *
 * On Node's own request and response: this is the hot path, and a framework's routing would be a good part of its cost.
 */
export class HttpIntake implements Runnable {
  readonly name = 'http-intake';
  readonly needsLeaderElection = false;
  readonly #o: HttpIntakeOptions;
  #inFlight = 0;

  constructor(options: HttpIntakeOptions) {
    this.#o = options;
  }

  /** Serves until `signal` aborts, and answers what it has begun, for 10 s at most. Rejects if the port is taken. */
  async start(signal: AbortSignal): Promise<void> {
    const timeouts = {
      requestTimeout: REQUEST_TIMEOUT_MILLIS,
      headersTimeout: REQUEST_TIMEOUT_MILLIS,
      connectionsCheckingInterval: CHECK_EVERY_MILLIS,
      // Longer than any sender keeps an idle connection, so that none is closed under a request.
      keepAliveTimeout: 65_000,
    };
    const server = createServer(timeouts, (request, response) => void this.#answer(request, response));
    server.maxConnections = MAX_CONNECTIONS;
    await listen(server, this.#o.host, this.#o.port);
    const { port } = server.address() as AddressInfo;
    this.#o.logger.info('intake listens', { address: `${this.#o.host}:${port}` });
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    await close(server);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#inFlight += 1;
    try {
      await this.#take(request, response);
    } catch (error) {
      this.#refuse(response, error);
    } finally {
      this.#inFlight -= 1;
      this.#o.metrics.requests.inc({ status: String(response.statusCode) });
    }
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.split('?', 1)[0] !== '/events') return problem(response, 404, 'NotFound', 'events go to /events');
    if (request.method !== 'POST') {
      response.setHeader('allow', 'POST');
      return problem(response, 405, 'MethodNotAllowed', 'send events with POST');
    }
    const caller = await this.#o.tokens.check(request.headers.authorization);
    if (this.#inFlight > MAX_REQUESTS)
      return problem(response, 429, 'Busy', `${MAX_REQUESTS} requests are being taken`, BUSY_RETRY_MILLIS);
    const { outcomes, again } = await this.#o.receiver.receive(await readEvents(request), (namespace) =>
      this.#o.callers.maySend(caller, namespace),
    );
    if (again !== undefined)
      return problem(response, 503, 'Busy', again.why, again.after, { again: again.events, outcomes });
    send(response, 200, 'application/json', JSON.stringify(outcomes));
  }

  #refuse(response: ServerResponse, error: unknown): void {
    if (error instanceof CallerRefused) {
      if (error.status === 401) response.setHeader('www-authenticate', 'Bearer');
      const retry = error.status === 503 ? BUSY_RETRY_MILLIS : undefined;
      return problem(response, error.status, 'CallerRefused', error.message, retry);
    }
    if (error instanceof BodyRefused) return problem(response, error.status, 'BodyRefused', error.message);
    this.#o.logger.error('a request with events failed inside', { error });
    problem(response, 500, 'InternalError', 'the request failed inside; see the log');
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}

/** A connection that was busy just now becomes idle, and its sender would keep it, and the stop, for a minute; one that never sends for as long as it likes. */
async function close(server: Server): Promise<void> {
  const idle = setInterval(() => server.closeIdleConnections(), IDLE_EVERY_MILLIS);
  const cut = setTimeout(() => server.closeAllConnections(), GRACE_MILLIS);
  await new Promise<void>((resolve) => server.close(() => resolve()));
  clearInterval(idle);
  clearTimeout(cut);
}

/** RFC 9457. @param retryAfter milliseconds @param more members of its own */
function problem(
  response: ServerResponse,
  status: number,
  reason: string,
  detail: string,
  retryAfter?: number,
  more: object = {},
): void {
  if (retryAfter !== undefined) response.setHeader('retry-after', String(Math.ceil(retryAfter / 1000)));
  // What is left of a body that nobody reads is not worth reading to keep the connection; before "come again" it was read.
  if (status !== 503) response.setHeader('connection', 'close');
  const body = { type: 'about:blank', title: reason, status, reason, detail, ...more };
  send(response, status, 'application/problem+json', JSON.stringify(body));
}

function send(response: ServerResponse, status: number, type: string, text: string): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
