import { backoff } from './backoff.ts';
import { runKey } from './command.ts';
import { afterFailure, giveUpOnStep } from './course.ts';
import { change, changeDelivery, changeStep, clip, type Draft, definitionAt, hold, notice, stepAt } from './draft.ts';
import { storable } from './output.ts';
import { pivotIndex } from './revision.ts';
import type { Answer, CommandKind, HoldReason, RunEvent, StepError } from './types.ts';

type Answered = Extract<RunEvent, { type: 'Answered' }>;

/** Takes in the answer to a command (design rule 5). An answer that no longer matters changes nothing. */
export function answered(draft: Draft, event: Answered): void {
  const index = draft.state.steps.findIndex((step) => step.name === event.step);
  if (index < 0) return;
  if (event.kind === 'action') answeredAction(draft, index, event);
  else answeredCompensation(draft, index, event);
}

function answeredAction(draft: Draft, index: number, { epoch, send, answer }: Answered): void {
  const { action, name } = stepAt(draft, index);
  const settled = action.state === 'Succeeded' || action.state === 'Failed' || action.state === 'Skipped';
  // On the way back the compensation covers whatever an action may still answer.
  if (settled || draft.state.direction === 'Backward') return;
  // A success holds under any epoch (rule 6); everything else only speaks of the sending that it answers.
  if (answer.type !== 'Success' && (epoch !== action.epoch || send !== action.sends)) return;
  switch (answer.type) {
    case 'Success':
      changeDelivery(draft, index, 'action', { state: 'Succeeded', error: undefined });
      changeStep(draft, index, { output: storable(answer.output), finishedAt: draft.now.wall });
      change(draft, { claims: 0 });
      return notice(draft, 'Normal', 'StepSucceeded', `${name} succeeded`, name);
    case 'BusinessFailure':
      return failed(draft, index, answer.reason, answer.message);
    case 'Refused':
      if (answer.reason === 'Fenced') return fenced(draft, index, answer.message);
      return refused(draft, index, 'action', answer);
    case 'Accepted':
    case 'NotNow':
      return wait(draft, index, 'action', answer);
    case 'Unknown':
      return retry(draft, index, 'action', answer);
  }
}

/** A business failure is final: nothing of the step is in place. */
function failed(draft: Draft, index: number, reason: string, message: string): void {
  const step = stepAt(draft, index).name;
  changeDelivery(draft, index, 'action', { state: 'Failed', error: errorOf({ reason, message }) });
  changeStep(draft, index, { finishedAt: draft.now.wall });
  change(draft, { claims: 0 });
  notice(draft, 'Warning', 'StepFailed', `${step}: ${reason}: ${message}`, step);
  if (draft.state.hold === undefined) afterFailure(draft, index);
}

/**
 * The step's compensation came first, in an earlier life of the run whose journal was lost: nothing of it is in place, nor can be. By rule 4 that
 * life turned back, so that the pivot took no effect, whatever a distrusted journal supposes.
 */
function fenced(draft: Draft, index: number, message: string): void {
  if (index < pivotIndex(draft.revision)) change(draft, { pivotIntent: false });
  failed(draft, index, 'Fenced', message);
}

function answeredCompensation(draft: Draft, index: number, { epoch, send, answer }: Answered): void {
  const { compensation, name } = stepAt(draft, index);
  if (compensation.state !== 'InFlight' && compensation.state !== 'Pending') return;
  if (answer.type !== 'Success' && (epoch !== compensation.epoch || send !== compensation.sends)) return;
  // An undoing of an earlier epoch says nothing of what was sent since.
  if (answer.type === 'Success' && epoch < stepAt(draft, index).action.epoch) return;
  switch (answer.type) {
    case 'Success':
      changeDelivery(draft, index, 'compensation', { state: 'Succeeded', error: undefined });
      change(draft, { claims: 0 });
      return notice(draft, 'Normal', 'StepCompensated', `${name} was undone`, name);
    case 'BusinessFailure':
      changeDelivery(draft, index, 'compensation', {
        state: 'Pending',
        error: errorOf(answer),
      });
      return holdCompensation(
        draft,
        index,
        'CompensationFailed',
        `${name} cannot be undone: ${answer.reason}: ${answer.message}`,
      );
    case 'Refused':
      return refused(draft, index, 'compensation', answer);
    case 'Accepted':
    case 'NotNow':
      return wait(draft, index, 'compensation', answer);
    case 'Unknown':
      return retry(draft, index, 'compensation', answer);
  }
}

function holdCompensation(draft: Draft, index: number, reason: HoldReason, message: string): void {
  if (draft.state.hold !== undefined) return;
  hold(draft, { reason, message, step: stepAt(draft, index).name, kind: 'compensation' });
}

function refused(draft: Draft, index: number, kind: CommandKind, answer: Extract<Answer, { type: 'Refused' }>): void {
  const { name } = stepAt(draft, index);
  changeDelivery(draft, index, kind, {
    state: kind === 'action' ? 'Unknown' : 'Pending',
    error: errorOf(answer),
  });
  if (draft.state.hold !== undefined) return;
  const reason = answer.reason === 'Fenced' ? 'CompensationFailed' : answer.reason;
  const known = answer.epoch === undefined ? {} : { knownEpoch: answer.epoch };
  hold(draft, { reason, message: `${name}: ${answer.message}`, step: name, kind, ...known });
}

/** Accepted, or nothing was tried: ask again later, at no cost (design rule 5). */
function wait(
  draft: Draft,
  index: number,
  kind: CommandKind,
  answer: Extract<Answer, { type: 'Accepted' | 'NotNow' }>,
): void {
  const { retry: policy } = definitionAt(draft, index);
  const pause = Math.min(Math.max(answer.retryAfter ?? policy.initialInterval, 1), policy.maxInterval);
  const error = answer.type === 'NotNow' ? errorOf(answer) : undefined;
  changeDelivery(draft, index, kind, { state: waiting(kind), due: draft.state.clock + pause, error });
}

/** Whether it took effect is unknown: try again after a backoff, until the attempts are used up. */
function retry(draft: Draft, index: number, kind: CommandKind, answer: Extract<Answer, { type: 'Unknown' }>): void {
  const { retry: policy, name } = definitionAt(draft, index);
  const delivery = stepAt(draft, index)[kind];
  const attempts = delivery.attempts + 1;
  const seed = `${runKey(draft.context.id)}/${name}/${kind}/${delivery.sends}`;
  const due = draft.state.clock + backoff(policy, attempts, seed);
  changeDelivery(draft, index, kind, {
    state: waiting(kind),
    attempts,
    due,
    error: errorOf(answer),
  });
  const told = `${name}: attempt ${attempts} of ${policy.maxAttempts}: ${answer.reason}: ${answer.message}`;
  notice(draft, 'Warning', 'AttemptFailed', told, name);
  if (draft.state.hold !== undefined || attempts < policy.maxAttempts) return;
  if (kind === 'action') return giveUpOnStep(draft, index, 'StepFailed', told);
  holdCompensation(draft, index, 'CompensationFailed', `the compensation of ${told}`);
}

/** Neither in flight nor answered. */
function waiting(kind: CommandKind): 'Unknown' | 'Pending' {
  return kind === 'action' ? 'Unknown' : 'Pending';
}

function errorOf({ reason, message }: StepError): StepError {
  return { reason: reason.slice(0, 64), message: clip(message) };
}
