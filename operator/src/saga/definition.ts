import { parseDuration } from '../api/durations.ts';
import type { OrderSagaSpec, OrderSagaStep } from '../api/ordersaga.ts';
import { revisionOf } from './revision.ts';
import type { Revision, StepDefinition } from './types.ts';

/**
 * The revision that a definition is now: steps, retry, pivot, deadline and onStepFailure. Pause, limits, visibility and the participants' addresses
 * are not in it; they are live (docs/adr/revisions.md).
 *
 * @throws InvalidDuration for an object that no API server with our schema has let in.
 */
export function revisionFrom(spec: OrderSagaSpec): Revision {
  return revisionOf({
    steps: spec.steps.map(stepFrom),
    deadline: parseDuration(spec.deadline),
    onStepFailure: spec.onStepFailure,
  });
}

function stepFrom(step: OrderSagaStep): StepDefinition {
  const { maxAttempts, initialInterval, maxInterval, backoffPercent, jitterPercent } = step.retry;
  return {
    name: step.name,
    participant: step.participant,
    command: step.command,
    ...(step.compensation === undefined ? {} : { compensation: step.compensation }),
    timeout: parseDuration(step.timeout),
    retry: {
      maxAttempts,
      initialInterval: parseDuration(initialInterval),
      maxInterval: parseDuration(maxInterval),
      backoffPercent,
      jitterPercent,
    },
    uses: step.uses,
    pivot: step.pivot,
  };
}
