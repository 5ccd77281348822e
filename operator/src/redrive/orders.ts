import { readFile } from 'node:fs/promises';
import { request } from 'undici';
import type { Standing } from './letter.ts';

/** States of the order service (services/order, docs/reference/order.md) in which an order's run may still be wanted. */
const OPEN: ReadonlySet<unknown> = new Set(['Placed', 'Cancelling', 'Held']);
const OVER: ReadonlySet<unknown> = new Set(['Completed', 'Cancelled', 'Aborted']);
const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1_048_576;

/** How the order service is asked. */
export interface OrderServiceOptions {
  /** Where its paths begin, without a slash at the end. */
  readonly baseUrl: string;
  /** The file of a token for its audience, read for each request. @default none */
  readonly tokenFile?: string;
}

/** How an order stands, and why nothing is known where that is so. Never rejects for what the service does. */
export async function standingOf(
  { baseUrl, tokenFile }: OrderServiceOptions,
  orderId: string,
): Promise<{ readonly standing: Standing; readonly why?: string }> {
  const token = tokenFile === undefined ? undefined : (await readFile(tokenFile, 'utf8')).trim();
  try {
    const { statusCode, body } = await request(`${baseUrl}/orders/${encodeURIComponent(orderId)}`, {
      headers: { accept: 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await body.text();
    if (statusCode === 404) return { standing: 'Unknown', why: 'the order service has no such order' };
    if (statusCode !== 200 || text.length > MAX_ANSWER_BYTES)
      return { standing: 'Untold', why: `the order service answered ${statusCode}` };
    const { state } = JSON.parse(text) as { state?: unknown };
    if (state === 'Failed') return { standing: 'Failed', why: 'the order is Failed, and its customer was told so' };
    if (OVER.has(state)) return { standing: 'Ended', why: `the order is ${String(state)}` };
    return OPEN.has(state)
      ? { standing: 'Open' }
      : { standing: 'Untold', why: 'the order service names a state that this command does not know' };
  } catch (error) {
    return { standing: 'Untold', why: `the order service cannot be asked: ${(error as Error).message}` };
  }
}
