import { isUtf8 } from 'node:buffer';
import { MAX_OUTPUT_BYTES } from '../saga/output.ts';
import type { Answer, Json, Output, RunMillis, WallMillis } from '../saga/types.ts';
import { excerpt } from './excerpt.ts';

/** An HTTP answer as it came in; nothing of it is trusted yet. */
export interface RawAnswer {
  readonly status: number;
  /** The Content-Type header, parameters included. */
  readonly contentType?: string | undefined;
  /** The Retry-After header. */
  readonly retryAfter?: string | undefined;
  /** The Mercato-Retry-After-Ms header: the same exactly, since Retry-After has whole seconds. */
  readonly retryAfterMs?: string | undefined;
  readonly body: Buffer;
  /** The body was longer than the limit and is cut off there. */
  readonly truncated?: boolean;
  /** When it came in; a Retry-After that is a date counts from here. */
  readonly receivedAt: WallMillis;
}

/** What is known of the command that was sent. */
export interface Expected {
  /** Where it was sent, for messages: `POST http://inventory:8080/saga/reserve-stock`. */
  readonly where: string;
  readonly command: string;
  /** The business failures that the Participant declares for the command. */
  readonly reasons: readonly string[];
}

/** Each level of nesting takes two bytes of canonical JSON, so that nothing deeper can fit. */
const MAX_OUTPUT_DEPTH = MAX_OUTPUT_BYTES / 2;

/** A run's status holds no higher epoch. A participant that names one would have the next Retry end in a journal that cannot be written. */
const MAX_EPOCH = 1_000_000;

/** A longer wait is not believed; the engine's own limit is far below. */
const MAX_RETRY_AFTER: RunMillis = 86_400_000;

/** Messages stand in statuses that are kept small. */
const MAX_MESSAGE = 256;

/**
 * Reads a participant's answer in the engine's words (design rule 5; docs/reference/participant-contract.md, "Answers"). What the contract does not
 * know is `Unknown`: it never counts as done, and never as not done. Never throws, whatever came in.
 */
export function readAnswer(raw: RawAnswer, expected: Expected): Answer {
  const retryAfter = waitOf(raw);
  switch (raw.status) {
    case 200: {
      const parsed = parseBody(raw, 'application/json', expected);
      return 'type' in parsed ? parsed : readOutput(parsed.value, expected);
    }
    case 409:
    case 410:
    case 422: {
      const parsed = parseBody(raw, 'application/problem+json', expected);
      return 'type' in parsed ? parsed : readProblem(raw.status, parsed.value, expected);
    }
    case 202:
    case 425:
    case 429:
      return readWait(raw.status, retryAfter, expected);
    default:
      return unexpectedStatus(raw, expected);
  }
}

/**
 * Reads one item of a batch's answer, `{status, body, retryAfter?}` with `retryAfter` in seconds: as {@link readAnswer}, only that the body is parsed
 * already. Never throws.
 */
export function readItem(item: unknown, expected: Expected): Answer {
  if (!isObject(item) || !Number.isInteger(item['status'])) {
    return unknown(
      'BadBatchAnswer',
      `${expected.where} answered ${expected.command} with an item that has no status; an item is {"status":200,"body":{...}}`,
    );
  }
  const status = item['status'] as number;
  switch (status) {
    case 200:
      return readOutput(item['body'], expected);
    case 409:
    case 410:
    case 422:
      return readProblem(status, item['body'], expected);
    case 202:
    case 425:
    case 429:
      return readWait(status, secondsToMillis(item['retryAfter']), expected);
    default:
      return statusUnknown(status, said(item['body']), expected);
  }
}

/** The items of a batch's answer, one for each item sent and in their order, or what the failure of the whole means for each of them. */
export type BatchReading = { readonly items: readonly unknown[] } | { readonly whole: Answer };

/**
 * Reads the answer to a batch of `count` commands as a whole (contract, "Batch"): a batch fails only as a whole request can. Never throws.
 */
export function readBatch(raw: RawAnswer, count: number, where: string): BatchReading {
  const expected: Expected = { where, command: 'the batch', reasons: [] };
  if (raw.status === 429) return { whole: readWait(429, waitOf(raw), expected) };
  if (raw.status !== 200) return { whole: unexpectedStatus(raw, expected) };
  const parsed = parseBody(raw, 'application/json', expected);
  if ('type' in parsed) return { whole: parsed };
  const items = isObject(parsed.value) ? parsed.value['items'] : undefined;
  if (Array.isArray(items) && items.length === count) return { items };
  const found = Array.isArray(items) ? `${items.length} items` : 'no items';
  return {
    whole: unknown(
      'BadBatchAnswer',
      `${where} answered ${found} to a batch of ${count}; it must answer each item, in order`,
    ),
  };
}

/** When to come again, as exactly as it was said. */
function waitOf({ retryAfter, retryAfterMs, receivedAt }: RawAnswer): RunMillis | undefined {
  const exact = /^\s*\d{1,9}\s*$/.test(retryAfterMs ?? '') ? Number(retryAfterMs) : undefined;
  return exact === undefined ? parseRetryAfter(retryAfter, receivedAt) : Math.min(exact, MAX_RETRY_AFTER);
}

/**
 * A Retry-After header as milliseconds: seconds (decimals, which RFC 9110 does not have, are understood) or an HTTP date (RFC 9110, 10.2.3), at most a day. `undefined` when it
 * is absent or says nothing.
 */
export function parseRetryAfter(header: string | undefined, receivedAt: WallMillis): RunMillis | undefined {
  const text = header?.trim();
  if (text === undefined) return undefined;
  if (/^\d{1,9}(\.\d{1,9})?$/.test(text)) return secondsToMillis(Number(text));
  // Every form of an HTTP date begins with the name of a day; Date.parse would also take "-5" or "2026" for one.
  const date = /^[A-Z][a-z]+,? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - receivedAt, 0), MAX_RETRY_AFTER);
}

function secondsToMillis(seconds: unknown): RunMillis | undefined {
  if (typeof seconds !== 'number' || !(seconds >= 0)) return undefined;
  return Math.min(Math.ceil(seconds * 1000), MAX_RETRY_AFTER);
}

function readOutput(value: unknown, { where, command }: Expected): Answer {
  if (!isObject(value)) {
    return unknown(
      'NotAnObject',
      `${where} answered ${command} with ${kindOf(value)} as its output; it must be a JSON object`,
    );
  }
  const unfit = unfitness(value, MAX_OUTPUT_DEPTH);
  if (unfit === 'number') {
    return unknown('NotJson', `${where} answered ${command} with a number that no double can hold`);
  }
  // Canonical JSON only has another order: as many bytes, and this is the engine's own.
  const bytes = unfit === 'depth' ? undefined : Buffer.byteLength(JSON.stringify(value));
  if (bytes !== undefined && bytes <= MAX_OUTPUT_BYTES) return { type: 'Success', output: value };
  return unknown(
    'OutputTooLarge',
    `${where} answered ${command} with an output of ${bytes ?? `over ${MAX_OUTPUT_BYTES}`} bytes; at most ${MAX_OUTPUT_BYTES} fit into a run. Answer references, not content`,
  );
}

function readProblem(status: number, value: unknown, expected: Expected): Answer {
  const { where, command, reasons } = expected;
  const reason = isObject(value) && typeof value['reason'] === 'string' ? value['reason'] : undefined;
  const message = said(value);
  if (status === 422) {
    if (reason !== undefined && reasons.includes(reason)) {
      return { type: 'BusinessFailure', reason, message: message ?? reason };
    }
    const declared = reasons.length === 0 ? 'none' : reasons.join(', ');
    if (reason === undefined) {
      return unknown(
        'ReasonMissing',
        `${where} answered ${command} with a 422 that has no reason; declared are: ${declared}`,
      );
    }
    return unknown(
      'ReasonNotDeclared',
      `${where} answered ${command} with the business failure "${excerpt(reason, 64)}", which the Participant does not declare; declared are: ${declared}. Declare it in spec.commands, or correct the service`,
    );
  }
  if (status === 409 && (reason === 'FingerprintMismatch' || reason === 'Fenced')) {
    return { type: 'Refused', reason, message: message ?? reason };
  }
  if (status === 409 && reason === 'StaleEpoch') {
    const epoch = isObject(value) ? value['epoch'] : undefined;
    const believable = Number.isSafeInteger(epoch) && (epoch as number) >= 1 && (epoch as number) < MAX_EPOCH;
    const known = believable ? { epoch: epoch as number } : {};
    return { type: 'Refused', reason, message: message ?? reason, ...known };
  }
  if (status === 410 && reason === 'KeyExpired') return { type: 'Refused', reason, message: message ?? reason };
  return statusUnknown(status, message, expected);
}

function readWait(status: 202 | 425 | 429, retryAfter: RunMillis | undefined, { where, command }: Expected): Answer {
  const later = retryAfter === undefined ? {} : { retryAfter };
  switch (status) {
    case 202:
      return { type: 'Accepted', ...later };
    case 425:
      return {
        type: 'NotNow',
        reason: 'InFlight',
        message: `${where}: another copy of ${command} is being carried out`,
        ...later,
      };
    case 429:
      return {
        type: 'NotNow',
        reason: 'Overloaded',
        message: `${where}: it has too much to do for ${command} now`,
        ...later,
      };
  }
}

function unexpectedStatus(raw: RawAnswer, expected: Expected): Answer {
  const media = mediaType(raw.contentType);
  const text = excerptOf(raw.body);
  if (raw.truncated || media !== 'application/problem+json') return statusUnknown(raw.status, text, expected);
  const value = parseJson(raw.body);
  return statusUnknown(raw.status, value === undefined ? text : said(value), expected);
}

function statusUnknown(status: number, told: string | undefined, { where, command }: Expected): Answer {
  const hint = hintFor(status);
  const quote = told === undefined || told === '' ? '' : `: "${told}"`;
  return unknown(
    `HttpStatus${status}`,
    `${where} answered ${command} with status ${status}${quote}${hint === undefined ? '' : `; ${hint}`}`,
  );
}

function hintFor(status: number): string | undefined {
  if (status >= 500) return "see the participant's log";
  if (status >= 300 && status < 400) return 'redirects are not followed: give the Participant the final address';
  switch (status) {
    case 401:
      return "the token was not accepted: compare the Participant's audience with the service's";
    case 403:
      return "the operator's service account is not allowed to do this there";
    case 404:
      return "check the Participant's address and basePath, and that the service knows the command";
    case 409:
    case 410:
      return 'the contract knows no such refusal';
    case 413:
      return 'the request is larger than the service takes';
    default:
      return status < 300 ? 'the contract knows 200 with an output, and 202' : undefined;
  }
}

/** The parsed body, or why it is none. An answer of the wrong type is not looked into: a proxy's page must not pass for a participant's word. */
function parseBody(raw: RawAnswer, wanted: string, { where, command }: Expected): Answer | { readonly value: unknown } {
  const media = mediaType(raw.contentType);
  if (media === 'text/html' || media === 'application/xhtml+xml') {
    return unknown(
      'Html',
      `${where} answered ${command} with status ${raw.status} and an HTML page: "${excerptOf(raw.body) ?? ''}"; is there a proxy in between?`,
    );
  }
  if (media !== wanted) {
    const found = media === undefined ? 'without a Content-Type' : `as ${excerpt(media, 64)}`;
    return unknown(
      'WrongContentType',
      `${where} answered ${command} with status ${raw.status} ${found}; it must be ${wanted}`,
    );
  }
  if (raw.truncated) {
    return unknown(
      'AnswerTooLarge',
      `${where} answered ${command} with more than ${raw.body.length} bytes; the Participant's limits.maxAnswerBytes cuts it off`,
    );
  }
  const value = parseJson(raw.body);
  if (value !== undefined) return { value };
  const text = excerptOf(raw.body);
  const found = raw.body.length === 0 ? 'an empty body' : `"${text ?? 'unprintable bytes'}"`;
  return unknown('NotJson', `${where} answered ${command} with status ${raw.status} and what is no JSON: ${found}`);
}

/** `undefined` when it is none; JSON itself has no such value. Broken UTF-8 is refused, not repaired: an output is used as it was given. */
function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) return undefined;
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

function mediaType(header: string | undefined): string | undefined {
  if (header === undefined) return undefined;
  const end = header.indexOf(';');
  return (end < 0 ? header : header.slice(0, end)).trim().toLowerCase() || undefined;
}

/** What a problem tells people: its detail, or else its title (RFC 9457). */
function said(value: unknown): string | undefined {
  if (!isObject(value)) return undefined;
  for (const member of [value['detail'], value['title']]) {
    if (typeof member === 'string' && member !== '') return excerpt(member, MAX_MESSAGE);
  }
  return undefined;
}

function excerptOf(body: Buffer): string | undefined {
  const text = excerpt(body.toString('utf8', 0, 1024));
  return text === '' ? undefined : text;
}

/** Why a parsed value cannot be an output; found without recursing further than an output can be deep. */
function unfitness(value: unknown, levels: number): 'depth' | 'number' | undefined {
  // JSON.parse reads 1e999 as Infinity.
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'number';
  if (typeof value !== 'object' || value === null) return undefined;
  if (levels === 0) return 'depth';
  for (const item of Object.values(value)) {
    const unfit = unfitness(item, levels - 1);
    if (unfit !== undefined) return unfit;
  }
  return undefined;
}

/** Whether a parsed JSON value is an object; what it holds then is JSON too. */
function isObject(value: unknown): value is Output & Readonly<Record<string, Json | undefined>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return value === null ? 'null' : 'nothing';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

function unknown(reason: string, message: string): Answer {
  return { type: 'Unknown', reason, message };
}
