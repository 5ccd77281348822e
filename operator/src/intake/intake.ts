import type { RunId, RunInput, WallMillis } from '../saga/types.ts';

/** An order that somebody else accepted, and whose saga is to run. */
export interface PlacedOrder {
  readonly id: RunId;
  readonly input: RunInput;
  /** When it was accepted. */
  readonly placedAt: WallMillis;
  /** W3C Trace Context of the request that it came from. */
  readonly traceparent?: string;
}

/** `Known`: there is a run of it, open or ended. */
export type Taken = 'Begun' | 'Known';

/**
 * How runs start, whatever they come over: one adapter for each journal (an OrderSagaRun is created, or a row), one front for each way in (CloudEvents
 * over HTTP, SQS). What is taken is durable; taking it again changes nothing, so that whoever delivers may repeat it at will.
 */
export interface Intake {
  /** Orders that there is room for now, infinitely many where nothing limits them: who fetches orders fetches no more. */
  readonly room: number;
  /** Resolves once the order is durable. @throws IntakeRefused @throws IntakeBusy @throws JournalUnavailable */
  take(order: PlacedOrder): Promise<Taken>;
  /**
   * A customer's cancel (design rule 8): whether it wins or comes too late is told by the run's end. One for an order that is not known yet is refused as
   * busy, since cancel and order may come in any order. @throws IntakeBusy @throws JournalUnavailable
   */
  cancel(id: RunId, reason: string, traceparent?: string): Promise<'Told' | 'Ended'>;
}

/** This can never be taken, however often it comes: say why, and put it aside. */
export class IntakeRefused extends Error {
  override readonly name = 'IntakeRefused';
  /** CamelCase, for machines. */
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Not now: the saga is not there yet, or there is too much to do. Nothing was stored. */
export class IntakeBusy extends Error {
  override readonly name = 'IntakeBusy';
  /** How long to wait before it comes again. Milliseconds. */
  readonly retryAfter: number;

  constructor(message: string, retryAfter: number) {
    super(message);
    this.retryAfter = retryAfter;
  }
}

/**
 * An order of a namespace that the operator does not look after would lie there for ever, or keep all that come behind it where the operator has no
 * rights to it.
 * @param namespaces those that it looks after; empty: all
 * @throws IntakeRefused `NamespaceNotWatched`
 */
export function mustBeWatched({ namespace }: RunId, namespaces: readonly string[]): void {
  if (namespaces.length > 0 && !namespaces.includes(namespace))
    throw new IntakeRefused('NamespaceNotWatched', `this operator does not look after namespace ${namespace}`);
}
