import { bodyOf, commandKey } from './command.ts';
import {
  canTurnBack,
  change,
  changeDelivery,
  changeStep,
  clip,
  currentCompensation,
  currentStep,
  type Draft,
  definitionAt,
  end,
  hold,
  isRegistered,
  notice,
  stepAt,
} from './draft.ts';
import { pivotIndex } from './revision.ts';
import type { Cause, CommandKind } from './types.ts';

/** Sends what is next on the way forward, or ends the run. May turn it back (deadline). */
export function forward(draft: Draft): void {
  const index = currentStep(draft.state);
  if (index === undefined) return end(draft, 'Succeeded', 'every step succeeded');
  if (draft.state.used >= draft.revision.deadline && deadlineUsedUp(draft, index)) return;
  const { action } = stepAt(draft, index);
  // It failed while the run was held for something else.
  if (action.state === 'Failed') return afterFailure(draft, index);
  if (action.state === 'InFlight' || action.due > draft.state.clock) return;
  // Design rule 2b: the intent, with all earlier outputs, is durable before the pivot is sent.
  const intends = index === pivotIndex(draft.revision) && !draft.state.pivotIntent;
  if (intends) change(draft, { pivotIntent: true }, 'before');
  send(draft, index, 'action');
}

/** Design rule 9. True when it took over the run's course. */
function deadlineUsedUp(draft: Draft, index: number): boolean {
  const message = `the deadline of ${draft.revision.deadline} ms was used up at step ${definitionAt(draft, index).name}`;
  if (!canTurnBack(draft.revision, draft.state)) {
    if (!draft.state.overdue) {
      change(draft, { overdue: true });
      notice(draft, 'Warning', 'Overdue', `${message}; past the pivot it goes on`);
    }
    return false;
  }
  giveUpOnStep(draft, index, 'DeadlineExceeded', message);
  return true;
}

/** What follows when a step could not be brought to an answer: `onStepFailure` decides before the pivot's intent; after it, always Hold. */
export function giveUpOnStep(
  draft: Draft,
  index: number,
  reason: 'StepFailed' | 'DeadlineExceeded',
  message: string,
): void {
  const step = definitionAt(draft, index).name;
  if (draft.revision.onStepFailure === 'Compensate' && canTurnBack(draft.revision, draft.state)) {
    return turnBack(draft, { reason, message, step });
  }
  hold(draft, { reason, message, step, kind: 'action' });
}

/** What follows when a step answered with a business failure: compensation, or past the pivot a hold (design rule 4). */
export function afterFailure(draft: Draft, index: number): void {
  const step = definitionAt(draft, index).name;
  const { reason, message } = stepAt(draft, index).action.error ?? { reason: 'StepFailed', message: 'it failed' };
  if (canTurnBack(draft.revision, draft.state)) return turnBack(draft, { reason, message, step });
  const told = `${step} failed past the pivot: ${reason}: ${message}`;
  hold(draft, { reason: 'StepFailed', message: told, step, kind: 'action' });
}

/**
 * Design rule 4: every step whose outcome is success or unknown is compensated, in reverse order. The compensation has the action's epoch, and so
 * undoes and fences all that was sent.
 */
export function turnBack(draft: Draft, cause: Cause): void {
  const before = pivotIndex(draft.revision);
  draft.state.steps.forEach((step, index) => {
    if (index >= before || !isRegistered(step) || definitionAt(draft, index).compensation === undefined) return;
    const epoch = Math.max(step.compensation.epoch, step.action.epoch);
    changeStep(draft, index, {
      compensation: { state: 'Pending', epoch, attempts: 0, sends: 0, due: draft.state.clock },
    });
  });
  change(draft, { direction: 'Backward', cause: { ...cause, message: clip(cause.message) } }, 'before');
  notice(draft, 'Warning', 'Compensating', `${cause.reason}: ${cause.message}`, cause.step);
}

/** Sends the next compensation, or ends the run. */
export function backward(draft: Draft): void {
  const index = currentCompensation(draft.state);
  if (index === undefined) {
    return end(draft, 'Compensated', `everything was undone after ${draft.state.cause?.reason ?? 'an unknown cause'}`);
  }
  const { compensation } = stepAt(draft, index);
  if (compensation.state === 'InFlight' || compensation.due > draft.state.clock) return;
  send(draft, index, 'compensation');
}

function send(draft: Draft, index: number, kind: CommandKind): void {
  const definition = definitionAt(draft, index);
  const step = stepAt(draft, index);
  const delivery = step[kind];
  const sends = delivery.sends + 1;
  changeDelivery(draft, index, kind, { state: 'InFlight', sends });
  if (step.startedAt === undefined) changeStep(draft, index, { startedAt: draft.now.wall });
  draft.effects.push({
    type: 'Send',
    step: definition.name,
    kind,
    participant: definition.participant,
    command: kind === 'action' ? definition.command : (definition.compensation ?? ''),
    key: commandKey(draft.context.id, definition.name, kind),
    epoch: delivery.epoch,
    send: sends,
    begunAt: draft.state.begunAt,
    timeout: definition.timeout,
    body: bodyOf(definition, draft.context, draft.state),
  });
}
