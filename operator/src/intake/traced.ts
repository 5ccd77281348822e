import { parseTraceparent, type Tracing } from '@mercato/tracing';
import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';
import { type Asked, CANCEL_REQUESTED, ORDER_PLACED } from './events.ts';
import type { Intake } from './intake.ts';

/**
 * The same intake, with a consumer span for each event that is part of a trace, whatever it came over. The order is taken under that span, so that what its
 * run does hangs below it.
 */
export function tracedIntake(intake: Intake, tracing: Tracing): Intake {
  async function within<T extends string>(
    name: string,
    id: RunId,
    parent: string | undefined,
    work: (traceparent: string | undefined) => Promise<T>,
  ): Promise<T> {
    // Most events are part of no trace: for them this is all.
    if (parent === undefined) return work(undefined);
    const span = tracing.span(name, { kind: 'consumer', parent });
    if (span.isKept) span.set({ 'mercato.run': runKey(id) });
    try {
      const outcome = await work(span.traceparent);
      if (span.isKept) span.set({ 'mercato.outcome': outcome });
      return outcome;
    } catch (error) {
      // Its message may quote an input.
      span.fail(error instanceof Error ? error.name : 'Error', 'it was not taken');
      throw error;
    } finally {
      span.end();
    }
  }

  return {
    get room() {
      return intake.room;
    },
    take: ({ traceparent: parent, ...order }) =>
      within(ORDER_PLACED, order.id, parent, (traceparent) =>
        intake.take({ ...order, ...(traceparent && { traceparent }) }),
      ),
    cancel: (id, reason, parent) =>
      within(CANCEL_REQUESTED, id, parent, (traceparent) => intake.cancel(id, reason, traceparent)),
  };
}

/**
 * What is asked, with the trace context of its message's attribute where the event itself has none: whoever puts events into a queue may say it in either
 * place.
 */
export function tracedBy(asked: Asked, attribute: string | undefined): Asked {
  const traceparent = parseTraceparent(attribute);
  if (traceparent === undefined || asked.type === 'Ignored') return asked;
  if (asked.type === 'Cancel') return { traceparent, ...asked };
  return { ...asked, order: { traceparent, ...asked.order } };
}
