import { setTimeout as pause } from 'node:timers/promises';
import type { AcceptedOrder, ObservedRun } from '@mercato/demo/conservation.ts';
import { type PlannedOrder, totalOf } from '@mercato/demo/play/order.ts';
import { unitHash } from '@mercato/demo/play/random.ts';
import type { OrderId } from '@mercato/operator/api/names.ts';
import type { OrderInput } from '@mercato/operator/api/ordersagarun.ts';
import { Agent, request } from 'undici';

/** One in so many customers wants no order any more once it was taken. */
const CANCEL_ONE_IN = 12;
/** Requests under way. */
const AT_ONCE = 16;
const AGAIN_MS = 100;
/** How long nobody may answer. A service that was killed is back in a second or two; the machine does a dozen other things. */
const PATIENCE_MS = 180_000;

/** Where the shop is, and who its customers are. */
export interface CustomersOptions {
  readonly seed: string;
  /** Of the order service. */
  readonly url: string;
  readonly token: string;
  readonly namespace: string;
  readonly saga: string;
  /** Sent in this order, as far as {@link Customers.release} lets them. */
  readonly orders: readonly PlannedOrder[];
}

interface Placed {
  readonly id: string;
  readonly input: OrderInput;
}

/**
 * Customers of the order service, who keep a log of their own. Each sends its order under one key until that is answered, as an honest client does, and a
 * few ask for a cancel at once.
 */
export class Customers {
  /** Answers that were neither an acceptance nor a word about load or trouble, as sentences. */
  readonly refused: string[] = [];
  /** What was answered on the way, by status; 0: nobody answered. */
  readonly answers = new Map<number, number>();
  readonly #o: CustomersOptions;
  readonly #agent = new Agent({ connections: AT_ONCE, headersTimeout: 10_000, bodyTimeout: 10_000 });
  readonly #placed = new Map<OrderId, Placed>();
  readonly #ends = new Map<string, string>();
  readonly #sending: Promise<void>[];
  #next = 0;
  #open = 0;
  #stopped = false;

  constructor(options: CustomersOptions) {
    this.#o = options;
    this.#sending = Array.from({ length: AT_ONCE }, () => this.#send());
  }

  /** So many orders in all may be sent from now on. */
  release(count: number): void {
    this.#open = Math.min(Math.max(count, this.#open), this.#o.orders.length);
  }

  get accepted(): number {
    return this.#placed.size;
  }

  /** Whether all that may be sent was answered. */
  get isAnswered(): boolean {
    return this.accepted + this.refused.length >= this.#open;
  }

  /** Orders that were accepted and whose customers have heard of no end, as `told` says. */
  openOf(told: (orderId: string) => boolean): Placed[] {
    return [...this.#placed.values()].filter(({ id }) => !told(id));
  }

  /** What the customers were promised, for the conservation check. */
  get promises(): AcceptedOrder[] {
    return [...this.#placed.values()].map(({ id, input }) => ({
      key: this.#keyOf(id),
      total: totalOf(input),
      currency: input.currency,
      lines: input.lines,
    }));
  }

  /** Asks the order service how each order stands. Those that have come to rest are not asked about again. */
  async look(): Promise<ReadonlyMap<string, string>> {
    const queue = [...this.#placed.values()].filter(({ id }) => !isOver(this.#ends.get(id)));
    const lane = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const { status, body } = await this.#patiently('GET', `/orders/${next.id}`);
        if (status !== 200) throw new Error(`GET /orders/${next.id}: ${status} ${JSON.stringify(body)}`);
        this.#ends.set(next.id, String((body as { state?: unknown }).state));
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    return this.#ends;
  }

  /** Runs as the order service knows of them, after {@link look}. An order of whose end it has not heard still runs. */
  get runs(): ObservedRun[] {
    return [...this.#placed.values()].map(({ id }) => ({
      key: this.#keyOf(id),
      phase: PHASES[this.#ends.get(id) ?? ''] ?? 'Running',
      givenUp: [],
    }));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#sending);
    await this.#agent.destroy();
  }

  #keyOf(id: string): string {
    return `${this.#o.namespace}/${this.#o.saga}/${id}`;
  }

  async #send(): Promise<void> {
    while (!this.#stopped) {
      const order = this.#next < this.#open ? this.#o.orders[this.#next] : undefined;
      if (order === undefined) await pause(AGAIN_MS / 5);
      else {
        this.#next += 1;
        await this.#place(order).catch((error: unknown) => this.refused.push(String(error)));
      }
    }
  }

  async #place({ orderId, input }: PlannedOrder): Promise<void> {
    const { status, body } = await this.#patiently('POST', '/orders', input, orderId);
    if (status !== 201) throw new Error(`POST /orders for ${orderId}: ${status} ${JSON.stringify(body)}`);
    const { id } = body as { id: string };
    this.#placed.set(orderId, { id, input });
    // A parcel that is on its way cannot be called back, and its run would be held.
    const isFast = input.shipTo?.line1?.includes('sim:quick_pickup') === true;
    if (!isFast && unitHash(`${this.#o.seed}\ncancel\n${orderId}`) < 1 / CANCEL_ONE_IN)
      await this.#patiently('POST', `/orders/${id}/cancel`, {});
  }

  /** The same request again while nobody answers, or too busily. @throws Error when that lasts for three minutes */
  async #patiently(method: 'GET' | 'POST', path: string, body?: unknown, key?: string): Promise<Answer> {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const answer = await this.#ask(method, path, body, key);
      this.answers.set(answer.status, (this.answers.get(answer.status) ?? 0) + 1);
      if (answer.status !== 0 && answer.status !== 429 && answer.status < 500) return answer;
      if (performance.now() > deadline || this.#stopped)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}, for too long`);
      await pause(AGAIN_MS);
    }
  }

  async #ask(method: 'GET' | 'POST', path: string, body: unknown, key: string | undefined): Promise<Answer> {
    try {
      const answer = await request(this.#o.url + path, {
        method,
        dispatcher: this.#agent,
        headers: {
          authorization: `Bearer ${this.#o.token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: text === '' ? undefined : (JSON.parse(text) as unknown) };
    } catch (error) {
      // Killed before it answered, or in the middle of it.
      return { status: 0, body: String(error) };
    }
  }
}

interface Answer {
  /** 0: nobody answered. */
  readonly status: number;
  readonly body: unknown;
}

/** An order's state as its run's phase. */
const PHASES: Readonly<Record<string, ObservedRun['phase']>> = {
  Completed: 'Succeeded',
  Failed: 'Compensated',
  Cancelled: 'Compensated',
  Aborted: 'Aborted',
  Held: 'Held',
};

const isOver = (state: string | undefined): boolean => state !== undefined && state !== 'Held' && state in PHASES;
