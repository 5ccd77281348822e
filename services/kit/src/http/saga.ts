import type { IncomingMessage, ServerResponse } from 'node:http';
import type { TokenCheck } from '../auth/tokens.ts';
import type { JsonObject } from '../json.ts';
import type { ServiceMetrics } from '../metrics.ts';
import { type Answer, refused } from '../participant/answer.ts';
import type { CommandRequest, Participant } from '../participant/participant.ts';
import { ProblemError } from '../problem.ts';
import { readJson } from './body.ts';
import { retryAfterHeaders, spread } from './retry-after.ts';

/** The contract's limits. */
export const maxCommandBytes = 64 * 1024;
export const maxBatchBytes = 1024 * 1024;
export const maxBatchItems = 100;

export interface SagaHandlerOptions {
  readonly participant: Participant;
  readonly tokens: TokenCheck;
  readonly metrics: ServiceMetrics;
  /** Commands carried out at once; more get 429. */
  readonly maxInFlight: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Answers `POST /saga/...` on Node's own request and response: this is the hot path, and a framework's routing and header work per command
 * would be a good part of its cost.
 */
export function sagaHandler(
  options: SagaHandlerOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { participant, tokens, metrics, maxInFlight } = options;
  let inFlight = 0;

  async function admitted<R>(count: number, work: () => Promise<R>): Promise<R> {
    // A batch larger than all there is may run alone.
    if (inFlight > 0 && inFlight + count > maxInFlight) {
      metrics.overloaded.inc();
      throw new ProblemError(429, 'Overloaded', `${inFlight} commands are being carried out; slow down`);
    }
    inFlight += count;
    metrics.inFlight.set(inFlight);
    try {
      return await work();
    } finally {
      inFlight -= count;
      metrics.inFlight.set(inFlight);
    }
  }

  return async (request, response) => {
    try {
      if (request.method !== 'POST') throw new ProblemError(405, 'MethodNotAllowed', 'commands are sent with POST');
      await tokens.check(request.headers.authorization);
      const path = request.url!.split('?', 1)[0]!.slice('/saga/'.length);
      if (path === 'batch') {
        const requests = parseBatch(await readJson(request, maxBatchBytes));
        const answers = await admitted(requests.length, () => participant.executeBatch(requests));
        send(response, { status: 200, body: { items: answers as unknown as JsonObject[] } });
        return;
      }
      const body = await readJson(request, maxCommandBytes);
      send(response, await admitted(1, () => participant.execute(toCommand(path, request, body))));
    } catch (error) {
      sendError(response, error, options.onError);
    }
  };
}

function toCommand(command: string, request: IncomingMessage, body: unknown): CommandRequest {
  const { headers } = request;
  const traceparent = headers['traceparent'];
  return {
    command,
    key: String(headers['idempotency-key'] ?? ''),
    epoch: /^\d{1,15}$/.test(String(headers['mercato-epoch'])) ? Number(headers['mercato-epoch']) : 0,
    begun: String(headers['mercato-begun'] ?? ''),
    body,
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
  };
}

function parseBatch(body: unknown): CommandRequest[] {
  const items = (body as { items?: unknown } | null)?.items;
  if (!Array.isArray(items) || items.length === 0 || items.length > maxBatchItems) {
    throw new ProblemError(400, 'BadRequest', `items must be an array of 1 to ${maxBatchItems} commands`);
  }
  return items.map(commandOf);
}

/** An item of a batch, or a message of a queue. Wrong forms are made into values that the participant refuses: one bad item does not spoil its batch. */
export function commandOf(item: unknown): CommandRequest {
  const { command, key, epoch, begun, traceparent, body } = (item ?? {}) as Record<string, unknown>;
  return {
    command: String(command),
    key: String(key),
    epoch: typeof epoch === 'number' ? epoch : 0,
    begun: String(begun),
    body,
    ...(typeof traceparent === 'string' ? { traceparent } : {}),
  };
}

/** Writes an answer; problems go out as `application/problem+json`. */
export function send(response: ServerResponse, answer: Answer): void {
  if (response.headersSent || response.destroyed) return;
  const text = JSON.stringify(answer.body);
  response.statusCode = answer.status;
  response.setHeader('Content-Type', answer.status < 400 ? 'application/json' : 'application/problem+json');
  response.setHeader('Content-Length', Buffer.byteLength(text));
  if (answer.retryAfter !== undefined)
    for (const [name, value] of retryAfterHeaders(answer.retryAfter)) response.setHeader(name, value);
  // What is left of a body that is too large is not worth reading to keep the connection.
  if (answer.status === 413) response.setHeader('Connection', 'close');
  response.end(text);
}

/** How long who is turned away is to stay away, at least: {@link spread} makes it up to twice that. Seconds, by status. */
const LEAST_PAUSE: Readonly<Record<number, number>> = { 429: 0.5, 503: 1 };

/** Answers an error with its problem; what is not one is logged and told as 500 without its cause. */
export function sendError(response: ServerResponse, error: unknown, onError: (error: unknown) => void): void {
  if (!(error instanceof ProblemError)) {
    onError(error);
    send(response, refused(500, 'InternalError', 'the request failed inside; see the log'));
    return;
  }
  const { problem } = error;
  if (problem.status === 401) response.setHeader('WWW-Authenticate', 'Bearer');
  const least = LEAST_PAUSE[problem.status];
  const retryAfter = least === undefined ? undefined : spread(least);
  send(response, { status: problem.status, body: problem, ...(retryAfter === undefined ? {} : { retryAfter }) });
}
