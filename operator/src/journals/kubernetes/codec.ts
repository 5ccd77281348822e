import type { OrderSagaRunStatus, OrderSagaRunStepStatus } from '../../api/ordersagarun.ts';
import { canonicalJson, sha256 } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import { currentCompensation, currentStep, phaseOf } from '../../saga/draft.ts';
import type { Hold, Output, RunId, RunState, StepState } from '../../saga/types.ts';

/**
 * The part of a run's status that is its journal. What people read (`steps`, `phase`, ...) and what only the engine needs (`journal`) are one
 * record: neither repeats the other, and the checksum covers both.
 */
export type JournalledStatus = Pick<
  OrderSagaRunStatus,
  | 'phase'
  | 'revision'
  | 'step'
  | 'steps'
  | 'holdId'
  | 'holdReason'
  | 'observedDecision'
  | 'givenUp'
  | 'startedAt'
  | 'finishedAt'
  | 'journal'
  | 'checksum'
>;

/** Stands for the format of `journal`; a newer operator reads older ones. */
const FORMAT = 1;

/** What `journal` holds, as short names since it is written with every state. */
interface Rest {
  readonly v: typeof FORMAT;
  readonly direction: RunState['direction'];
  readonly pivot: boolean;
  readonly clock: number;
  readonly used: number;
  readonly begun: number;
  readonly ended?: NonNullable<RunState['ended']>;
  readonly finished?: number;
  readonly cause?: NonNullable<RunState['cause']>;
  readonly hold?: Hold;
  readonly holds: number;
  readonly paused: boolean;
  readonly cancel?: NonNullable<RunState['cancel']>;
  readonly overdue: boolean;
  readonly claims: number;
  /** For each step: sends and due of the action; epoch, sends and due of the compensation. */
  readonly steps: readonly (readonly [number, number, number, number, number])[];
}

/** Writes a run's state as status fields, with their checksum. `undefined` fields are to be removed from the object. */
export function encode(
  id: RunId,
  state: RunState,
): Required<{ [K in keyof JournalledStatus]: JournalledStatus[K] | undefined }> {
  const rest: Rest = {
    v: FORMAT,
    direction: state.direction,
    pivot: state.pivotIntent,
    clock: state.clock,
    used: state.used,
    begun: state.begunAt,
    ...(state.ended === undefined ? {} : { ended: state.ended }),
    ...(state.finishedAt === undefined ? {} : { finished: state.finishedAt }),
    ...(state.cause === undefined ? {} : { cause: state.cause }),
    ...(state.hold === undefined ? {} : { hold: state.hold }),
    holds: state.holds,
    paused: state.paused,
    ...(state.cancel === undefined ? {} : { cancel: state.cancel }),
    overdue: state.overdue,
    claims: state.claims,
    steps: state.steps.map(({ action, compensation: back }) => [
      action.sends,
      action.due,
      back.epoch,
      back.sends,
      back.due,
    ]),
  };
  const fields = {
    phase: phaseOf(state),
    revision: state.revision,
    step: stepAtWork(state),
    steps: state.steps.map(encodeStep),
    holdId: state.hold?.id,
    holdReason: state.hold?.reason,
    observedDecision: state.observedDecision,
    givenUp: state.givenUp.length === 0 ? undefined : [...state.givenUp],
    startedAt: new Date(state.begunAt).toISOString(),
    finishedAt: state.finishedAt === undefined ? undefined : new Date(state.finishedAt).toISOString(),
    journal: JSON.stringify(rest),
  };
  return { ...fields, checksum: checksumOf(id, fields) };
}

/**
 * @returns `undefined` where nothing was ever written, `damaged` where the content is not what an engine wrote for this run, and `newer` where an
 * operator wrote it that knows more than this one (after a downgrade): nothing may be written over that.
 */
export function decode(
  id: RunId,
  status: JournalledStatus | undefined,
): { readonly state: RunState } | { readonly damaged: string } | { readonly newer: string } | undefined {
  if (status?.checksum === undefined && status?.journal === undefined && (status?.steps?.length ?? 0) === 0)
    return undefined;
  if (status?.journal === undefined || status.checksum !== checksumOf(id, status)) {
    return { damaged: 'the status was edited: its checksum does not fit; a person decides how the run goes on' };
  }
  try {
    const rest = JSON.parse(status.journal) as Rest;
    if (rest.v !== FORMAT)
      return { newer: `the journal has format ${rest.v}, this operator reads ${FORMAT}: run the newer operator again` };
    return { state: restore(status, rest) };
  } catch {
    // The checksum is no secret. A cache decodes too, and one object must not keep it from holding all others.
    return { damaged: 'the status was edited: its journal cannot be read; a person decides how the run goes on' };
  }
}

/**
 * With how many workers in a row a run made no progress, as its journal says; undefined where it has none. Unchecked, and so good for an order of work
 * and nothing else.
 */
export function claimsSaid(status: Pick<JournalledStatus, 'journal'> | undefined): number | undefined {
  // Of thousands that have ended the cache keeps none.
  if (status?.journal === undefined) return undefined;
  try {
    const claims = (JSON.parse(status.journal) as Partial<Rest>).claims;
    return typeof claims === 'number' ? claims : undefined;
  } catch {
    return undefined;
  }
}

/** The checksum of a status. Whatever the object's field order, and with absent fields as with undefined ones, the same content has the same checksum. */
export function checksumOf(
  id: RunId,
  fields: { readonly [K in keyof JournalledStatus]?: JournalledStatus[K] | undefined },
): string {
  const {
    phase,
    revision,
    step,
    steps,
    holdId,
    holdReason,
    observedDecision,
    givenUp,
    startedAt,
    finishedAt,
    journal,
  } = fields;
  const covered = {
    phase,
    revision,
    step,
    steps,
    holdId,
    holdReason,
    observedDecision,
    givenUp,
    startedAt,
    finishedAt,
    journal,
  };
  return `sha256:${sha256(canonicalJson([runKey(id), covered])).slice(0, 32)}`;
}

function stepAtWork(state: RunState): string | undefined {
  if (state.ended !== undefined) return undefined;
  if (state.hold?.step !== undefined) return state.hold.step;
  const index = state.direction === 'Forward' ? currentStep(state) : currentCompensation(state);
  return index === undefined ? undefined : state.steps[index]?.name;
}

function encodeStep({ name, action, compensation, output, startedAt, finishedAt }: StepState): OrderSagaRunStepStatus {
  return {
    name,
    state: action.state,
    epoch: action.epoch,
    attempts: action.attempts,
    ...(startedAt === undefined ? {} : { startedAt: new Date(startedAt).toISOString() }),
    ...(finishedAt === undefined ? {} : { finishedAt: new Date(finishedAt).toISOString() }),
    ...(action.error === undefined ? {} : { lastError: action.error }),
    ...(output === undefined ? {} : { output: output as NonNullable<OrderSagaRunStepStatus['output']> }),
    ...(compensation.state === 'None'
      ? {}
      : {
          compensation: {
            state: compensation.state,
            epoch: compensation.epoch,
            attempts: compensation.attempts,
            ...(compensation.error === undefined ? {} : { lastError: compensation.error }),
          },
        }),
  };
}

function restore(status: JournalledStatus, rest: Rest): RunState {
  return {
    revision: status.revision ?? '',
    direction: rest.direction,
    steps: (status.steps ?? []).map((step, index) => restoreStep(step, rest.steps[index] ?? [0, 0, 1, 0, 0])),
    pivotIntent: rest.pivot,
    clock: rest.clock,
    used: rest.used,
    begunAt: rest.begun,
    ...(rest.finished === undefined ? {} : { finishedAt: rest.finished }),
    ...(rest.ended === undefined ? {} : { ended: rest.ended }),
    ...(rest.cause === undefined ? {} : { cause: rest.cause }),
    ...(rest.hold === undefined ? {} : { hold: rest.hold }),
    holds: rest.holds,
    ...(status.observedDecision === undefined ? {} : { observedDecision: status.observedDecision }),
    paused: rest.paused,
    ...(rest.cancel === undefined ? {} : { cancel: rest.cancel }),
    overdue: rest.overdue,
    givenUp: (status.givenUp ?? []) as RunState['givenUp'],
    claims: rest.claims,
  };
}

function restoreStep(
  step: OrderSagaRunStepStatus,
  [sends, due, epoch, backSends, backDue]: Rest['steps'][number],
): StepState {
  const back = step.compensation;
  return {
    name: step.name,
    action: {
      state: step.state,
      epoch: step.epoch,
      attempts: step.attempts,
      sends,
      due,
      ...(step.lastError === undefined ? {} : { error: step.lastError }),
    },
    compensation: {
      state: back?.state ?? 'None',
      epoch,
      attempts: back?.attempts ?? 0,
      sends: backSends,
      due: backDue,
      ...(back?.lastError === undefined ? {} : { error: back.lastError }),
    },
    ...(step.output === undefined ? {} : { output: step.output as Output }),
    ...(step.startedAt === undefined ? {} : { startedAt: Date.parse(step.startedAt) }),
    ...(step.finishedAt === undefined ? {} : { finishedAt: Date.parse(step.finishedAt) }),
  };
}
