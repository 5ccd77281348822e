import type { IncomingHttpHeaders } from 'node:http';
import { Pool } from 'undici';
import { type Clock, pause, systemClock } from '../runtime/clock.ts';
import { type Logger, silentLogger } from '../runtime/logger.ts';
import type { ClusterConfig, TlsMaterial } from './config.ts';
import { ApiError, isUnauthorized, TransportError } from './errors.ts';
import { exchange, exchangeLines, type Incoming, type LineHandler, type Outgoing, Refused } from './exchange.ts';
import type { Status } from './types.ts';

/** The verbs that the API server knows. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** Query parameters; `undefined` ones are left out. */
export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** One request to the API server. */
export interface ApiRequest {
  readonly method: Method;
  /** Absolute, without a query. */
  readonly path: string;
  readonly query?: Query | undefined;
  /** Sent as JSON; a string is sent as it is. */
  readonly body?: unknown;
  /** @default 'application/json' */
  readonly contentType?: string;
  /** For the whole request, retries included, in milliseconds. @default the transport's */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Goes over connections of its own, so that it never waits for one behind others. For what must be in time: leases. @default false */
  readonly urgent?: boolean | undefined;
}

/** What is measured of each answer; `code` is the HTTP status or `<error>`, as in client-go. */
export interface RequestObserver {
  requested(sample: { method: Method; host: string; code: string; seconds: number }): void;
}

/** How a transport is made. */
export interface TransportOptions {
  /** Connections for requests; watches, and what is urgent, have their own. @default 32 */
  connections?: number;
  /** Default time limit of a request, in milliseconds. @default 30000 */
  timeoutMs?: number;
  /** The longest answer read, and the longest line of a watch, in bytes. @default 64 MiB */
  maxResponseBytes?: number;
  /** How often a request that the server sheds with 429 (or a read with 503) is sent again. @default 10, as client-go */
  maxRetries?: number;
  /** How long credentials and certificates read from files are believed, in milliseconds. @default 60000, as client-go */
  credentialsTtlMs?: number;
  /** @default 'mercato-operator' */
  userAgent?: string;
  observer?: RequestObserver;
  logger?: Logger;
  clock?: Clock;
}

/**
 * Raw JSON over pooled, kept-alive HTTP/1.1 connections: what client-node does not offer (it opens a TLS connection for every call).
 *
 * HTTP/1.1 on purpose: with many connections it is as fast as HTTP/2 in Node and one stuck connection stalls one request, not all of them.
 */
export interface Transport {
  /** Host and port, as a metric label. */
  readonly host: string;
  /**
   * Sends a request and returns the answer's JSON. Rejects with an ApiError if the server refused, else with a TransportError.
   *
   * Sent again on its own, within the time limit: after a 429 (the server did nothing), after a 401 once with fresh credentials, after a 503 or a
   * lost connection for reads only. A write whose outcome is unknown is never repeated here; only the caller knows if that is safe.
   */
  request<R>(request: ApiRequest): Promise<R>;
  /** As `request`, for answers that are not JSON, such as `/readyz`. */
  requestText(request: ApiRequest): Promise<string>;
  /** Opens a stream of JSON lines; see `exchangeLines`. No time limit but `timeoutMs`, if given. */
  stream(request: ApiRequest, handler: LineHandler): Promise<void>;
  /** Reads certificates anew, now instead of when they are a minute old, and starts new connections if they changed. */
  reloadCredentials(): void;
  /** Ends all connections. Requests under way fail. */
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
/** Waited after a 429 or 503 that does not say how long. */
const DEFAULT_RETRY_AFTER_MS = 1000;
/** One, and one more for while that hangs. */
const URGENT_CONNECTIONS = 2;

/** Connects to a cluster. Nothing is sent until the first request. */
export function createTransport(config: ClusterConfig, options: TransportOptions = {}): Transport {
  return new PooledTransport(config, options);
}

interface Pools {
  readonly requests: Pool;
  readonly urgent: Pool;
  readonly streams: Pool;
}

class PooledTransport implements Transport {
  readonly host: string;
  readonly #config: ClusterConfig;
  readonly #options: TransportOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #maxBytes: number;
  readonly #ttlMs: number;
  readonly #basePath: string;

  #pools: Pools | undefined;
  #tls: TlsMaterial = {};
  #tlsReadAt = Number.NEGATIVE_INFINITY;
  #authorization: string | undefined;
  #authorizationReadAt = Number.NEGATIVE_INFINITY;
  #authorizing: Promise<void> | undefined;
  #closed = false;

  constructor(config: ClusterConfig, options: TransportOptions) {
    const url = new URL(config.server);
    this.host = url.host;
    this.#basePath = url.pathname === '/' ? '' : url.pathname;
    this.#config = config;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#maxBytes = options.maxResponseBytes ?? DEFAULT_MAX_BYTES;
    this.#ttlMs = options.credentialsTtlMs ?? 60_000;
  }

  async request<R>(request: ApiRequest): Promise<R> {
    const answer = await this.#send(request);
    try {
      return JSON.parse(answer.text) as R;
    } catch (error) {
      throw new TransportError(
        request,
        'malformed',
        `answered ${answer.code} with what is not JSON: ${excerpt(answer.text)}`,
        error,
      );
    }
  }

  async requestText(request: ApiRequest): Promise<string> {
    return (await this.#send(request)).text;
  }

  async stream(request: ApiRequest, handler: LineHandler): Promise<void> {
    const started = this.#clock.monotonic();
    let code = '<error>';
    const observed: LineHandler = {
      open: () => {
        code = '200';
        this.#observe(request.method, code, started);
        handler.open();
      },
      line: (text) => handler.line(text),
    };
    const bounds = { timeoutMs: request.timeoutMs ?? 0, maxBytes: this.#maxBytes, signal: request.signal };
    try {
      const outgoing = await this.#outgoing(request);
      // Chosen after the last wait, or it could be closed by a rotation in between.
      await exchangeLines(this.#connections().streams, outgoing, bounds, observed);
    } catch (error) {
      const failure = error instanceof Refused ? apiError(request, error.answer) : error;
      if (code !== '200')
        this.#observe(request.method, failure instanceof ApiError ? String(failure.code) : code, started);
      if (isUnauthorized(failure)) await this.#authorize(true);
      throw failure;
    }
  }

  reloadCredentials(): void {
    this.#authorizationReadAt = Number.NEGATIVE_INFINITY;
    this.#reloadTls();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const pools = this.#pools;
    this.#pools = undefined;
    await Promise.all([pools?.requests.destroy(), pools?.urgent.destroy(), pools?.streams.destroy()]);
  }

  /** One request with its retries. */
  async #send(request: ApiRequest): Promise<Incoming> {
    const deadline = this.#clock.monotonic() + (request.timeoutMs ?? this.#timeoutMs);
    const maxRetries = this.#options.maxRetries ?? 10;
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.#sendOnce(request, deadline - this.#clock.monotonic());
      } catch (error) {
        const delay = attempt < maxRetries ? retryDelay(request.method, error, attempt) : undefined;
        if (delay === undefined || this.#clock.monotonic() + delay >= deadline) throw error;
        if (isUnauthorized(error)) await this.#authorize(true);
        if (delay > 0) await pause(this.#clock, delay, request.signal);
      }
    }
  }

  async #sendOnce(request: ApiRequest, timeoutMs: number): Promise<Incoming> {
    const started = this.#clock.monotonic();
    let code = '<error>';
    try {
      const bounds = { timeoutMs: Math.max(1, timeoutMs), maxBytes: this.#maxBytes, signal: request.signal };
      const outgoing = await this.#outgoing(request);
      const { urgent, requests } = this.#connections();
      const answer = await exchange(request.urgent === true ? urgent : requests, outgoing, bounds);
      code = String(answer.code);
      if (answer.code < 200 || answer.code > 299) throw apiError(request, answer);
      return answer;
    } finally {
      this.#observe(request.method, code, started);
    }
  }

  #observe(method: Method, code: string, started: number): void {
    this.#options.observer?.requested({
      method,
      host: this.host,
      code,
      seconds: (this.#clock.monotonic() - started) / 1000,
    });
  }

  async #outgoing(request: ApiRequest): Promise<Outgoing> {
    if (this.#clock.monotonic() - this.#authorizationReadAt > this.#ttlMs) await this.#authorize(false);
    const headers: Record<string, string> = {
      // The issuer's keys have a media type of their own.
      accept: 'application/json, */*;q=0.8',
      'user-agent': this.#options.userAgent ?? 'mercato-operator',
      ...this.#config.headers,
    };
    if (this.#authorization !== undefined) headers['authorization'] = this.#authorization;
    const path = this.#basePath + request.path + queryString(request.query);
    if (request.body === undefined) return { method: request.method, path, headers };
    headers['content-type'] = request.contentType ?? 'application/json';
    const body = typeof request.body === 'string' ? request.body : JSON.stringify(request.body);
    return { method: request.method, path, headers, body };
  }

  /** Reads the credentials. If that fails and there are earlier ones, those go on: a file being replaced must not stop the operator. */
  #authorize(refresh: boolean): Promise<void> {
    this.#authorizing ??= (async () => {
      try {
        this.#authorization = await this.#config.authorization(refresh);
      } catch (error) {
        if (this.#authorization === undefined) throw error;
        this.#logger.warn('cannot read the credentials anew, going on with the last ones', { error });
      } finally {
        this.#authorizing = undefined;
      }
      this.#authorizationReadAt = this.#clock.monotonic();
    })();
    return this.#authorizing;
  }

  #connections(): Pools {
    if (this.#closed) throw new TransportError({ method: '', path: '' }, 'aborted', 'the transport is closed');
    if (this.#clock.monotonic() - this.#tlsReadAt > this.#ttlMs) this.#reloadTls();
    this.#pools ??= {
      requests: this.#pool(this.#options.connections ?? 32),
      urgent: this.#pool(URGENT_CONNECTIONS),
      streams: this.#pool(null),
    };
    return this.#pools;
  }

  #reloadTls(): void {
    this.#tlsReadAt = this.#clock.monotonic();
    let next: TlsMaterial;
    try {
      next = this.#config.tls();
    } catch (error) {
      if (this.#pools === undefined) throw error;
      this.#logger.warn('cannot read the certificates anew, going on with the last ones', { error });
      return;
    }
    const { ca, cert, key } = this.#tls;
    if (next.ca === ca && next.cert === cert && next.key === key) return;
    this.#tls = next;
    const old = this.#pools;
    this.#pools = undefined;
    if (old === undefined) return;
    this.#logger.info('the certificates have changed: starting new connections');
    // Requests under way finish on the old connections; so do watches, which end by themselves within minutes.
    void Promise.allSettled([old.requests.close(), old.urgent.close(), old.streams.close()]);
  }

  #pool(connections: number | null): Pool {
    const url = new URL(this.#config.server);
    return new Pool(url.origin, {
      connections,
      pipelining: 1,
      allowH2: false,
      connectTimeout: 10_000,
      // Below the API server's own idle limit of 90 s, so that it is us who close an idle connection.
      keepAliveTimeout: 60_000,
      keepAliveMaxTimeout: 60_000,
      connect: {
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
        ...this.#tls,
        ...(this.#config.tlsServerName === undefined ? {} : { servername: this.#config.tlsServerName }),
        ...(this.#config.insecureSkipTlsVerify ? { rejectUnauthorized: false } : {}),
      },
    });
  }
}

/** How long to wait before sending the request again, in milliseconds; `undefined` if that would not be safe or not be useful. */
function retryDelay(method: Method, error: unknown, attempt: number): number | undefined {
  if (error instanceof ApiError) {
    const wait = error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
    if (error.code === 429) return wait;
    if (error.code === 503 && method === 'GET') return wait;
    return error.code === 401 && attempt === 0 ? 0 : undefined;
  }
  // The server may close an idle connection in the moment in which we use it; a read is simply sent again, once.
  const lost = error instanceof TransportError && error.failure === 'connection-lost';
  return lost && method === 'GET' && attempt === 0 ? 0 : undefined;
}

function apiError(request: ApiRequest, answer: Incoming): ApiError {
  let status: Status | undefined;
  try {
    const parsed: unknown = JSON.parse(answer.text);
    if (parsed !== null && typeof parsed === 'object' && (parsed as Status).kind === 'Status')
      status = parsed as Status;
  } catch {
    // A proxy's HTML page: the text itself goes into the message.
  }
  return new ApiError(request, answer.code, status, excerpt(answer.text), retryAfter(answer.headers, status));
}

function retryAfter(headers: IncomingHttpHeaders, status: Status | undefined): number | undefined {
  // The API server sends seconds, never a date.
  const seconds = Number(headers['retry-after'] ?? status?.details?.retryAfterSeconds);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1000 : undefined;
}

function excerpt(text: string): string {
  return text.length <= 200 ? text : `${text.slice(0, 200)}...`;
}

function queryString(query: Query | undefined): string {
  if (query === undefined) return '';
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined) params.set(name, String(value));
  const text = params.toString();
  return text === '' ? '' : `?${text}`;
}
