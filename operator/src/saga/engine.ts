import { answered } from './answers.ts';
import { backward, forward, turnBack } from './course.ts';
import { decided } from './decisions.ts';
import {
  canTurnBack,
  change,
  changeDelivery,
  currentCompensation,
  currentStep,
  type Draft,
  end,
  giveUp,
  hold,
  leftInPlace,
  notice,
  release,
} from './draft.ts';
import { pivotIndex } from './revision.ts';
import type { Now, Revision, RunContext, RunEvent, RunMillis, RunState, Transition, WallMillis } from './types.ts';

/** A run that workers claimed and died with this often, without progress in between, is held (design rule 7). */
export const CLAIM_LIMIT = 16;

/** The state of a run that has done nothing yet. */
export function begin(revision: Revision, wall: WallMillis): RunState {
  return {
    revision: revision.hash,
    direction: 'Forward',
    steps: revision.steps.map(({ name }) => ({
      name,
      action: { state: 'Pending', epoch: 1, attempts: 0, sends: 0, due: 0 },
      compensation: { state: 'None', epoch: 1, attempts: 0, sends: 0, due: 0 },
    })),
    pivotIntent: false,
    clock: 0,
    used: 0,
    begunAt: wall,
    holds: 0,
    paused: false,
    overdue: false,
    givenUp: [],
    claims: 0,
  };
}

/**
 * The state of a run of which nothing is written, although somebody may have driven it: a worker that died in its first second, or an earlier life
 * whose status was lost (a restored backup). Every step before the pivot counts as unknown (design rules 1 and 3).
 */
export function beginAgain(revision: Revision, wall: WallMillis): RunState {
  const blank = begin(revision, wall);
  const steps = blank.steps.map((step, index) =>
    index < pivotIndex(revision) ? { ...step, action: { ...step.action, state: 'Unknown' as const } } : step,
  );
  return { ...blank, steps };
}

/**
 * The state of a run whose journal cannot be believed: nothing of it is. Every step counts as unknown, and the pivot as intended, since the only
 * safe mistake is to compensate nothing by itself. It is held until a person decides.
 */
export function distrust(revision: Revision, context: RunContext, message: string, now: Now): Transition {
  const blank = begin(revision, now.wall);
  const steps = blank.steps.map((step) => ({ ...step, action: { ...step.action, state: 'Unknown' as const } }));
  const state = { ...blank, steps, pivotIntent: pivotIndex(revision) < steps.length };
  return transition(revision, context, state, { type: 'Damaged', message }, now);
}

/**
 * The engine: what a run becomes by an event, and what is to be done for it. Pure: the same arguments give the same answer, so that a run can be
 * replayed exactly. It never throws for anything that a participant, a person or a crash can do.
 *
 * The caller carries the effects out in order, and after the state is durable if `durability` is `before`. It answers each `Send` with exactly one
 * `Answered` (a time-out is an answer), unless the worker ends, and gives the events of one run one at a time.
 */
export function transition(
  revision: Revision,
  context: RunContext,
  state: RunState,
  event: RunEvent,
  now: Now,
): Transition {
  const draft: Draft = { revision, context, now, effects: [], state, durability: 'none' };
  passTime(draft);
  if (state.ended === undefined) {
    apply(draft, event);
    advance(draft);
  } else if (event.type === 'Decided') {
    decided(draft, event.decision);
  }
  const wakeIn = nextWake(draft);
  return {
    state: draft.state,
    effects: draft.effects,
    durability: draft.durability,
    ...(wakeIn === undefined ? {} : { wakeIn }),
  };
}

/** Design rule 9: pause and hold stop the deadline; nothing stops the run's clock. */
function passTime(draft: Draft): void {
  const { state } = draft;
  const elapsed = Math.max(0, draft.now.elapsed);
  if (elapsed === 0 || state.ended !== undefined) return;
  const counts = state.hold === undefined && !state.paused;
  change(draft, { clock: state.clock + elapsed, used: state.used + (counts ? elapsed : 0) }, 'none');
}

function apply(draft: Draft, event: RunEvent): void {
  switch (event.type) {
    case 'Tick':
      return;
    case 'Answered':
      return answered(draft, event);
    case 'Decided':
      return decided(draft, event.decision);
    case 'Cancelled':
      return cancelled(draft, event.reason);
    case 'Paused':
    case 'Resumed':
      return pause(draft, event.type === 'Paused');
    case 'TakenOver':
      return takenOver(draft, event.died);
    case 'LetGo':
      return letGo(draft, event.reason);
    case 'Damaged':
      return damaged(draft, event.message);
  }
}

function advance(draft: Draft): void {
  if (isStopped(draft.state)) return;
  if (draft.state.cancel?.outcome === 'Requested') settleCancel(draft);
  if (draft.state.direction === 'Forward') forward(draft);
  if (draft.state.direction === 'Backward' && !isStopped(draft.state)) backward(draft);
}

function isStopped(state: RunState): boolean {
  return state.ended !== undefined || state.hold !== undefined || state.paused;
}

function cancelled(draft: Draft, reason: string): void {
  if (draft.state.cancel !== undefined) return;
  change(draft, { cancel: { reason, outcome: 'Requested' } });
  // A step that only waits for a person is not waited for any longer; a run in doubt is.
  const { hold: held } = draft.state;
  if (
    held?.kind === 'action' &&
    (held.reason === 'StepFailed' || held.reason === 'DeadlineExceeded') &&
    canTurnBack(draft.revision, draft.state)
  ) {
    release(draft);
  }
}

/** Design rule 8: the write of the pivot's intent is where a cancel wins or loses. */
function settleCancel(draft: Draft): void {
  const { cancel, direction } = draft.state;
  if (cancel === undefined) return;
  if (canTurnBack(draft.revision, draft.state)) {
    change(draft, { cancel: { ...cancel, outcome: 'Compensating' } });
    turnBack(draft, { reason: 'Cancelled', message: cancel.reason });
    return;
  }
  const outcome = direction === 'Backward' ? 'Compensating' : 'TooLate';
  change(draft, { cancel: { ...cancel, outcome } });
  if (outcome === 'TooLate')
    notice(draft, 'Warning', 'CancelTooLate', 'the pivot was already sent: the run goes on to its end');
}

function pause(draft: Draft, paused: boolean): void {
  if (draft.state.paused === paused) return;
  change(draft, { paused });
  notice(
    draft,
    'Normal',
    paused ? 'Paused' : 'Resumed',
    paused ? 'nothing new is sent until the pause ends' : 'the pause is over',
  );
}

/**
 * Design rule 3. What a worker that died had written may lag behind what it had done by a second, so every step that it could have sent counts as
 * unknown. The pivot and what follows it could only be sent after the intent was durable.
 */
function takenOver(draft: Draft, died: boolean): void {
  const reach = draft.state.pivotIntent ? draft.state.steps.length : pivotIndex(draft.revision);
  draft.state.steps.forEach((step, index) => {
    const { action, compensation } = step;
    if (
      action.state === 'InFlight' ||
      (died && action.state === 'Pending' && draft.state.direction === 'Forward' && index < reach)
    ) {
      changeDelivery(draft, index, 'action', { state: 'Unknown', due: draft.state.clock });
    }
    if (compensation.state === 'InFlight')
      changeDelivery(draft, index, 'compensation', { state: 'Pending', due: draft.state.clock });
  });
  if (!died) return;
  // It may have died between the write and the record.
  for (const entry of draft.state.givenUp) draft.effects.push({ type: 'RecordException', entry });
  change(draft, { claims: draft.state.claims + 1 }, 'before');
  if (draft.state.claims <= CLAIM_LIMIT || draft.state.hold !== undefined) return;
  hold(draft, {
    reason: 'WorkersDied',
    message: `${draft.state.claims} workers died with this run and none got further: look at their logs before you let another try`,
  });
}

/** One hold, however often it is told: what a person is about to decide stays valid. The state is written over whatever stands there. */
function damaged(draft: Draft, message: string): void {
  if (draft.state.hold?.reason === 'JournalDamaged') return change(draft, {}, 'before');
  hold(draft, { reason: 'JournalDamaged', message });
}

/** Design rule 8: an object that cannot be kept is let go, with a record of what may be in place. */
function letGo(draft: Draft, reason: string): void {
  giveUp(draft, leftInPlace(draft.state, 'LetGo', 'mercato-operator', reason));
  end(draft, 'Aborted', `let go: ${reason}`);
}

/** When the run next does something by itself. */
function nextWake(draft: Draft): RunMillis | undefined {
  const { state, revision } = draft;
  if (isStopped(state)) return undefined;
  const candidates: number[] = [];
  if (state.direction === 'Forward' && !state.overdue) candidates.push(revision.deadline - state.used);
  const index = state.direction === 'Forward' ? currentStep(state) : currentCompensation(state);
  const step = index === undefined ? undefined : state.steps[index];
  const delivery = state.direction === 'Forward' ? step?.action : step?.compensation;
  if (delivery !== undefined && delivery.state !== 'InFlight') candidates.push(delivery.due - state.clock);
  return candidates.length === 0 ? undefined : Math.max(0, Math.min(...candidates));
}
