import { canonicalJson } from '../saga/canonical.ts';
import type { Answer, WallMillis } from '../saga/types.ts';
import type { SendEffect } from './participants.ts';

/** Contract, "Request": a body is at most 64 KiB. */
export const MAX_BODY_BYTES = 65_536;

/** Contract, "Batch": a request is at most 1 MiB. */
export const MAX_BATCH_BYTES = 1_048_576;

/** What goes over the wire for one command, written once and used alone or in a batch. */
export interface CommandText {
  readonly key: string;
  readonly epoch: number;
  /** RFC 3339. */
  readonly begun: string;
  /** W3C Trace Context; undefined for a run without a trace. */
  readonly traceparent: string | undefined;
  /** Canonical JSON (RFC 8785). */
  readonly body: string;
  /** Of `body`, in UTF-8. */
  readonly bytes: number;
}

/**
 * Writes a command down.
 *
 * @throws TypeError for a number that JSON does not know
 * @throws RangeError for a time that no date can show
 */
export function commandText(effect: SendEffect): CommandText {
  const body = canonicalJson(effect.body);
  return {
    key: effect.key,
    epoch: effect.epoch,
    begun: rfc3339(effect.begunAt),
    traceparent: effect.traceparent,
    body,
    bytes: Buffer.byteLength(body),
  };
}

/** As {@link commandText}; or the answer to a command that cannot be sent, whatever it would be sent over. */
export function writeCommand(effect: SendEffect): CommandText | Extract<Answer, { type: 'Unknown' }> {
  try {
    const text = commandText(effect);
    if (text.bytes <= MAX_BODY_BYTES) return text;
    const message = `${effect.command}: its body has ${text.bytes} bytes; the contract allows ${MAX_BODY_BYTES}. Let the step use less`;
    return { type: 'Unknown', reason: 'BodyTooLarge', message };
  } catch (error) {
    const message = `${effect.command}: it cannot be written down: ${String(error)}`;
    return { type: 'Unknown', reason: 'BodyNotJson', message };
  }
}

/** The headers of a request for one command, names and values in turn. */
export function commandHeaders(command: CommandText, token: string): string[] {
  return [
    ...batchHeaders(token),
    'idempotency-key',
    command.key,
    'mercato-epoch',
    String(command.epoch),
    'mercato-begun',
    command.begun,
    ...(command.traceparent === undefined ? [] : ['traceparent', command.traceparent]),
  ];
}

/** The headers of a request for a batch: the items carry the rest. */
export function batchHeaders(token: string): string[] {
  return [
    'content-type',
    'application/json',
    'accept',
    'application/json, application/problem+json',
    'authorization',
    `Bearer ${token}`,
    'user-agent',
    'mercato-operator',
  ];
}

/** One item of a batch (contract, "Batch"). The command's body is put in as it was written, not written again. */
export function batchItem(name: string, command: CommandText): string {
  const { key, epoch, begun, traceparent, body } = command;
  const trace = traceparent === undefined ? '' : `"traceparent":"${traceparent}",`;
  return `{"command":${JSON.stringify(name)},"key":${JSON.stringify(key)},"epoch":${epoch},"begun":"${begun}",${trace}"body":${body}}`;
}

/** The most bytes that an item takes beside its body: key, command and names, at their longest. */
export const ITEM_OVERHEAD_BYTES = 700;

/** The body of a batch of items. */
export function batchBody(items: readonly string[]): string {
  return `{"items":[${items.join(',')}]}`;
}

function rfc3339(at: WallMillis): string {
  return new Date(at).toISOString();
}
