import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  type Clock,
  fingerprint,
  type Instant,
  ProblemError,
  problem,
  type RawRoute,
  type TokenCheck,
  type Tracing,
  toRfc3339,
  traceparentOf,
} from '@mercato/kit';
import { readJson } from '@mercato/kit/http/body.ts';
import { spread } from '@mercato/kit/http/retry-after.ts';
import { send } from '@mercato/kit/http/saga.ts';
import { Type } from '@sinclair/typebox';
import type { Admission } from '../admission/admission.ts';
import { placedEvent, type Shop } from '../domain/events.ts';
import { newOrderId } from '../domain/ids.ts';
import { type Order, placed } from '../domain/order.ts';
import { OrderRequest, readRequest, totalOf } from '../domain/terms.ts';
import { failSpan } from '../failed-span.ts';
import type { Orders, Placement, StoredAnswer } from '../ports/orders.ts';
import { unavailable } from './problems.ts';

/** What placing orders needs. */
export interface PlaceOptions {
  readonly orders: Pick<Orders, 'place'>;
  readonly shop: Shop;
  readonly tokens: TokenCheck;
  readonly tracing: Tracing;
  readonly admission: Admission;
  readonly clock: Clock;
  /** Currencies that orders are taken in. @default any */
  readonly currencies?: ReadonlySet<string>;
  /** Told each request that was turned away. */
  readonly onOverload?: () => void;
  /** Told each order that was placed. */
  readonly onPlaced?: () => void;
}

/** An order of 100 lines with the longest fields has 11 KiB. */
const MAX_BYTES = 64 * 1024;

const PlacedOrder = Type.Object(
  {
    id: Type.String({ description: 'The order: also the last part of Location' }),
    state: Type.Literal('Placed'),
    currency: Type.String(),
    total: Type.Integer(),
    placedAt: Type.String({ description: 'RFC 3339' }),
  },
  { additionalProperties: false },
);

/**
 * `POST /orders`. On Node's own request and response: it is what the shop's rate depends on.
 *
 * The answer is given when order, event and key are on disk. The key of a request that was read and decided stays bound to it, refused or not; a request
 * that is malformed binds none, and leaves no trace: it may hold a card number.
 */
export function placeRoute(options: PlaceOptions): RawRoute {
  return {
    method: 'post',
    path: '/orders',
    tag: 'orders',
    summary: 'Places an order. The same request under the same key is answered as it was, and placed once',
    headers: Type.Object({
      'Idempotency-Key': Type.String({ pattern: keyForm.source, description: 'Chosen by the caller, for one order' }),
    }),
    body: OrderRequest,
    status: 201,
    response: PlacedOrder,
    others: {
      400: 'the request is malformed, or has no Idempotency-Key; send it corrected, under the same key if you like',
      401: 'no good token',
      403: 'the caller may not place orders',
      413: `the body has more than ${MAX_BYTES} bytes`,
      415: 'the body is not application/json',
      422: 'the order is not taken (TotalTooLarge, SkusTooLong, CurrencyNotTaken), or the key was used for another (KeyReused)',
      429: 'too much to do: the same again after Retry-After seconds; nothing was stored',
      503: 'the store cannot be used: the same again, under the same key, after Retry-After seconds',
    },
    handle: (request, response) => handle(options, request, response),
  };
}

/** Visible ASCII: what a header can carry without questions. */
const keyForm = /^[\x21-\x7e]{1,255}$/;

async function handle(options: PlaceOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { tokens, tracing } = options;
  const caller = (await tokens.check(request.headers.authorization)).subject;
  if (isRefused(options, response)) return;
  // Begins behind both: who may not call, or is turned away, cannot have traces kept.
  const beginning = { kind: 'server', parent: traceparentOf(request.headers['traceparent']) } as const;
  const span = tracing.enter('POST /orders', beginning);
  try {
    await place(options, caller, span.traceparent, request, response);
    span.set({ 'http.response.status_code': response.statusCode });
  } catch (error) {
    failSpan(span, error);
    throw error;
  } finally {
    span.end();
  }
}

async function place(
  options: PlaceOptions,
  caller: string,
  traceparent: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { admission, orders } = options;
  const key = keyOf(request);
  const body = await readJson(request, MAX_BYTES);
  // Others may have come in while the body came.
  if (isRefused(options, response)) return;
  const placement = decide(options, { caller, key }, body, traceparent);
  const result = await admitted(admission, () => orders.place(placement).catch(unavailable));
  if (result.type === 'Mismatch') throw reused();
  if (result.type === 'Recorded' && placement.placed !== undefined) options.onPlaced?.();
  answer(response, result.type === 'Replayed' ? result.answer : placement.answer, result.type === 'Replayed');
}

/** Counts as under way what waits for its commit, and nothing else: requests that are malformed do not wait, and would hide that others do. */
async function admitted<R>(admission: Admission, work: () => Promise<R>): Promise<R> {
  const began = performance.now();
  admission.enter();
  try {
    return await work();
  } finally {
    const now = performance.now();
    admission.leave(now, now - began);
  }
}

function isRefused({ admission, onOverload }: PlaceOptions, response: ServerResponse): boolean {
  const pause = admission.refusal(performance.now());
  if (pause === undefined) return false;
  onOverload?.();
  const detail = 'more orders come in than can be carried out in time: send it again later, nothing was stored';
  send(response, { status: 429, body: problem(429, 'Overloaded', detail), retryAfter: spread(pause / 1000) });
  return true;
}

function keyOf(request: IncomingMessage): string {
  const key = request.headers['idempotency-key'];
  if (typeof key === 'string' && keyForm.test(key)) return key;
  const detail =
    'send an Idempotency-Key of 1 to 255 visible characters, a new one for each order, the same when you repeat it';
  throw new ProblemError(400, key === undefined ? 'KeyMissing' : 'KeyMalformed', detail);
}

function reused(): ProblemError {
  const detail = 'this Idempotency-Key was used for another order: choose a new key for a new order';
  return new ProblemError(422, 'KeyReused', detail);
}

function decide(
  { shop, clock, currencies }: PlaceOptions,
  key: Placement['key'],
  body: unknown,
  traceparent: string | undefined,
): Placement {
  const read = readRequest(body);
  if (!read.ok) throw new ProblemError(400, 'BadRequest', read.detail);
  const { request } = read;
  const at = clock.now();
  const said = { key, fingerprint: fingerprint('place-order', request), at };
  const sum = totalOf(request, currencies);
  if ('reason' in sum) return { ...said, answer: refusalAnswer(sum.reason, sum.detail) };
  const { paymentToken: _kept, ...terms } = request;
  const order: Order = { id: newOrderId(at), terms, total: sum.total, placedAt: at, progress: placed(at) };
  return {
    ...said,
    answer: orderAnswer(order, at),
    placed: { order, event: placedEvent(shop, order, request, traceparent) },
  };
}

function orderAnswer({ id, terms, total }: Order, at: Instant): StoredAnswer {
  const { currency } = terms;
  const body = JSON.stringify({ id, state: 'Placed', currency, total, placedAt: toRfc3339(at) });
  return { status: 201, orderId: id, body };
}

const refusalAnswer = (reason: string, detail: string): StoredAnswer => ({
  status: 422,
  body: JSON.stringify(problem(422, reason, detail)),
});

function answer(response: ServerResponse, { status, orderId, body }: StoredAnswer, isReplay: boolean): void {
  if (response.destroyed) return;
  response.writeHead(status, {
    'Content-Type': status < 400 ? 'application/json' : 'application/problem+json',
    'Content-Length': Buffer.byteLength(body),
    ...(orderId === undefined ? {} : { Location: `/orders/${orderId}` }),
    ...(isReplay ? { 'Idempotency-Replayed': 'true' } : {}),
  });
  response.end(body);
}
