import type { OrderSagaRun } from '../../api/ordersagarun.ts';
import type { Recorder } from '../../kube/events.ts';

/**
 * Two decided at once: whoever came second is not to believe that theirs is followed.
 * @param object the run's object, or its View, that has the second decision
 * @param followed what the run did
 */
export function tellTooLate(recorder: Recorder, object: OrderSagaRun, followed: string | undefined): void {
  const { decision } = object.spec;
  const note = `${decision?.do} by ${decision?.by}: the run has followed ${followed} for hold ${decision?.holdId} already`;
  recorder.event(object, { type: 'Warning', reason: 'DecisionTooLate', action: 'Decide', note });
}
