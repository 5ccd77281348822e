import { canonicalJson } from './canonical.ts';
import { turnBack } from './course.ts';
import {
  canTurnBack,
  change,
  changeDelivery,
  changeStep,
  clip,
  type Draft,
  end,
  giveUp,
  leftInPlace,
  notice,
  release,
  stepAt,
} from './draft.ts';
import { MAX_OUTPUT_BYTES, storable } from './output.ts';
import { outputsUsedAfter, pivotIndex } from './revision.ts';
import type { Decision, GivenUp, Hold, Revision, RunState } from './types.ts';

/**
 * Carries out a person's decision, or refuses it and says why (design rules 6 and 7). Giving the same decision again changes nothing; a refused one
 * may be amended.
 */
export function decided(draft: Draft, decision: Decision): void {
  const { hold, observedDecision: observed } = draft.state;
  const seen = observed?.holdId === decision.holdId ? observed : undefined;
  if (seen?.outcome === 'Accepted') return;
  const problem =
    hold === undefined ? 'the run is not held: there is nothing to decide' : problemOf(draft, hold, decision);
  if (hold === undefined || problem !== undefined) {
    // Refusing the same thing again for the same reason is no news.
    if (seen?.do === decision.do && seen.message === clip(problem ?? '')) return;
    return observe(draft, decision, 'Refused', problem ?? '');
  }
  observe(draft, decision, 'Accepted', `${decision.by}: ${decision.reason}`);
  release(draft);
  carryOut(draft, hold, decision);
}

/** The decisions that the run's hold can be answered with; none when it is not held. What else they need (Skip's outputs) is not looked at. */
export function possibleDecisions(revision: Revision, { hold, ...state }: RunState): Decision['do'][] {
  if (hold === undefined) return [];
  return [
    'Retry',
    ...(hold.step === undefined ? [] : ['Skip' as const]),
    ...(canTurnBack(revision, state) ? ['Compensate' as const] : []),
    'Abort',
  ];
}

function observe(draft: Draft, decision: Decision, outcome: 'Accepted' | 'Refused', message: string): void {
  change(
    draft,
    { observedDecision: { holdId: decision.holdId, do: decision.do, outcome, message: clip(message) } },
    outcome === 'Accepted' ? 'before' : 'soon',
  );
  notice(
    draft,
    outcome === 'Accepted' ? 'Normal' : 'Warning',
    `Decision${outcome}`,
    `${decision.do}: ${message}`,
    decision.step,
  );
}

function problemOf(draft: Draft, hold: Hold, decision: Decision): string | undefined {
  if (decision.holdId !== hold.id)
    return `it names hold ${decision.holdId}, the run is in hold ${hold.id}: look at the run again and decide anew`;
  if (decision.step !== undefined && decision.step !== hold.step)
    return `it names step ${decision.step}, the run is held at ${hold.step ?? 'no single step'}`;
  if (decision.do === 'Skip') return problemOfSkip(draft, hold, decision);
  if (decision.do !== 'Compensate' || canTurnBack(draft.revision, draft.state)) return undefined;
  return draft.state.direction === 'Backward'
    ? 'the run already compensates: decide Retry, Skip or Abort'
    : `the pivot was sent and may have taken effect: the run can only go forward (Retry${hold.step === undefined ? '' : ', Skip'}) or end where it is (Abort)`;
}

function problemOfSkip(draft: Draft, hold: Hold, decision: Decision): string | undefined {
  if (hold.step === undefined)
    return `the whole run is in doubt, not one step: decide ${canTurnBack(draft.revision, draft.state) ? 'Retry, Compensate' : 'Retry'} or Abort`;
  if (hold.kind === 'compensation') return undefined;
  const outputs = storable(decision.outputs ?? {});
  const bytes = Buffer.byteLength(canonicalJson(outputs));
  if (bytes > MAX_OUTPUT_BYTES)
    return `decision.outputs has ${bytes} bytes, and a run keeps ${MAX_OUTPUT_BYTES} of a step: supply only what later steps use`;
  const missing = outputsUsedAfter(draft.revision, hold.step).filter((field) => outputs[field] === undefined);
  return missing.length === 0
    ? undefined
    : `later steps use outputs of ${hold.step}: supply ${missing.join(', ')} in decision.outputs`;
}

function carryOut(draft: Draft, hold: Hold, decision: Decision): void {
  const index = draft.state.steps.findIndex((step) => step.name === hold.step);
  switch (decision.do) {
    case 'Retry':
      return retry(draft, hold, index);
    case 'Skip':
      return skip(draft, hold, index, decision);
    case 'Compensate':
      return turnBack(draft, {
        reason: 'Decided',
        message: `${decision.by}: ${decision.reason}`,
        ...(hold.step === undefined ? {} : { step: hold.step }),
      });
    case 'Abort':
      return abort(draft, hold, decision);
  }
}

/** Rule 6: the next epoch, which a participant lets replace only a stored business failure. The budget of a run held for its deadline starts anew. */
function retry(draft: Draft, hold: Hold, index: number): void {
  change(draft, { claims: 0, ...(hold.reason === 'DeadlineExceeded' ? { used: 0 } : {}) });
  if (index < 0 || hold.kind === undefined) return;
  const { action, compensation } = stepAt(draft, index);
  const fresh = { attempts: 0, due: draft.state.clock, error: undefined };
  if (hold.kind === 'compensation') {
    const epoch = Math.max(compensation.epoch, hold.knownEpoch ?? 0) + 1;
    return changeDelivery(draft, index, 'compensation', { ...fresh, state: 'Pending', epoch });
  }
  // It may have succeeded while the run was held.
  if (action.state === 'Succeeded') return;
  const state = action.state === 'Failed' || action.state === 'Pending' ? 'Pending' : 'Unknown';
  changeDelivery(draft, index, 'action', { ...fresh, state, epoch: Math.max(action.epoch, hold.knownEpoch ?? 0) + 1 });
}

/** The step is not tried again; what it may have left in place stays registered, and goes on record. */
function skip(draft: Draft, hold: Hold, index: number, decision: Decision): void {
  const { action } = stepAt(draft, index);
  const kind = hold.kind ?? 'action';
  if (hold.reason === 'DeadlineExceeded') change(draft, { used: 0 });
  const step = stepAt(draft, index).name;
  giveUp(draft, [{ decision: 'Skip', kind, step, state: action.state, by: decision.by, reason: decision.reason }]);
  if (kind === 'compensation') return changeDelivery(draft, index, 'compensation', { state: 'GivenUp' });
  if (action.state === 'Succeeded') return;
  // Whoever skips the pivot says that it is done: from here on only forward, also where it was never sent (held by the deadline).
  if (index >= pivotIndex(draft.revision)) change(draft, { pivotIntent: true }, 'before');
  changeDelivery(draft, index, 'action', { state: 'Skipped' });
  changeStep(draft, index, { output: storable(decision.outputs ?? {}), finishedAt: draft.now.wall });
}

/** The run ends where it is. */
function abort(draft: Draft, hold: Hold, decision: Decision): void {
  const entries: GivenUp[] = leftInPlace(draft.state, 'Abort', decision.by, decision.reason);
  const held = draft.state.steps.find((step) => step.name === hold.step);
  if (held !== undefined && !entries.some((entry) => entry.step === held.name)) {
    entries.push({
      decision: 'Abort',
      kind: hold.kind ?? 'action',
      step: held.name,
      state: held.action.state,
      by: decision.by,
      reason: decision.reason,
    });
  }
  giveUp(draft, entries);
  end(draft, 'Aborted', `aborted by ${decision.by}: ${decision.reason}`);
}
