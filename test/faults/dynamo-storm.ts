import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomStream, weighted } from '@mercato/demo/play/random.ts';
import { request } from 'undici';

/** What becomes of a call. `answer lost`: carried out, and the connection ends without a word. */
type Fault = 'none' | 'conflict' | 'throttled' | 'internal' | 'answer lost';

const FAULTS: readonly { readonly weight: number; readonly fault: Fault }[] = [
  { weight: 80, fault: 'none' },
  { weight: 5, fault: 'conflict' },
  { weight: 5, fault: 'throttled' },
  { weight: 5, fault: 'internal' },
  { weight: 5, fault: 'answer lost' },
];

const ERRORS = {
  conflict: [400, 'com.amazonaws.dynamodb.v20120810#TransactionConflictException'],
  throttled: [400, 'com.amazon.coral.availability#ThrottlingException'],
  internal: [500, 'com.amazonaws.dynamodb.v20120810#InternalServerError'],
} as const;

/** The way to a DynamoDB on which one call in five goes wrong, as its API says that calls may; over real HTTP, for processes. */
export class DynamoStorm {
  /** How often each fault struck. */
  readonly struck = new Map<Fault, number>();
  readonly #server: Server;
  readonly #target: string;
  readonly #random: () => number;
  #isOver = false;

  private constructor(target: string, seed: string) {
    this.#target = target;
    this.#random = randomStream(`${seed}\nstorm`);
    this.#server = createServer((incoming, response) => {
      this.#pass(incoming, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port of the loopback. @param target the DynamoDB's address */
  static async before(target: string, seed: string): Promise<DynamoStorm> {
    const storm = new DynamoStorm(target, seed);
    await new Promise<void>((resolve) => storm.#server.listen(0, '127.0.0.1', resolve));
    return storm;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From now on every call goes through. */
  end(): void {
    this.#isOver = true;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #pass(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
    const { fault } = this.#isOver ? { fault: 'none' as const } : weighted(FAULTS, this.#random());
    this.struck.set(fault, (this.struck.get(fault) ?? 0) + 1);
    if (fault !== 'none' && fault !== 'answer lost') {
      const [status, type] = ERRORS[fault];
      response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
      response.end(JSON.stringify({ __type: type, message: `a fault test's ${fault}` }));
      return;
    }
    const answer = await request(this.#target, {
      method: 'POST',
      headers: passedOn(incoming.headers),
      body: Buffer.concat(chunks),
    });
    const body = Buffer.from(await answer.body.arrayBuffer());
    if (fault === 'answer lost') response.destroy();
    else response.writeHead(answer.statusCode, passedOn(answer.headers)).end(body);
  }
}

/** Headers without those of one connection. */
function passedOn(headers: IncomingMessage['headers']): Record<string, string> {
  const own = new Set(['host', 'connection', 'keep-alive', 'content-length', 'transfer-encoding', 'expect']);
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) => (own.has(name) ? [] : [[name, String(value)]])),
  );
}
