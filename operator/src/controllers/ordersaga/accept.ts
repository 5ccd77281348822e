import type { OrderSaga } from '../../api/ordersaga.ts';
import type { Participant } from '../../api/participant.ts';
import { revisionFrom } from '../../saga/definition.ts';
import { problemsOf } from '../../saga/revision.ts';
import type { Revision } from '../../saga/types.ts';

/** Whether runs may follow a definition. What concerns two objects cannot be refused by the API server, and shows here. */
export type Acceptance =
  | { readonly accepted: true; readonly revision: Revision }
  | {
      readonly accepted: false;
      readonly reason: 'ParticipantNotFound' | 'CommandUnknown' | 'Invalid';
      readonly message: string;
    };

/** Looks at a definition and the participants that it names. */
export function accept(saga: OrderSaga, participantOf: (name: string) => Participant | undefined): Acceptance {
  const revision = revisionFrom(saga.spec);
  const problems = problemsOf(revision.steps);
  if (problems.length > 0) return { accepted: false, reason: 'Invalid', message: problems.join('; ') };
  for (const step of saga.spec.steps) {
    const participant = participantOf(step.participant);
    if (participant === undefined) {
      const message = `step ${step.name} names participant ${step.participant}, which is not in this namespace: apply it, or correct the name`;
      return { accepted: false, reason: 'ParticipantNotFound', message };
    }
    const known = participant.spec.commands.map(({ name }) => name);
    const unknown = [step.command, ...(step.compensation === undefined ? [] : [step.compensation])].find(
      (name) => !known.includes(name),
    );
    if (unknown !== undefined) {
      const message = `step ${step.name} uses command ${unknown}, which participant ${step.participant} does not declare (it declares ${known.join(', ')})`;
      return { accepted: false, reason: 'CommandUnknown', message };
    }
  }
  return { accepted: true, revision };
}

/** A pause as people say it: `until` is a wall clock's time. */
export interface Pause {
  readonly until: string;
  readonly reason: string;
}

/** The pause that is in force for longest; undefined when there is none. */
export function pauseInForce(pauses: readonly (Pause | undefined)[], wall: number): Pause | undefined {
  return pauses
    .filter((pause) => pause !== undefined)
    .filter(({ until }) => Date.parse(until) > wall)
    .reduce<Pause | undefined>(
      (longest, pause) =>
        longest === undefined || Date.parse(pause.until) > Date.parse(longest.until) ? pause : longest,
      undefined,
    );
}

/** The end of the pause that is in force, in Unix milliseconds; undefined when there is none. */
export function pausedUntil(pauses: readonly (Pause | undefined)[], wall: number): number | undefined {
  const pause = pauseInForce(pauses, wall);
  return pause === undefined ? undefined : Date.parse(pause.until);
}
