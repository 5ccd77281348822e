import { clip as clipTo } from '../api/clip.ts';
import { pivotIndex } from './revision.ts';
import type {
  CommandKind,
  Delivery,
  Durability,
  Effect,
  GivenUp,
  Hold,
  Now,
  Phase,
  Revision,
  RunContext,
  RunState,
  StepDefinition,
  StepState,
} from './types.ts';

/** A transition in the making: the engine's functions change it, and nothing outside sees it before it is finished. */
export interface Draft {
  readonly revision: Revision;
  readonly context: RunContext;
  readonly now: Now;
  readonly effects: Effect[];
  state: RunState;
  durability: Durability;
}

const RANK: Record<Durability, number> = { none: 0, soon: 1, before: 2 };

/** What the schema allows a message (operator/src/api). */
const MESSAGE_CHARACTERS = 256;

/** A message is for people and lives in a bounded status: what is longer ends in an ellipsis. */
export function clip(message: string): string {
  return clipTo(message, MESSAGE_CHARACTERS);
}

/** Changes the state, and asks for at least this durability. */
export function change(draft: Draft, patch: Partial<RunState>, durability: Durability = 'soon'): void {
  draft.state = { ...draft.state, ...patch };
  if (RANK[durability] > RANK[draft.durability]) draft.durability = durability;
}

export function changeStep(
  draft: Draft,
  index: number,
  patch: Partial<StepState>,
  durability: Durability = 'soon',
): void {
  const steps = draft.state.steps.slice();
  steps[index] = { ...(steps[index] as StepState), ...patch };
  change(draft, { steps }, durability);
}

/** Changes the delivery of a step's action or compensation. `error: undefined` in the patch removes the error. */
export function changeDelivery(
  draft: Draft,
  index: number,
  kind: CommandKind,
  patch: { [K in keyof Delivery<string>]?: Delivery<string>[K] | undefined },
  durability: Durability = 'soon',
): void {
  const merged: Record<string, unknown> = { ...stepAt(draft, index)[kind], ...patch };
  if (merged['error'] === undefined) delete merged['error'];
  changeStep(draft, index, { [kind]: merged } as Partial<StepState>, durability);
}

export function stepAt(draft: Draft, index: number): StepState {
  return draft.state.steps[index] as StepState;
}

export function definitionAt(draft: Draft, index: number): StepDefinition {
  return draft.revision.steps[index] as StepDefinition;
}

export function notice(
  draft: Draft,
  level: 'Normal' | 'Warning',
  reason: string,
  message: string,
  step?: string,
): void {
  draft.effects.push({ type: 'Notice', level, reason, message, ...(step === undefined ? {} : { step }) });
}

/** Design rule 4: turning back is possible before the pivot's intent, or when the pivot itself answered with a business failure. */
export function canTurnBack(revision: Revision, state: RunState): boolean {
  if (state.direction === 'Backward') return false;
  return !state.pivotIntent || state.steps[pivotIndex(revision)]?.action.state === 'Failed';
}

/** The step that a forward run is at; undefined when all are done. */
export function currentStep(state: RunState): number | undefined {
  const index = state.steps.findIndex((step) => step.action.state !== 'Succeeded' && step.action.state !== 'Skipped');
  return index < 0 ? undefined : index;
}

/** The step whose compensation is next, in reverse order; undefined when none is left. */
export function currentCompensation(state: RunState): number | undefined {
  const index = state.steps.findLastIndex(
    (step) => step.compensation.state === 'Pending' || step.compensation.state === 'InFlight',
  );
  return index < 0 ? undefined : index;
}

/** May have left something in place, as far as anyone knows. */
export function isRegistered(step: StepState): boolean {
  return step.action.state !== 'Pending' && step.action.state !== 'Failed';
}

/** The one word for what a run is doing. Derived, so that it cannot disagree with the rest. */
export function phaseOf(state: RunState): Phase {
  if (state.ended !== undefined) return state.ended;
  if (state.hold !== undefined) return 'Held';
  if (state.direction === 'Backward') return 'Compensating';
  return state.steps.some((step) => step.action.state !== 'Pending') ? 'Running' : 'Pending';
}

/** Stops the run until a person decides (design rule 7). */
export function hold(draft: Draft, details: Omit<Hold, 'id' | 'since'>): void {
  const holds = draft.state.holds + 1;
  // The second part tells it from a hold of the same number in an earlier life of the run, whose status was lost.
  const id = `${holds}-${draft.now.wall.toString(36)}`;
  change(draft, { holds, hold: { ...details, message: clip(details.message), id, since: draft.now.wall } }, 'before');
  notice(draft, 'Warning', 'Held', `${details.reason}: ${details.message}`, details.step);
}

/** Ends the hold, and only that. */
export function release(draft: Draft): void {
  const { hold: _released, ...rest } = draft.state;
  draft.state = rest;
}

/** An entry for each step that may have left something in place which nobody undid. */
export function leftInPlace(state: RunState, decision: GivenUp['decision'], by: string, reason: string): GivenUp[] {
  return state.steps
    .filter((step) => isRegistered(step) && step.compensation.state !== 'Succeeded')
    .map((step) => ({ decision, kind: 'action', step: step.name, state: step.action.state, by, reason }));
}

/** Puts on record what is given up: in the run and, by an effect, in exception records (design rules 7 and 8). */
export function giveUp(draft: Draft, entries: readonly GivenUp[]): void {
  change(draft, { givenUp: [...draft.state.givenUp, ...entries] }, 'before');
  for (const entry of entries) draft.effects.push({ type: 'RecordException', entry });
}

export function end(draft: Draft, ended: NonNullable<RunState['ended']>, message: string): void {
  release(draft);
  change(draft, { ended, finishedAt: draft.now.wall }, 'before');
  notice(draft, ended === 'Aborted' ? 'Warning' : 'Normal', ended, message);
}
