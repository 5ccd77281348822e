import { parseTraceparent } from '@mercato/tracing';
import { asNamespace, asOrderId, asSagaName, InvalidName } from '../api/names.ts';
import { REMEMBERED_MILLIS } from '../journals/worker-journal.ts';
import type { RunId } from '../saga/types.ts';
import { checkedInput } from './input.ts';
import { IntakeRefused, type PlacedOrder } from './intake.ts';

/** The order service: a new order. */
export const ORDER_PLACED = 'dev.mercato.order.placed';
/** The order service: its customer wants it no more. */
export const CANCEL_REQUESTED = 'dev.mercato.order.cancel-requested';

/** What a CloudEvent asks of intake. */
export type Asked =
  | { readonly type: 'Placed'; readonly order: PlacedOrder }
  | { readonly type: 'Cancel'; readonly id: RunId; readonly reason: string; readonly traceparent?: string }
  /** A CloudEvent of a type that is not ours to act on. */
  | { readonly type: 'Ignored'; readonly eventType: string };

/** Names an event in logs and records, as far as it can be told; never its data. */
export interface EventName {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
}

/** What a run keeps of a cancel's reason (saga/draft.ts clips messages to it). */
const REASON_CHARACTERS = 256;

/**
 * Reads one CloudEvents 1.0 event in its JSON form, parsed or not trusted to be anything.
 *
 * @param wall when it came in, for an event that does not say its time
 * @throws IntakeRefused `EventInvalid` or `InputInvalid`, that names the attribute; it quotes no data
 */
export function readEvent(event: unknown, wall: number): Asked {
  if (typeof event !== 'object' || event === null || Array.isArray(event)) throw invalid('it is no JSON object');
  const fields = event as Readonly<Record<string, unknown>>;
  if (fields['specversion'] !== '1.0') throw invalid('specversion is not "1.0"');
  for (const name of ['id', 'source', 'type'] as const) attribute(fields, name, 1024);
  const eventType = fields['type'] as string;
  if (eventType === ORDER_PLACED) return { type: 'Placed', order: placed(fields, wall) };
  if (eventType === CANCEL_REQUESTED)
    return { type: 'Cancel', id: runOf(fields), reason: reasonOf(fields['data']), ...traceOf(fields) };
  return { type: 'Ignored', eventType };
}

/**
 * Why a new order is too old to be taken: it may have had its run, which was forgotten (design rule 1). Run again, it would be paid for again, since
 * participants forget as well.
 * @param wall now
 * @param remembered how long finished orders are remembered. Milliseconds
 * @returns `TooOld`; undefined for whatever else is asked
 */
export function tooOld(asked: Asked, wall: number, remembered = REMEMBERED_MILLIS): IntakeRefused | undefined {
  if (asked.type !== 'Placed' || wall - asked.order.placedAt <= remembered) return undefined;
  const placed = new Date(asked.order.placedAt).toISOString();
  return new IntakeRefused(
    'TooOld',
    `the order was placed at ${placed}, longer ago than finished ones are remembered, and may have had its run: ask the order service about it (of a queue, the redrive command does)`,
  );
}

/** The run that an event is about, where it says so as it should: also one that cannot be taken. */
export function runNamed(event: unknown): RunId | undefined {
  if (typeof event !== 'object' || event === null) return undefined;
  try {
    return runOf(event as Readonly<Record<string, unknown>>);
  } catch (error) {
    if (error instanceof IntakeRefused) return undefined;
    throw error;
  }
}

/** What an event is called, whatever it is. */
export function nameOf(event: unknown): EventName {
  const fields = (typeof event === 'object' && event !== null ? event : {}) as Readonly<Record<string, unknown>>;
  const said = (name: string): string => {
    const value = fields[name];
    return typeof value === 'string' ? value.slice(0, 256) : '';
  };
  return { id: said('id'), source: said('source'), type: said('type'), subject: said('subject') };
}

function placed(fields: Readonly<Record<string, unknown>>, wall: number): PlacedOrder {
  const id = runOf(fields);
  const input = checkedInput(fields['data']);
  const { time } = fields;
  const placedAt = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return {
    id,
    input,
    // One from the future would come last wherever the first comes first, and look young for ever.
    placedAt: Number.isNaN(placedAt) ? wall : Math.min(placedAt, wall),
    ...traceOf(fields),
  };
}

function runOf(fields: Readonly<Record<string, unknown>>): RunId {
  const namespace = attribute(fields, 'mercatonamespace', 63);
  const saga = attribute(fields, 'mercatosaga', 63);
  const orderId = attribute(fields, 'subject', 253);
  try {
    return { namespace: asNamespace(namespace), saga: asSagaName(saga), orderId: asOrderId(orderId) };
  } catch (error) {
    if (error instanceof InvalidName) throw invalid(`mercatonamespace, mercatosaga, subject: ${error.message}`);
    throw error;
  }
}

function traceOf({ traceparent }: Readonly<Record<string, unknown>>): { traceparent?: string } {
  const parsed = typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined;
  return parsed === undefined ? {} : { traceparent: parsed };
}

function reasonOf(data: unknown): string {
  const reason = typeof data === 'object' && data !== null ? (data as { reason?: unknown }).reason : undefined;
  if (reason === undefined) return 'its customer cancelled it';
  if (typeof reason !== 'string') throw invalid('data.reason is no text');
  return reason.slice(0, REASON_CHARACTERS);
}

function attribute(fields: Readonly<Record<string, unknown>>, name: string, maxLength: number): string {
  const value = fields[name];
  if (typeof value === 'string' && value !== '' && value.length <= maxLength) return value;
  throw invalid(`${name} must be a text of 1 to ${maxLength} characters`);
}

function invalid(message: string): IntakeRefused {
  return new IntakeRefused('EventInvalid', message);
}
