import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express, { type Express, type NextFunction, type Request, type Response } from 'express';
import type { TokenCheck } from '../auth/tokens.ts';
import type { ServiceMetrics } from '../metrics.ts';
import type { Participant } from '../participant/participant.ts';
import { ProblemError, problem } from '../problem.ts';
import { type Milliseconds, seconds } from '../units.ts';
import { openApi } from './openapi.ts';
import { rawRouter } from './raw.ts';
import { mount, type RawRoute, type Route } from './route.ts';
import { maxBatchBytes, sagaHandler, send, sendError } from './saga.ts';

export interface HttpServerOptions {
  readonly service: string;
  readonly version: string;
  /** Who carries out commands; without one there is no `/saga`. */
  readonly participant?: Participant;
  readonly tokens: TokenCheck;
  readonly metrics: ServiceMetrics;
  readonly routes?: readonly Route[];
  readonly rawRoutes?: readonly RawRoute[];
  /** Commands carried out at once; more get 429 with Retry-After. @default 2000 */
  readonly maxInFlight?: number;
  /** Connections at once, idle ones and streams included; more are cut at once, since each takes memory whatever it asks. @default 8192 */
  readonly maxConnections?: number;
  /** Longest time for a request to arrive whole. @default 10 s */
  readonly requestTimeout?: Milliseconds;
  /** Whether the service can do its work; false makes `/ready` 503. */
  readonly ready: () => boolean;
  readonly onError: (error: unknown) => void;
}

export interface HttpServer {
  /** Resolves to where it listens, as `http://127.0.0.1:8080`. Port 0 takes a free one. */
  listen(port: number, host: string): Promise<string>;
  /** Takes no new connections, lets requests end for up to `grace`, then cuts what is left. */
  close(grace?: Milliseconds): Promise<void>;
}

/** The service's HTTP face: commands and raw routes on Node's own request and response, everything else through express. */
export function httpServer(options: HttpServerOptions): HttpServer {
  const { participant, rawRoutes = [], onError, metrics } = options;
  const saga =
    participant === undefined
      ? undefined
      : sagaHandler({ ...options, participant, maxInFlight: options.maxInFlight ?? 2000 });
  const raw = rawRouter(rawRoutes, onError, metrics.onAnswered);
  const app = administration(options);
  const requestTimeout = options.requestTimeout ?? seconds(10);
  const timeouts = {
    requestTimeout,
    headersTimeout: Math.min(5000, requestTimeout),
    // How often Node looks for requests that are late; its own 30 s would make the time-outs above mean nothing.
    connectionsCheckingInterval: Math.min(1000, requestTimeout),
    // Longer than clients keep idle connections, so that it is they who close: a request into a closing one would look lost.
    keepAliveTimeout: 75_000,
  };
  const server = createServer(timeouts, (request, response) => {
    if (saga !== undefined && request.url?.startsWith('/saga/')) return void saga(request, response);
    (raw(request) ?? app)(request, response);
  });
  server.maxConnections = options.maxConnections ?? 8192;
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code === 'ECONNRESET') return void socket.destroy();
    const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
    const text = JSON.stringify(
      problem(status, undefined, status === 408 ? 'the request did not arrive in time' : 'this is not HTTP'),
    );
    socket.end(
      `HTTP/1.1 ${status} Error\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
    );
  });
  return {
    listen: (port, host) => listen(server, port, host),
    close: (grace = seconds(10)) => close(server, grace),
  };
}

function administration(options: HttpServerOptions): Express {
  const { service, version, participant, metrics, routes = [], rawRoutes = [] } = options;
  const document = openApi(service, version, participant?.commands.values() ?? [], [...rawRoutes, ...routes]);
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/health', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/ready', (_request, response) => {
    if (options.ready()) response.json({ status: 'ready' });
    else send(response, { status: 503, body: problem(503, 'NotReady', 'starting or stopping') });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  app.get('/openapi.json', (_request, response) => void response.json(document));
  app.use(mount(routes, options.tokens, maxBatchBytes, metrics.onAnswered));
  app.use((request: Request) => {
    throw new ProblemError(404, 'NotFound', `there is no ${request.method} ${request.path}`);
  });
  app.use((error: unknown, _request: Request, response: Response, _next: NextFunction) =>
    sendError(response, fromExpress(error), options.onError),
  );
  return app;
}

/** The errors of express and of express.json, as problems. */
function fromExpress(error: unknown): unknown {
  const { status, type } = error as { status?: number; type?: string };
  if (error instanceof ProblemError || status === undefined || status >= 500) return error;
  if (status === 413) return new ProblemError(413, 'TooLarge', `the body may have ${maxBatchBytes} bytes`);
  const what = type === undefined ? 'the path cannot be decoded' : `the body cannot be read: ${type}`;
  return new ProblemError(400, 'BadRequest', what);
}

async function listen(server: Server, port: number, host: string): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address() as AddressInfo;
  return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
}

async function close(server: Server, grace: Milliseconds): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that was busy just now becomes idle, and would be kept alive.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const cut = setTimeout(() => server.closeAllConnections(), grace);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
