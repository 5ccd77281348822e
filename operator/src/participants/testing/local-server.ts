import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

/** A request as the server got it, its body read. */
export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** The client's port: tells connections apart. */
  readonly connection: number;
}

export type Behaviour = (request: Received, response: ServerResponse) => unknown;

/** A real HTTP server on an ephemeral port of 127.0.0.1 that behaves as told and remembers what it got. */
export interface LocalServer {
  readonly url: string;
  readonly port: number;
  readonly received: readonly Received[];
  /** Connections that are open now. */
  readonly sockets: ReadonlySet<Socket>;
  /** Changes what it does with requests that come from now on. */
  behave(behaviour: Behaviour): void;
  close(): Promise<void>;
}

/** @param wanted to come back on a port that was known before; @default an ephemeral one */
export async function localServer(behaviour: Behaviour, wanted = 0): Promise<LocalServer> {
  let current = behaviour;
  const received: Received[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const request: Received = {
        method: incoming.method ?? '',
        path: incoming.url ?? '',
        headers: incoming.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        connection: incoming.socket.remotePort ?? 0,
      };
      received.push(request);
      current(request, response);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(wanted, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    received,
    sockets,
    behave(next) {
      current = next;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** Answers with JSON; the content type follows from the status unless it is given. */
export function answerJson(
  response: ServerResponse,
  status: number,
  value: unknown,
  headers: Record<string, string> = {},
): void {
  const contentType = status >= 400 ? 'application/problem+json' : 'application/json; charset=utf-8';
  response.writeHead(status, { 'content-type': contentType, ...headers });
  response.end(JSON.stringify(value));
}

/** Waits until `condition` holds, looking again each turn of the event loop; fails after `limitMs`. */
export async function until(condition: () => boolean, what: string, limitMs = 15_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
