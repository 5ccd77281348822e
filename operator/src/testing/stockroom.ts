import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One SKU that is always short, whatever is booked: what makes the operator do all that it does about stock. */
const SHELF = { sku: 'MUG', onHand: 1, reserved: 0, committed: 0, available: 1 };
const MOMENT = '2026-01-01T00:00:00.000Z';

const ANSWERS: readonly [method: string, path: RegExp, body: object][] = [
  ['PUT', /^\/warehouses\/[^/]+$/, {}],
  ['GET', /^\/warehouses\/[^/]+\/stock/, { items: [SHELF], totals: { skus: 1, ...SHELF } }],
  ['POST', /^\/adjustments$/, { before: 0, after: 1, movement: 'm-1', appliedAt: MOMENT }],
  ['POST', /^\/receipts$/, { receivedAt: MOMENT }],
];

/** Inventory's administration over real HTTP with one answer to each request, for tests of what the operator does with the API server. */
export class Stockroom {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Listens on a free port of the loopback. */
  static async start(): Promise<Stockroom> {
    const server = createServer(({ method, url = '' }, response) => {
      const [, , body] = ANSWERS.find(([verb, path]) => verb === method && path.test(url)) ?? [];
      response.writeHead(body === undefined ? 404 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body ?? {}));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Stockroom(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
