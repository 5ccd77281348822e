import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import {
  createLogger,
  JwksTokenCheck,
  type Milliseconds,
  openDatabase,
  type RunningService,
  ServiceMetrics,
  SqliteStore,
  startService,
  VirtualClock,
} from '@mercato/kit';
import { type ApiAnswer, type ApiRequest, DocumentedApi } from '@mercato/kit/testing/documented-api.ts';
import { TestIssuer, testAudience, testSubject } from '@mercato/kit/testing/issuer.ts';
import { migrations, SqliteOrders } from '../adapters/sqlite/orders.ts';
import { type OrderOptions, orderService } from '../service.ts';
import { noon, request, shop } from './samples.ts';

/** Who may say what sagas do, on the bench. */
export const operatorSubject = 'system:serviceaccount:mercato-system:mercato-operator';

let keys = 0;

/** A running order service on a file, over real HTTP, with really signed tokens; only its clock is the test's. Each answer is held to its document. */
export class OrderBench {
  readonly clock = new VirtualClock(noon);
  readonly metrics = new ServiceMetrics('order');
  readonly ignored: string[] = [];
  readonly errors: unknown[] = [];
  issuer!: TestIssuer;
  api!: DocumentedApi;
  orders!: SqliteOrders;
  database!: DatabaseSync;
  #folder = '';
  #service: RunningService | undefined;
  #token = '';

  static async start(options: Partial<OrderOptions> = {}): Promise<OrderBench> {
    const bench = new OrderBench();
    bench.#folder = await mkdtemp(join(tmpdir(), 'mercato-order-'));
    bench.issuer = await TestIssuer.start(bench.clock);
    bench.#token = await bench.issuer.mint({ lifetime: 100 * 86_400 });
    await bench.#start(options);
    bench.api = await DocumentedApi.of(bench.url);
    return bench;
  }

  get url(): string {
    return this.#service!.url;
  }

  /** A caller's token. */
  get token(): string {
    return this.#token;
  }

  /** Another process on the same file, with other settings if need be. */
  async restart(options: Partial<OrderOptions> = {}): Promise<void> {
    await this.#service?.close();
    await this.#start(options);
  }

  async close(): Promise<void> {
    await this.#service?.close();
    await this.issuer.close();
    await rm(this.#folder, { recursive: true });
  }

  /** Any request, with a caller's token unless `headers` has another. */
  call(method: ApiRequest['method'], path: string, body?: unknown, headers: Record<string, string> = {}) {
    const authorization = `Bearer ${this.#token}`;
    const sent: ApiRequest = {
      method,
      path,
      headers: { authorization, ...headers },
      ...(body === undefined ? {} : { body }),
    };
    return this.api.call(this.url, sent);
  }

  /** `POST /orders`, under a key of its own. */
  place(body: unknown = request(), key = `key-${++keys}`): Promise<ApiAnswer> {
    return this.call('POST', '/orders', body, { 'idempotency-key': key });
  }

  /** Places a good order and gives its id. */
  async placed(change: Parameters<typeof request>[0] = {}): Promise<string> {
    const { status, body, text } = await this.place(request(change));
    if (status !== 201) throw new Error(`${status}: ${text}`);
    return (body as { id: string }).id;
  }

  async get(id: string): Promise<Record<string, unknown>> {
    return (await this.call('GET', `/orders/${id}`)).body as Record<string, unknown>;
  }

  /** Waits until this holds, for 15 s at most; time on the bench's clock stands still meanwhile. */
  async until(holds: () => boolean | Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + 15_000; !(await holds()); ) {
      if (Date.now() > deadline) throw new Error(`not in 15 s: ${holds}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Lets time pass in two parts: what recurs begins its next round only when the last is over, however far the clock jumped. */
  async passing(span: Milliseconds, recurring: Milliseconds): Promise<void> {
    this.clock.advance(span);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    this.clock.advance(recurring);
  }

  /** How many rows a table has. */
  rows(table: string): number {
    return Number(this.database.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.['count']);
  }

  /** The operator says something of an order. */
  async say(id: string, sequence: number, type: string, data: object = {}): Promise<ApiAnswer> {
    const authorization = `Bearer ${await this.issuer.mint({ subject: operatorSubject })}`;
    const event = sagaEvent(id, sequence, type, data);
    return this.call('POST', '/events', [event], {
      authorization,
      'content-type': 'application/cloudevents-batch+json',
    });
  }

  async #start(options: Partial<OrderOptions>): Promise<void> {
    const { issuer, clock } = this;
    this.database = openDatabase(join(this.#folder, 'order.sqlite'));
    const store = new SqliteStore(this.database, { migrations });
    this.orders = new SqliteOrders(store, shop);
    const tokens = new JwksTokenCheck({
      issuer: issuer.issuer,
      audience: testAudience,
      jwksUrl: issuer.jwksUrl,
      allowedSubjects: [testSubject],
      clock,
    });
    const metrics = this.#service === undefined ? this.metrics : new ServiceMetrics('order');
    const service = orderService({
      orders: this.orders,
      shop,
      tokens,
      metrics,
      clock,
      eventSenders: [operatorSubject],
      onIgnored: ({ id }, why) => void this.ignored.push(`${id} ${why}`),
      onError: (error) => void this.errors.push(error),
      ...options,
    });
    const parts = { name: 'order', version: '1', tokens, clock, metrics, logger: createLogger('order', 'silent') };
    this.#service = await startService({ ...parts, ...service, outbox: this.orders.outbox }, 0, '127.0.0.1');
  }
}

/** What the operator sends. */
export const sagaEvent = (orderId: string, sequence: number, type: string, data: object = {}): object => ({
  specversion: '1.0',
  id: `shop/checkout/${orderId}/${sequence}`,
  source: '/mercato/operator',
  type: `dev.mercato.saga.${type}`,
  subject: orderId,
  time: '2026-11-22T12:00:00Z',
  sequence: String(sequence),
  mercatonamespace: 'shop',
  mercatosaga: 'checkout',
  datacontenttype: 'application/json',
  data,
});
