import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Clock, systemClock } from '../clock.ts';
import { readBytes } from '../http/body.ts';
import { milliseconds } from '../units.ts';
import type { AppendLog } from './append-log.ts';
import { carryOut, type Delivery, type SimulatedBackend } from './backend.ts';

/** How a simulator is served. */
export interface SimulatorServerOptions<Entry> {
  readonly backend: SimulatedBackend<Entry>;
  readonly log: AppendLog<Entry>;
  /** @default 0: any free port */
  readonly port?: number;
  /** @default 127.0.0.1 */
  readonly host?: string;
  readonly clock?: Clock;
  /** Called when the log cannot be written: memory and disk differ from now on, so end the process. */
  readonly onFailure: (error: unknown) => void;
}

/** A simulator that listens. */
export interface SimulatorServer {
  /** As `http://127.0.0.1:40123`. */
  readonly url: string;
  /** Stops listening, cuts open connections and closes the log. */
  close(): Promise<void>;
}

const MAX_BODY_BYTES = 65_536;
const MAX_PAGE = 1_000;
/** Longer than clients keep idle connections, so that it is they who close, as with our services: a request into a closing one looks lost. */
const KEEP_ALIVE_MS = 75_000;

/**
 * Serves a simulated company over HTTP, with its faults. Besides the company's own paths: `GET /health`, and
 * `GET /log?cursor=0&limit=1000`, which answers `{entries, next}` with what is durable, oldest first.
 */
export async function serveSimulator<Entry>(options: SimulatorServerOptions<Entry>): Promise<SimulatorServer> {
  const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    answer(options, request, response).catch((error: unknown) => {
      options.onFailure(error);
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, options.host ?? '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${options.host ?? '127.0.0.1'}:${port}`,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await options.log.close();
    },
  };
}

async function answer<Entry>(
  options: SimulatorServerOptions<Entry>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path = '/', query] = (request.url ?? '/').split('?', 2);
  const parameters = new URLSearchParams(query);
  const method = request.method ?? 'GET';
  if (method === 'GET' && path === '/health') return json(response, 200, { status: 'ok' });
  if (method === 'GET' && path === '/log') return readLog(options.log, parameters, response);
  const body = await readJson(request);
  if (!body.ok) return json(response, body.status, { error: body.error });
  const clock = options.clock ?? systemClock;
  const received = options.backend.receive({ method, path, query: parameters, body: body.value });
  const delivery = await carryOut(received, options.log, clock, options.onFailure);
  if (delivery.delayMs > 0) {
    const callOff = clock.schedule(milliseconds(delivery.delayMs), () => deliver(delivery, response));
    response.once('close', callOff);
  } else {
    deliver(delivery, response);
  }
}

function deliver(delivery: Delivery, response: ServerResponse): void {
  switch (delivery.kind) {
    case 'answer':
      json(response, delivery.status, delivery.body);
      return;
    case 'error':
      json(response, 500, { error: 'internal error' });
      return;
    case 'html':
      response.writeHead(502, { 'content-type': 'text/html' });
      response.end('<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>');
      return;
    case 'drop':
      response.destroy();
      return;
  }
}

function readLog<Entry>(log: AppendLog<Entry>, query: URLSearchParams, response: ServerResponse): void {
  const cursor = Number(query.get('cursor') ?? 0);
  const limit = Number(query.get('limit') ?? MAX_PAGE);
  if (!Number.isSafeInteger(cursor) || cursor < 0 || !Number.isSafeInteger(limit) || limit < 1) {
    json(response, 400, { error: 'cursor is an integer from 0, limit one from 1' });
    return;
  }
  json(response, 200, log.read(cursor, Math.min(limit, MAX_PAGE)));
}

function json(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body ?? null);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

type Body = { ok: true; value: unknown } | { ok: false; status: number; error: string };

async function readJson(request: IncomingMessage): Promise<Body> {
  const bytes = await readBytes(request, MAX_BODY_BYTES);
  if (bytes === 'too large') return { ok: false, status: 413, error: `at most ${MAX_BODY_BYTES} bytes` };
  if (bytes === 'broken off') return { ok: false, status: 400, error: 'the body broke off' };
  if (bytes.length === 0) return { ok: true, value: undefined };
  try {
    return { ok: true, value: JSON.parse(bytes.toString('utf8')) as unknown };
  } catch {
    return { ok: false, status: 400, error: 'the body is not JSON' };
  }
}
