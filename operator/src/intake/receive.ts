import { JournalUnavailable } from '../journals/journal.ts';
import type { Clock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import { type Asked, type EventName, nameOf, readEvent, tooOld } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused, type PlacedOrder } from './intake.ts';
import type { EventOutcome, IntakeMetrics } from './metrics.ts';
import { Patience } from './patience.ts';

/** A cancel comes behind its order, so one of an order that nobody knows is one of an order that was refused. */
const CANCEL_PATIENCE_MILLIS = 30_000;
const JOURNAL_RETRY_MILLIS = 1_000;

/** What became of a delivery. */
export interface Receipt {
  readonly outcomes: Readonly<Record<EventOutcome, number>>;
  /** Set where the delivery is to come again, as a whole: why, and after how many milliseconds. */
  readonly again?: { readonly why: string; readonly after: number };
}

export interface ReceiverOptions {
  readonly intake: Intake;
  /** Puts an event on record that can never be taken. Rejects where that cannot be done now. */
  readonly refuse: (event: EventName, why: IntakeRefused) => Promise<void>;
  readonly metrics: IntakeMetrics;
  readonly clock: Clock;
}

/** What one event of a delivery came to. */
type Result = { readonly outcome: EventOutcome } | { readonly busy: IntakeBusy };

/** Takes deliveries of CloudEvents: all of one is durable when it was received, or the whole comes again, which is harmless. */
export class Receiver {
  readonly #o: ReceiverOptions;
  readonly #patience: Patience;

  constructor(options: ReceiverOptions) {
    this.#o = options;
    this.#patience = new Patience(options.clock, CANCEL_PATIENCE_MILLIS);
  }

  /** Never rejects for anything that a sender, the journal or the API server can do. */
  async receive(events: readonly unknown[]): Promise<Receipt> {
    const orders: Promise<Result>[] = [];
    const cancels: { readonly event: unknown; readonly asked: Extract<Asked, { type: 'Cancel' }> }[] = [];
    for (const event of events) {
      const asked = this.#read(event);
      if (asked instanceof IntakeRefused) orders.push(this.#refuse(event, asked));
      else if (asked.type === 'Placed') orders.push(this.#take(event, asked.order));
      else if (asked.type === 'Cancel') cancels.push({ event, asked });
      else orders.push(Promise.resolve({ outcome: 'Ignored' }));
    }
    const results = await Promise.all(orders);
    // Behind all orders: a delivery may have both of one.
    for (const result of await Promise.all(cancels.map(({ event, asked }) => this.#cancel(event, asked))))
      results.push(result);
    return this.#sum(results);
  }

  #read(event: unknown): Asked | IntakeRefused {
    const wall = this.#o.clock.wall();
    try {
      const asked = readEvent(event, wall);
      return tooOld(asked, wall) ?? asked;
    } catch (error) {
      if (error instanceof IntakeRefused) return error;
      throw error;
    }
  }

  async #take(event: unknown, order: PlacedOrder): Promise<Result> {
    try {
      return { outcome: await this.#o.intake.take(order) };
    } catch (error) {
      return this.#failed(event, error);
    }
  }

  async #cancel(event: unknown, { id, reason, traceparent }: Extract<Asked, { type: 'Cancel' }>): Promise<Result> {
    try {
      const told = await this.#o.intake.cancel(id, reason, traceparent);
      this.#patience.forget(runKey(id));
      return { outcome: told === 'Told' ? 'Cancelled' : 'CancelTooLate' };
    } catch (error) {
      if (!(error instanceof IntakeBusy) || !this.#patience.isOver(runKey(id))) return this.#failed(event, error);
      return this.#refuse(event, new IntakeRefused('OrderUnknown', `there is no run to cancel: ${error.message}`));
    }
  }

  async #failed(event: unknown, error: unknown): Promise<Result> {
    if (error instanceof IntakeRefused) return this.#refuse(event, error);
    if (error instanceof IntakeBusy) return { busy: error };
    if (error instanceof JournalUnavailable) return { busy: new IntakeBusy(error.message, JOURNAL_RETRY_MILLIS) };
    throw error;
  }

  async #refuse(event: unknown, why: IntakeRefused): Promise<Result> {
    try {
      await this.#o.refuse(nameOf(event), why);
      return { outcome: 'Refused' };
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      return { busy: new IntakeBusy(`a refused event cannot be put on record: ${said}`, JOURNAL_RETRY_MILLIS) };
    }
  }

  #sum(results: readonly Result[]): Receipt {
    const outcomes: Record<EventOutcome, number> = {
      Begun: 0,
      Known: 0,
      Cancelled: 0,
      CancelTooLate: 0,
      Ignored: 0,
      Refused: 0,
      Busy: 0,
    };
    let again: Receipt['again'];
    for (const result of results) {
      if ('outcome' in result) outcomes[result.outcome] += 1;
      else {
        outcomes.Busy += 1;
        const { message, retryAfter } = result.busy;
        if (again === undefined || retryAfter > again.after) again = { why: message, after: retryAfter };
      }
    }
    for (const [outcome, count] of Object.entries(outcomes))
      if (count > 0) this.#o.metrics.events.inc({ outcome }, count);
    return again === undefined ? { outcomes } : { outcomes, again };
  }
}
