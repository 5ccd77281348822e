import {
  type Clock,
  type Instant,
  parseEvents,
  type Receipt,
  type ReceivedEvent,
  type TraceSpan,
  type Tracing,
  untraced,
} from '@mercato/kit';
import type { Shop } from '../domain/events.ts';
import { type OrderId, parseOrderId } from '../domain/ids.ts';
import type { SagaEvent } from '../domain/order.ts';
import type { OrderState } from '../domain/states.ts';
import { failSpan } from '../failed-span.ts';
import type { Applied, Orders } from '../ports/orders.ts';

/** The source of the events that sagas are told by. */
export const SAGA_SOURCE = '/mercato/operator';
const PREFIX = 'dev.mercato.saga.';
const TYPES: readonly string[] = [
  'held',
  'resumed',
  'succeeded',
  'compensated',
  'aborted',
  'refused',
] satisfies SagaEvent['type'][];

const isWanted = (source: string, type: string): boolean =>
  source === SAGA_SOURCE && type.startsWith(PREFIX) && TYPES.includes(type.slice(PREFIX.length));

/** What hearing sagas needs. */
export interface SagaEventsOptions {
  readonly orders: Pick<Orders, 'apply'>;
  readonly shop: Shop;
  /** @default nothing is traced */
  readonly tracing?: Tracing;
  readonly clock: Clock;
  /** Told each order whose state changed. */
  readonly onChanged: (id: OrderId, from: OrderState, to: OrderState) => void;
  /** Told each event of an order of ours that could change nothing, and why. */
  readonly onIgnored?: (event: ReceivedEvent, why: string) => void;
  readonly onReceived?: (receipt: Receipt) => void;
}

/**
 * Takes what the operator says of the sagas of our orders, each once: an order remembers the sequence of what it heard last, in the transaction of the
 * change, so it needs no inbox beside it. Events of runs that are not of our making (another saga, an id of another form) are nobody's here.
 */
export class SagaEvents {
  readonly #options: SagaEventsOptions;

  constructor(options: SagaEventsOptions) {
    this.#options = options;
  }

  /**
   * Takes a request's body, in structured or batched mode, and resolves when all of it is durable.
   * @throws ProblemError 400 or 413 for what is wrong with the body @throws OrdersUnavailable then the sender repeats it
   */
  async receive(body: unknown): Promise<Receipt> {
    const { orders, clock, onReceived } = this.#options;
    const { wanted, others } = parseEvents(body, isWanted);
    const ours = wanted.flatMap((event) => {
      const orderId = this.#ourOrder(event);
      return orderId === undefined ? [] : [{ event, orderId }];
    });
    const now: Instant = clock.now();
    const answers = ours.length === 0 ? [] : await this.#within(ours, (heard) => orders.apply(heard, now));
    for (const [i, answer] of answers.entries()) this.#tell(ours[i]!, answer);
    const count = (type: Applied['type']) => answers.filter((answer) => answer.type === type).length;
    const receipt: Receipt = {
      applied: count('Applied'),
      duplicate: count('Duplicate'),
      stale: count('Stale'),
      ignored: count('Refused'),
      unsubscribed: others + wanted.length - ours.length,
    };
    onReceived?.(receipt);
    return receipt;
  }

  /** Hears them within a span each, where they are part of a trace: what customers are told of them hangs below it. */
  async #within(
    ours: readonly { readonly event: ReceivedEvent; readonly orderId: OrderId }[],
    hear: (events: readonly SagaEvent[]) => Promise<readonly Applied[]>,
  ): Promise<readonly Applied[]> {
    const { tracing = untraced } = this.#options;
    const spans: TraceSpan[] = [];
    const heard = ours.map(({ event, orderId }) => {
      if (event.traceparent === undefined) return sagaEvent(event, orderId);
      const span = tracing.span(event.type, { kind: 'consumer', parent: event.traceparent });
      if (span.isKept) spans.push(span);
      return sagaEvent(event, orderId, span.traceparent);
    });
    try {
      return await hear(heard);
    } catch (error) {
      for (const span of spans) failSpan(span, error);
      throw error;
    } finally {
      for (const span of spans) span.end();
    }
  }

  #ourOrder({ namespace, saga, orderId }: ReceivedEvent): OrderId | undefined {
    const { shop } = this.#options;
    return namespace === shop.namespace && saga === shop.saga ? parseOrderId(orderId) : undefined;
  }

  #tell({ event, orderId }: { event: ReceivedEvent; orderId: OrderId }, answer: Applied): void {
    if (answer.type === 'Applied') this.#options.onChanged(orderId, answer.from, answer.to);
    if (answer.type === 'Refused') this.#options.onIgnored?.(event, answer.why);
  }
}

function sagaEvent({ type, sequence, data }: ReceivedEvent, orderId: OrderId, traceparent?: string): SagaEvent {
  const { reason } = data;
  return {
    orderId,
    sequence,
    type: type.slice(PREFIX.length) as SagaEvent['type'],
    ...(typeof reason === 'string' ? { reason } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
