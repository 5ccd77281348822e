import { type Condition, setCondition } from '../../api/conditions.ts';
import { phaseOf } from '../../saga/draft.ts';
import type { Cause, RunState } from '../../saga/types.ts';

/** The conditions of a run that the engine speaks for: `Succeeded`, `Held`, and where there is something to say `DecisionAccepted`, `Paused`, `Overdue`. */
export function runConditions(
  state: RunState,
  before: readonly Condition[] | undefined,
  generation: number,
  now: string,
): readonly Condition[] {
  let list = setCondition(before, { ...succeeded(state), type: 'Succeeded', observedGeneration: generation }, now);
  const observe = (type: string, holds: boolean, reason: string, message: string): void => {
    // A condition that never held is not worth a line.
    if (!holds && !list.some((condition) => condition.type === type)) return;
    list = setCondition(
      list,
      { type, status: holds ? 'True' : 'False', reason, message, observedGeneration: generation },
      now,
    );
  };
  const { hold, observedDecision: decision } = state;
  list = setCondition(
    list,
    {
      type: 'Held',
      status: hold === undefined ? 'False' : 'True',
      reason: hold?.reason ?? 'NotHeld',
      message: hold?.message ?? 'no decision is waited for',
      observedGeneration: generation,
    },
    now,
  );
  observe(
    'Paused',
    state.paused && state.ended === undefined,
    state.paused ? 'Paused' : 'NotPaused',
    state.paused ? 'nothing new is sent' : 'it goes on',
  );
  observe(
    'Overdue',
    state.overdue,
    'DeadlinePassed',
    'the deadline passed after the pivot: the run goes on to its end',
  );
  if (decision !== undefined) {
    const accepted = decision.outcome === 'Accepted';
    list = setCondition(
      list,
      {
        type: 'DecisionAccepted',
        status: accepted ? 'True' : 'False',
        reason: `${decision.do}${decision.outcome}`,
        message: decision.message,
        observedGeneration: generation,
      },
      now,
    );
  }
  return list;
}

function succeeded(state: RunState): Pick<Condition, 'status' | 'reason' | 'message'> {
  const { cause } = state;
  if (state.ended !== undefined && cause?.reason === 'FinishedBefore')
    return { status: state.ended === 'Succeeded' ? 'True' : 'False', reason: cause.reason, message: cause.message };
  switch (state.ended) {
    case 'Succeeded':
      return { status: 'True', reason: 'Succeeded', message: 'every step succeeded' };
    case 'Compensated':
      return {
        status: 'False',
        reason: cause?.reason ?? 'Compensated',
        message: `everything was undone${cause === undefined ? '' : ` after ${told(cause)}`}`,
      };
    case 'Aborted':
      return { status: 'False', reason: 'Aborted', message: 'it was ended where it was; see the exception records' };
    default:
      return { status: 'Unknown', reason: phaseOf(state), message: 'the run has not ended' };
  }
}

/** Some causes name their step themselves. */
function told({ step, message }: Cause): string {
  return step === undefined || message.startsWith(`${step}:`) ? message : `${step}: ${message}`;
}
