import { Type } from '@sinclair/typebox';
import type { Dispatcher } from 'undici';
import type { TokenSource } from '../participants/tokens.ts';
import { type RawReply, reader } from './answers.ts';
import { InventoryUnavailable } from './errors.ts';
import type {
  Adjustment,
  AdjustmentBooked,
  Inventory,
  Receipt,
  ReceiptBooked,
  Stock,
  StockLine,
  WarehouseId,
  WarehouseSettings,
} from './port.ts';

/** A whole request, token included, in milliseconds. */
const TIMEOUT_MS = 10_000;
/** A longer answer is given up: a page of stock is at most half of it. */
const MAX_ANSWER_BYTES = 2 * 1024 * 1024;
const PAGE = 5000;

const units = Type.Integer();
const level = { onHand: units, reserved: units, committed: units, available: units };
const readAny = reader(Type.Object({}));
const readPage = reader(
  Type.Object({
    items: Type.Array(Type.Object({ sku: Type.String(), ...level })),
    totals: Type.Object({ skus: units, ...level }),
    next: Type.Optional(Type.String()),
  }),
);
const readBooked = reader(
  Type.Object({
    before: units,
    after: units,
    shortage: Type.Optional(units),
    movement: Type.String(),
    appliedAt: Type.String(),
  }),
);
const readReceived = reader(Type.Object({ receivedAt: Type.String() }));

/** Where an inventory is and how it is reached. */
export interface InventoryClientOptions {
  /** Where its paths begin, without a slash at the end: a Participant's address. */
  readonly baseUrl: string;
  /** What its tokens are for: a Participant's audience. */
  readonly audience: string;
  readonly tokens: TokenSource;
  /** Pools connections; shared by clients and closed by whoever made it. */
  readonly dispatcher: Dispatcher;
  /** A whole request, in milliseconds. @default 10000 */
  readonly timeoutMs?: number;
  /** Told how each request ended: `ok`, or the reason of its error. @default nobody */
  readonly observer?: (operation: string, outcome: string, seconds: number) => void;
}

interface Call {
  readonly operation: string;
  readonly method: 'GET' | 'PUT' | 'POST';
  readonly path: string;
  readonly body?: object;
  readonly signal: AbortSignal | undefined;
}

/** Inventory's administration over HTTP. */
export class InventoryClient implements Inventory {
  readonly #options: InventoryClientOptions;

  constructor(options: InventoryClientOptions) {
    this.#options = options;
  }

  async register(warehouse: WarehouseId, settings: WarehouseSettings, signal?: AbortSignal): Promise<void> {
    const path = `/warehouses/${encodeURIComponent(warehouse)}`;
    await this.#call({ operation: 'register', method: 'PUT', path, body: settings, signal }, readAny);
  }

  async stock(warehouse: WarehouseId, signal?: AbortSignal): Promise<Stock> {
    const lines: StockLine[] = [];
    const base = `/warehouses/${encodeURIComponent(warehouse)}/stock?limit=${PAGE}`;
    for (let path = base; ; ) {
      const { items, totals, next } = await this.#call({ operation: 'stock', method: 'GET', path, signal }, readPage);
      for (const item of items) lines.push(item);
      if (next === undefined) return { lines, totals };
      // A cursor that stands still would be asked for ever.
      if (items.length === 0) throw this.#unavailable('NotUnderstood', 'gave an empty page of stock with more to come');
      path = `${base}&cursor=${encodeURIComponent(next)}`;
    }
  }

  async adjust(adjustment: Adjustment, signal?: AbortSignal): Promise<AdjustmentBooked> {
    const call: Call = { operation: 'adjust', method: 'POST', path: '/adjustments', body: adjustment, signal };
    return { shortage: 0, ...(await this.#call(call, readBooked)) };
  }

  async receive(receipt: Receipt, signal?: AbortSignal): Promise<ReceiptBooked> {
    const call: Call = { operation: 'receive', method: 'POST', path: '/receipts', body: receipt, signal };
    return this.#call(call, readReceived);
  }

  /** One request and its answer read; every way to end is counted here. */
  async #call<T>(call: Call, read: (where: string, reply: RawReply) => T): Promise<T> {
    const started = performance.now();
    let outcome = 'ok';
    try {
      return read(`${call.method} ${this.#options.baseUrl}${call.path}`, await this.#exchange(call));
    } catch (error) {
      outcome = error instanceof Error && 'reason' in error ? String(error.reason) : 'Failed';
      throw error;
    } finally {
      this.#options.observer?.(call.operation, outcome, (performance.now() - started) / 1000);
    }
  }

  async #exchange(call: Call): Promise<RawReply> {
    const { baseUrl, audience, tokens, dispatcher, timeoutMs = TIMEOUT_MS } = this.#options;
    const { origin, pathname } = new URL(baseUrl);
    const timeout = AbortSignal.timeout(timeoutMs);
    const token = await tokens(audience).catch((cause: unknown) => {
      throw this.#unavailable('NoToken', `cannot be asked: no token for audience ${audience}`, cause);
    });
    try {
      const { statusCode, headers, body } = await dispatcher.request({
        origin,
        path: `${pathname.replace(/\/+$/, '')}${call.path}`,
        method: call.method,
        headers: {
          authorization: `Bearer ${token}`,
          accept: 'application/json',
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        signal: call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]),
      });
      if (statusCode === 401) tokens.rejected?.(audience, token);
      const text = await this.#limited(body);
      return { status: statusCode, contentType: String(headers['content-type'] ?? ''), text };
    } catch (error) {
      if (error instanceof InventoryUnavailable) throw error;
      if (timeout.aborted) throw this.#unavailable('Timeout', `gave no whole answer within ${timeoutMs} ms`, error);
      if (call.signal?.aborted) throw this.#unavailable('Aborted', 'was not waited for any longer', error);
      const code = (error as { code?: unknown }).code;
      throw this.#unavailable(
        'Unreachable',
        `cannot be reached (${typeof code === 'string' ? code : (error as Error).message}); does the service run, and is the Participant's address right?`,
        error,
      );
    }
  }

  async #limited(body: AsyncIterable<Buffer>): Promise<string> {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of body) {
      length += chunk.length;
      // Leaving the loop destroys the body and closes its connection.
      if (length > MAX_ANSWER_BYTES)
        throw this.#unavailable('TooLarge', `answered more than ${MAX_ANSWER_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
  }

  #unavailable(reason: string, what: string, cause?: unknown): InventoryUnavailable {
    return new InventoryUnavailable(reason, `inventory at ${this.#options.baseUrl} ${what}`, cause);
  }
}
