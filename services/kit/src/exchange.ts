import { Agent, type Dispatcher, request } from 'undici';

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
  /** From the first byte sent to the last byte read, in milliseconds, so that an answer that trickles ends too. @default 2000 */
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
  const agent = new Agent({ connections: options.connections ?? 64, keepAliveTimeout: 30_000 });
  return {
    exchange: (outbound) => send(agent, options, outbound),
    close: () => agent.destroy(),
  };
}

async function send(agent: Dispatcher, options: HttpExchangeOptions, outbound: OutboundRequest): Promise<Exchanged> {
  const isText = typeof outbound.body === 'string';
  try {
    const response = await request(options.baseUrl.replace(/\/$/, '') + outbound.path, {
      dispatcher: agent,
      method: outbound.method,
      headers: {
        accept: 'application/json',
        ...(outbound.body === undefined || isText ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
        ...outbound.headers,
      },
      body: outbound.body === undefined ? null : isText ? (outbound.body as string) : JSON.stringify(outbound.body),
      signal: AbortSignal.timeout(options.timeoutMs ?? 2_000),
    });
    const text = await readLimited(response.body, options.maxBytes ?? 262_144);
    if (text === undefined) return { kind: 'unknown', detail: `the answer (${response.statusCode}) is too large` };
    return parse(response.statusCode, text);
  } catch (error) {
    return { kind: 'unknown', detail: error instanceof Error ? `${error.name}: ${error.message}` : String(error) };
  }
}

async function readLimited(body: Dispatcher.ResponseData['body'], maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += (chunk as Buffer).length;
    // Leaving the loop destroys the stream and its connection.
    if (size > maxBytes) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(status: number, text: string): Exchanged {
  if (text === '') return { kind: 'answered', status, body: undefined };
  try {
    return { kind: 'answered', status, body: JSON.parse(text) as unknown };
  } catch {
    return { kind: 'unknown', detail: `the answer (${status}) is not JSON` };
  }
}
