import { JournalUnavailable } from '../journals/journal.ts';
import type { Clock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import { type Asked, type EventName, nameOf, readEvent, runNamed, tooOld } from './events.ts';
import { type Intake, IntakeBusy, IntakeRefused, type PlacedOrder } from './intake.ts';
import type { EventOutcome, IntakeMetrics } from './metrics.ts';
import { Patience } from './patience.ts';
import type { TellRefused } from './refused.ts';

/** A cancel comes behind its order, so one of an order that nobody knows is one of an order that was refused. */
const CANCEL_PATIENCE_MILLIS = 30_000;
const JOURNAL_RETRY_MILLIS = 1_000;
/**
 * What is not done by then comes again, so that a delivery is answered before its sender gives up (10 s), and a namespace whose admission webhook answers
 * slowly holds up nobody else. What was begun goes on, and is found done.
 */
const ANSWER_MILLIS = 6_000;

/** What became of a delivery. */
export interface Receipt {
  readonly outcomes: Readonly<Record<EventOutcome, number>>;
  /**
   * Set where some of the delivery is to come again: why, after how many milliseconds, and which of its events, counted from 0. All of them may come,
   * which is harmless.
   */
  readonly again?: { readonly why: string; readonly after: number; readonly events: readonly number[] };
}

export interface ReceiverOptions {
  readonly intake: Intake;
  /** Puts an event on record that can never be taken. Rejects where that cannot be done now. */
  readonly refuse: (event: EventName, why: IntakeRefused) => Promise<void>;
  /** Tells who waits for its order. */
  readonly tellRefused: TellRefused;
  /** How long finished orders are remembered: what was placed before is refused. Milliseconds. @default 35 days */
  readonly remembered?: number;
  readonly metrics: IntakeMetrics;
  readonly clock: Clock;
}

/** What one event of a delivery came to. */
type Result = { readonly outcome: EventOutcome } | { readonly busy: IntakeBusy };

/** Takes deliveries of CloudEvents: each event of one is durable when it was received, or is named as one that is to come again. */
export class Receiver {
  readonly #o: ReceiverOptions;
  readonly #patience: Patience;

  constructor(options: ReceiverOptions) {
    this.#o = options;
    this.#patience = new Patience(options.clock, CANCEL_PATIENCE_MILLIS);
  }

  /**
   * Never rejects for anything that a sender, the journal or the API server can do.
   * @param maySend whether its sender may speak of orders in this namespace. @default of any
   */
  async receive(events: readonly unknown[], maySend?: (namespace: string) => boolean): Promise<Receipt> {
    // Cancels wait for all orders: a delivery may have both of one.
    const ordersDone = Promise.withResolvers<void>();
    const orders: Promise<void>[] = [];
    const busy = new Map<string, IntakeBusy>();
    const results = events.map((event) => {
      const asked = this.#read(event, maySend);
      if (!(asked instanceof IntakeRefused) && asked.type === 'Cancel')
        return ordersDone.promise.then(() => this.#cancel(event, asked, busy.get(runKey(asked.id))));
      const result = this.#order(event, asked);
      orders.push(
        result.then((end) => {
          if ('busy' in end && !(asked instanceof IntakeRefused) && asked.type === 'Placed')
            busy.set(runKey(asked.order.id), end.busy);
        }),
      );
      return result;
    });
    void Promise.allSettled(orders).then(() => ordersDone.resolve());
    return this.#sum(await this.#inTime(results));
  }

  async #order(event: unknown, asked: Exclude<Asked, { type: 'Cancel' }> | IntakeRefused): Promise<Result> {
    if (asked instanceof IntakeRefused) return this.#refuse(event, asked);
    return asked.type === 'Placed' ? this.#take(event, asked.order) : { outcome: 'Ignored' };
  }

  /** The results, with "not now" for what is not done in {@link ANSWER_MILLIS}. */
  async #inTime(results: readonly Promise<Result>[]): Promise<Result[]> {
    const late = Promise.withResolvers<Result>();
    const why = `it was not done in ${ANSWER_MILLIS / 1000} s`;
    const cancel = this.#o.clock.after(ANSWER_MILLIS, () =>
      late.resolve({ busy: new IntakeBusy(why, JOURNAL_RETRY_MILLIS) }),
    );
    try {
      return await Promise.all(results.map((result) => Promise.race([result, late.promise])));
    } finally {
      cancel();
      // Nobody waits for what is late; an error of it is told by the next delivery.
      for (const result of results) result.catch(() => undefined);
    }
  }

  #read(event: unknown, maySend: ((namespace: string) => boolean) | undefined): Asked | IntakeRefused {
    const namespace = maySend && runNamed(event)?.namespace;
    if (namespace !== undefined && !maySend?.(namespace))
      return new IntakeRefused('NamespaceNotAllowed', `its sender may not speak of orders in namespace ${namespace}`);
    const wall = this.#o.clock.wall();
    try {
      const asked = readEvent(event, wall);
      return tooOld(asked, wall, this.#o.remembered) ?? asked;
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

  /** @param order why the order, of the same delivery, is to come again: its cancel comes with it, however long that takes */
  async #cancel(
    event: unknown,
    { id, reason, traceparent }: Extract<Asked, { type: 'Cancel' }>,
    order: IntakeBusy | undefined,
  ): Promise<Result> {
    if (order !== undefined) return { busy: order };
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
      await this.#o.tellRefused(event, why);
      return { outcome: 'Refused' };
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error);
      return { busy: new IntakeBusy(`a refused event cannot be recorded and told: ${said}`, JOURNAL_RETRY_MILLIS) };
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
    const waiting: number[] = [];
    let busiest: IntakeBusy | undefined;
    for (const [index, result] of results.entries()) {
      if ('outcome' in result) outcomes[result.outcome] += 1;
      else {
        outcomes.Busy += 1;
        waiting.push(index);
        if (busiest === undefined || result.busy.retryAfter > busiest.retryAfter) busiest = result.busy;
      }
    }
    for (const [outcome, count] of Object.entries(outcomes))
      if (count > 0) this.#o.metrics.events.inc({ outcome }, count);
    if (busiest === undefined) return { outcomes };
    return { outcomes, again: { why: busiest.message, after: busiest.retryAfter, events: waiting } };
  }
}
