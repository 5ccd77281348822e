import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One command as it came in. */
export interface Call {
  readonly command: string;
  readonly key: string;
  readonly epoch: number;
  readonly begun: string;
  readonly authorization: string;
  readonly traceparent: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the participant answers; `type` defaults to JSON, and to problem+json from 400. */
export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly type?: string;
  readonly retryAfter?: string;
}

export type Script = (call: Call, nth: number) => Reply | Promise<Reply>;

/**
 * A participant whose answers a test decides, over real HTTP. It keeps none of a participant's promises by itself: it is the outside world, for
 * tests of what the operator makes of each answer.
 */
export class ScriptedParticipant {
  readonly calls: Call[] = [];
  readonly #scripts = new Map<string, Script>();
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port of the loopback. */
  static async start(): Promise<ScriptedParticipant> {
    const server = createServer();
    const participant = new ScriptedParticipant(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', async () => {
        const { headers } = request;
        const call: Call = {
          command: (request.url ?? '').replace(/^\/saga\//, ''),
          key: String(headers['idempotency-key']),
          epoch: Number(headers['mercato-epoch']),
          begun: String(headers['mercato-begun']),
          authorization: String(headers['authorization']),
          traceparent: headers['traceparent'] as string | undefined,
          body: JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>,
        };
        participant.calls.push(call);
        const script = participant.#scripts.get(call.command);
        const nth = participant.calls.filter(({ command }) => command === call.command).length;
        const reply = script === undefined ? { status: 200, body: {} } : await script(call, nth);
        const type = reply.type ?? (reply.status < 400 ? 'application/json' : 'application/problem+json');
        response.writeHead(reply.status, {
          'content-type': type,
          ...(reply.retryAfter === undefined ? {} : { 'retry-after': reply.retryAfter }),
        });
        response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? {}));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return participant;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** What to answer to a command from now on. */
  on(command: string, script: Script | Reply): void {
    this.#scripts.set(command, typeof script === 'function' ? script : () => script);
  }

  /** The commands that came in for an order, in order: `reserve`, `pay`, ... */
  commandsOf(orderId: string): string[] {
    return this.calls.filter(({ key }) => key.split('/')[2] === orderId).map(({ command }) => command);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
