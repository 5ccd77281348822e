import { type Dispatcher, Pool } from 'undici';
import { currentCause } from './cause.ts';

/** One request to somebody else's HTTP API: the path is below the base address, the body is sent as JSON unless it is text. */
export interface OutboundRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON; a string goes as it is, with the caller's content-type. */
  readonly body?: unknown;
}

/**
 * What came of a request. `unknown` covers everything after which nobody can say whether the other side did the work: a time-out,
 * a broken connection, a body that is not JSON or too large. Any status with a JSON body is `answered`.
 */
export type Exchanged =
  | { readonly kind: 'answered'; readonly status: number; readonly body: unknown }
  | { readonly kind: 'unknown'; readonly detail: string };

/** Sends one request; never throws for what the other side does. Adapters take one, so that a simulation can bring its own. */
export type Exchange = (request: OutboundRequest) => Promise<Exchanged>;

/** How an HTTP exchange reaches the other side. */
export interface HttpExchangeOptions {
  /** As `http://127.0.0.1:9000`; a trailing slash is ignored. */
  readonly baseUrl: string;
  /**
   * From the first byte sent to the last byte read, in milliseconds, so that an answer that trickles ends too; and for making a connection. Waiting for one
   * does not count: what was not sent has a known outcome, and to call it unknown would make a look-up of each, just when there is too much to do.
   * @default 2000
   */
  readonly timeoutMs?: number;
  /** Larger answers are unknown. @default 262144 */
  readonly maxBytes?: number;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Connections kept to the other side. @default 64 */
  readonly connections?: number;
}

/** A pooled exchange over HTTP and how to end it. */
export interface HttpExchange {
  readonly exchange: Exchange;
  /** Closes the pool; requests under way end as unknown. */
  close(): Promise<void>;
}

/** Opens a pool of connections to one base address. */
export function httpExchange(options: HttpExchangeOptions): HttpExchange {
  const { origin, pathname } = new URL(options.baseUrl);
  const pool = new Pool(origin, {
    connections: options.connections ?? 64,
    keepAliveTimeout: 30_000,
    connectTimeout: options.timeoutMs ?? 2_000,
  });
  const base = pathname.replace(/\/$/, '');
  return {
    exchange: (outbound) => traced(origin, outbound, () => send(pool, base, options, outbound)),
    close: () => pool.destroy(),
  };
}

/**
 * Makes a client span of a call that a command makes which is part of a trace. Neither path nor body is on it: both may hold what is nobody's business. The
 * trace context stays here: the other side is another company.
 */
async function traced(origin: string, { method }: OutboundRequest, call: () => Promise<Exchanged>): Promise<Exchanged> {
  const cause = currentCause();
  if (cause === undefined) return call();
  const span = cause.tracing.span(method, { kind: 'client', parent: cause.traceparent });
  span.set({ 'http.request.method': method, 'server.address': origin });
  const exchanged = await call();
  if (exchanged.kind === 'answered') span.set({ 'http.response.status_code': exchanged.status });
  else span.fail('Unknown', 'no answer that can be relied on');
  span.end();
  return exchanged;
}

function send(
  pool: Dispatcher,
  base: string,
  options: HttpExchangeOptions,
  outbound: OutboundRequest,
): Promise<Exchanged> {
  const isText = typeof outbound.body === 'string';
  const request: Dispatcher.DispatchOptions = {
    path: base + outbound.path,
    method: outbound.method,
    headers: {
      accept: 'application/json',
      ...(outbound.body === undefined || isText ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
      ...outbound.headers,
    },
    body: outbound.body === undefined ? null : isText ? (outbound.body as string) : JSON.stringify(outbound.body),
  };
  return new Promise((resolve) => {
    pool.dispatch(request, new Exchanging(options.timeoutMs ?? 2_000, options.maxBytes ?? 262_144, resolve));
  });
}

/**
 * One request under way, on undici's lowest level: a stream and an abort signal for each request, as `request` makes them, cost more than
 * the rest of the exchange.
 */
class Exchanging implements Dispatcher.DispatchHandler {
  readonly #maxBytes: number;
  readonly #resolve: (exchanged: Exchanged) => void;
  readonly #timeoutMs: number;
  #timer: NodeJS.Timeout | undefined;
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #size = 0;
  #status = 0;
  #settled = false;

  constructor(timeoutMs: number, maxBytes: number, resolve: (exchanged: Exchanged) => void) {
    this.#maxBytes = maxBytes;
    this.#resolve = resolve;
    this.#timeoutMs = timeoutMs;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    const late = () => this.#giveUp(`TimeoutError: no whole answer in ${this.#timeoutMs} ms`);
    // What came while this process stood still is read first: timers are looked at before sockets, and all that is under way would be unknown at once.
    this.#timer = setTimeout(() => setImmediate(late), this.#timeoutMs);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > this.#maxBytes) return this.#giveUp(`the answer (${this.#status}) is too large`);
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [only] = this.#chunks;
    const whole = this.#chunks.length === 1 && only !== undefined ? only : Buffer.concat(this.#chunks);
    this.#settle(parse(this.#status, whole.toString('utf8')));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle({ kind: 'unknown', detail: `${error.name}: ${error.message}` });
  }

  /** Settles first: what the abort brings is no news. */
  #giveUp(detail: string): void {
    if (this.#settled) return;
    this.#settle({ kind: 'unknown', detail });
    this.#controller?.abort(new Error(detail));
  }

  #settle(exchanged: Exchanged): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#timer);
    this.#resolve(exchanged);
  }
}

function parse(status: number, text: string): Exchanged {
  if (text === '') return { kind: 'answered', status, body: undefined };
  try {
    return { kind: 'answered', status, body: JSON.parse(text) as unknown };
  } catch {
    return { kind: 'unknown', detail: `the answer (${status}) is not JSON` };
  }
}
