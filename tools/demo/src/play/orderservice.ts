import type { RunPhase } from '@mercato/operator/api/ordersagarun.ts';
import { Agent, request } from 'undici';
import { type Brought, type Counter, RETRY_MS, type Told } from './counter.ts';
import type { PlannedOrder } from './order.ts';
import { pause } from './patience.ts';
import type { Reach } from './reach.ts';

/** The states of orders (docs/reference/order.md), said here again, since the order service's own are under test. */
const PHASES: Readonly<Record<string, RunPhase>> = {
  Placed: 'Running',
  Cancelling: 'Running',
  Held: 'Held',
  Completed: 'Succeeded',
  Failed: 'Compensated',
  Cancelled: 'Compensated',
  Aborted: 'Aborted',
};

/** Longer than a request takes that is answered at all, in milliseconds. */
const TIMEOUT_MS = 10_000;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** The order service, as whoever acts for customers uses it: `POST /orders` under a key of each order's own, then `GET /orders/{id}`. */
export class OrderService implements Counter {
  readonly #reach: Pick<Reach, 'urlOf' | 'tokenFor'>;
  readonly #agent = new Agent({ connections: 16, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });

  constructor(reach: Pick<Reach, 'urlOf' | 'tokenFor'>) {
    this.#reach = reach;
  }

  /** The key is the planned order's id, so that an order whose answer was lost is placed once. One that is wanted no more is cancelled at once. */
  async bring({ orderId, input, cancel }: PlannedOrder, signal: AbortSignal): Promise<Brought> {
    const answer = await this.#untilFinal('/orders', { 'idempotency-key': orderId }, input, signal);
    if (answer.status !== 201) return { refusal: refusalOf(answer) };
    const { id } = answer.body as { id: string };
    // 409: it was over before. What it came to, its customer is told.
    if (cancel === true) await this.#untilFinal(`/orders/${id}/cancel`, {}, { reason: 'changed my mind' }, signal);
    return { orderId: id };
  }

  /** The same request again, until repeating it would change nothing. */
  async #untilFinal(
    path: string,
    headers: Record<string, string>,
    body: unknown,
    signal: AbortSignal,
  ): Promise<Answer> {
    for (;;) {
      signal.throwIfAborted();
      const answer = await this.#try(path, headers, body);
      if (answer !== undefined && isFinal(answer.status)) return answer;
      await pause(RETRY_MS, signal);
    }
  }

  async told(orderId: string): Promise<Told | undefined> {
    const answer = await this.#try(`/orders/${orderId}`);
    if (answer?.status !== 200) return undefined;
    const { state, reason, message } = answer.body as { state: string; reason?: string; message?: string };
    const phase = PHASES[state];
    if (phase === undefined)
      throw new Error(`order ${orderId} is ${state}, which docs/reference/order.md does not know`);
    return { phase, ...(reason === undefined ? {} : { reason }), ...(message === undefined ? {} : { message }) };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  /** One request; undefined when nobody answered, who may have done what was asked for. */
  async #try(path: string, headers: Record<string, string> = {}, body?: unknown): Promise<Answer | undefined> {
    try {
      const token = await this.#reach.tokenFor('order');
      const answer = await request(`${this.#reach.urlOf('order')}${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        dispatcher: this.#agent,
        headers: {
          ...headers,
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await answer.body.text();
      return { status: answer.statusCode, body: JSON.parse(text) as unknown };
    } catch {
      // Whoever asks asks again; an order that never gets through is still open at the end, which the play says.
      return undefined;
    }
  }
}

/** Whether repeating a request would change nothing. */
function isFinal(status: number): boolean {
  return status < 500 && ![408, 425, 429].includes(status);
}

/** The service's own words. */
function refusalOf({ status, body }: Answer): string {
  const { reason, detail } = (body ?? {}) as { reason?: string; detail?: string };
  return `${status} ${reason ?? ''}: ${detail ?? JSON.stringify(body)}`;
}
