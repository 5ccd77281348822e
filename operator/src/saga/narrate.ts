import { possibleDecisions } from './decisions.ts';
import { currentCompensation, currentStep, phaseOf } from './draft.ts';
import type { Cause, Delivery, Revision, RunState } from './types.ts';

/**
 * What comes next, when and why, in words: `status.nextAction`. `when` tells an instant of the run's clock as people read it, `pausedUntil` until when
 * and why the run is paused, where that is known.
 */
export function nextAction(
  revision: Revision,
  state: RunState,
  when: (inMillis: number) => string,
  pausedUntil = 'the pause ends',
): string {
  if (state.ended !== undefined) return afterEnd(state);
  if (state.hold !== undefined) {
    const choice = possibleDecisions(revision, state)
      .join(', ')
      .replace(/, ([^,]*)$/, ' or $1');
    return `a person decides hold ${state.hold.id} (${state.hold.reason}): set spec.decision to ${choice}. ${state.hold.message}`;
  }
  if (state.paused) return `nothing until ${pausedUntil}`;
  return phaseOf(state) === 'Compensating' ? nextCompensation(revision, state, when) : nextStep(revision, state, when);
}

/** What comes after the end, in words: nothing, and why it ended as it did. */
export function afterEnd({ ended, cause }: RunState): string {
  if (cause?.reason === 'FinishedBefore') return `nothing: ${cause.message}`;
  if (ended === 'Aborted') return 'nothing: it was aborted, see the exception record';
  if (ended === 'Succeeded') return 'nothing: every step succeeded';
  return `nothing: everything was undone${because(cause)}`;
}

function because(cause: Cause | undefined): string {
  if (cause === undefined) return '';
  return `, because of ${cause.reason}${cause.step === undefined ? '' : ` at ${cause.step}`}`;
}

function nextStep(revision: Revision, state: RunState, when: (inMillis: number) => string): string {
  const index = currentStep(state);
  const definition = index === undefined ? undefined : revision.steps[index];
  const action = index === undefined ? undefined : state.steps[index]?.action;
  if (definition === undefined || action === undefined) return 'it ends';
  const what = `${definition.name}: ${definition.command} at ${definition.participant}${definition.pivot ? ' (the pivot)' : ''}`;
  const otherwise = state.pivotIntent
    ? 'it is held'
    : `it ${revision.onStepFailure === 'Compensate' ? 'compensates' : 'is held'}`;
  return `${what}, ${timing(action, state, when)}${budget(action, definition.retry.maxAttempts, otherwise)}`;
}

function nextCompensation(revision: Revision, state: RunState, when: (inMillis: number) => string): string {
  const index = currentCompensation(state);
  const definition = index === undefined ? undefined : revision.steps[index];
  const compensation = index === undefined ? undefined : state.steps[index]?.compensation;
  if (definition === undefined || compensation === undefined) return 'it ends';
  const what = `undo ${definition.name}: ${definition.compensation} at ${definition.participant}${because(state.cause)}`;
  return `${what}, ${timing(compensation, state, when)}${budget(compensation, definition.retry.maxAttempts, 'it is held')}`;
}

function timing(delivery: Delivery<string>, state: RunState, when: (inMillis: number) => string): string {
  if (delivery.state === 'InFlight') return 'sent, waiting for the answer';
  return delivery.due <= state.clock ? 'now' : when(delivery.due - state.clock);
}

function budget(delivery: Delivery<string>, maxAttempts: number, otherwise: string): string {
  if (delivery.error === undefined) return '';
  const left = maxAttempts - delivery.attempts;
  return `, after ${delivery.error.reason}; ${left} of ${maxAttempts} attempts left, then ${otherwise}`;
}
