import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Says nothing if all is well, and throws an error that says what is not. */
export type HealthCheck = () => void | Promise<void>;

/** How a health server is made. */
export interface HealthServerOptions {
  /** @default 0, any free one */
  port?: number;
  /** The address to listen on. In a pod the kubelet needs `0.0.0.0` (or `::`). @default '127.0.0.1' */
  host?: string;
  /** What `/metrics` answers; without it there is no such page. */
  metrics?: () => Promise<{ contentType: string; body: string }>;
  /** A check that takes longer has failed, in milliseconds. @default 5000 */
  checkTimeoutMs?: number;
}

/**
 * `/healthz` (alive: else restart me), `/readyz` (ready: else send me no traffic) and `/metrics`, as controller-runtime serves them: each page is
 * the sum of named checks, `/healthz/{name}` is one of them, `?verbose` lists all, `?exclude=name` leaves one out.
 */
export class HealthServer {
  readonly #options: HealthServerOptions;
  readonly #live = new Map<string, HealthCheck>();
  readonly #ready = new Map<string, HealthCheck>();
  #server: Server | undefined;

  constructor(options: HealthServerOptions = {}) {
    this.#options = options;
  }

  /** Adds a check to `/healthz`. */
  addLiveness(name: string, check: HealthCheck): void {
    this.#live.set(name, check);
  }

  /** Adds a check to `/readyz`. */
  addReadiness(name: string, check: HealthCheck): void {
    this.#ready.set(name, check);
  }

  /** Listens. Rejects if the port is taken. */
  async start(): Promise<{ host: string; port: number; url: string }> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    const host = this.#options.host ?? '127.0.0.1';
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#options.port ?? 0, host, resolve);
    });
    const { port } = server.address() as AddressInfo;
    return { host, port, url: `http://${host.includes(':') ? `[${host}]` : host}:${port}` };
  }

  /** Stops listening and ends open connections. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'only GET\n');
      const url = new URL(request.url ?? '/', 'http://localhost');
      const [, page, name] = url.pathname.split('/');
      if (page === 'metrics' && name === undefined && this.#options.metrics !== undefined) {
        const { contentType, body } = await this.#options.metrics();
        return send(response, 200, body, contentType);
      }
      const checks = page === 'healthz' ? this.#live : page === 'readyz' ? this.#ready : undefined;
      if (checks === undefined) return send(response, 404, 'not found\n');
      await this.#check(response, page!, checks, url.searchParams, name || undefined);
    } catch (error) {
      send(response, 500, `${(error as Error).message}\n`);
    }
  }

  async #check(
    response: ServerResponse,
    page: string,
    checks: ReadonlyMap<string, HealthCheck>,
    query: URLSearchParams,
    name: string | undefined,
  ): Promise<void> {
    if (name !== undefined && !checks.has(name)) return send(response, 404, `no check "${name}"\n`);
    const excluded = new Set(query.getAll('exclude'));
    const chosen = [...checks].filter(([key]) => (name === undefined ? !excluded.has(key) : key === name));
    const failures = await Promise.all(chosen.map(([, check]) => this.#run(check)));
    const failed = failures.some((failure) => failure !== undefined);
    const lines = chosen.map(([key], index) =>
      failures[index] === undefined ? `[+]${key} ok` : `[-]${key} failed: ${failures[index]}`,
    );
    if (failed) return send(response, 500, `${lines.join('\n')}\n${page} check failed\n`);
    return send(response, 200, query.has('verbose') ? `${lines.join('\n')}\n${page} check passed\n` : 'ok');
  }

  /** What is wrong, or `undefined`. */
  async #run(check: HealthCheck): Promise<string | undefined> {
    const limit = this.#options.checkTimeoutMs ?? 5000;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`no answer within ${limit} ms`)), limit);
    });
    try {
      await Promise.race([check(), late]);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      clearTimeout(timer);
    }
  }
}

function send(response: ServerResponse, code: number, body: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(code, {
    'content-type': contentType,
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
  });
  response.end(body);
}
