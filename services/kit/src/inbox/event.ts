import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import type { JsonObject } from '../json.ts';
import { ProblemError } from '../problem.ts';

/** An event of one order, as another service's outbox sent it. */
export interface ReceivedEvent {
  readonly source: string;
  /** Unique per source. */
  readonly id: string;
  readonly type: string;
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
  /** Counts the order's events of this source from 1; 0 comes before all of them. */
  readonly sequence: number;
  readonly data: JsonObject;
  readonly traceparent?: string;
}

/** Events in one request at most. */
export const maxEvents = 1000;

const text = (maxLength: number) => Type.String({ minLength: 1, maxLength });

/** What CloudEvents 1.0 asks of every event. */
const Envelope = Type.Object({
  specversion: Type.Literal('1.0'),
  id: text(1024),
  source: text(1024),
  type: text(1024),
});

/** What our outbox adds for an order. */
const OrderEnvelope = Type.Intersect([
  Envelope,
  Type.Object({
    subject: text(253),
    mercatonamespace: text(253),
    mercatosaga: text(253),
    sequence: Type.String({ pattern: '^(0|[1-9][0-9]{0,14})$' }),
    data: Type.Record(Type.String(), Type.Unknown()),
    traceparent: Type.Optional(text(256)),
  }),
]);

const envelope = TypeCompiler.Compile(Envelope);
const orderEnvelope = TypeCompiler.Compile(OrderEnvelope);

/**
 * The events of a request's body that `isWanted` says yes to, in their order, and how many others there were: structured mode (an
 * object) or batched mode (an array, which may be empty). What is not wanted only has to be a CloudEvent.
 * @throws ProblemError 413 for more than `maxEvents`, 400 that names the event and the attribute which is wrong
 */
export function parseEvents(
  body: unknown,
  isWanted: (source: string, type: string) => boolean,
): { wanted: ReceivedEvent[]; others: number } {
  const events: readonly unknown[] = Array.isArray(body) ? body : [body];
  if (events.length > maxEvents) throw new ProblemError(413, 'TooLarge', `a batch may have ${maxEvents} events`);
  const wanted: ReceivedEvent[] = [];
  for (const [index, event] of events.entries()) {
    const { source, type } = checked(envelope, event, index);
    if (isWanted(source, type)) wanted.push(toReceived(checked(orderEnvelope, event, index)));
  }
  return { wanted, others: events.length - wanted.length };
}

function toReceived(event: Static<typeof OrderEnvelope>): ReceivedEvent {
  const { source, id, type, subject, mercatonamespace, mercatosaga, sequence, data, traceparent } = event;
  return {
    source,
    id,
    type,
    namespace: mercatonamespace,
    saga: mercatosaga,
    orderId: subject,
    sequence: Number(sequence),
    data: data as JsonObject,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

function checked<T extends TSchema>(check: TypeCheck<T>, event: unknown, index: number): Static<T> {
  if (check.Check(event)) return event;
  const error = check.Errors(event).First();
  throw new ProblemError(400, 'BadEvent', `event ${index}: ${error?.path || '/'}: ${error?.message ?? 'is wrong'}`);
}
