import type { Static } from '@sinclair/typebox';
import { clip } from './clip.ts';
import { choice, integer, keyed, MAX_INTEGER, moment, object, text } from './schema.ts';

/** Longer messages are cut by {@link setCondition}: the API server would refuse the whole status. */
export const MAX_CONDITION_MESSAGE = 256;

/** A condition, with the fields and the meaning of `metav1.Condition`. */
export const condition = object(
  {
    type: text({ description: 'What it is about, in CamelCase.', maxLength: 64 }),
    status: choice(['True', 'False', 'Unknown'], { description: 'Whether it holds.' }),
    observedGeneration: integer({
      description: 'The generation of spec that it speaks of.',
      minimum: 0,
      maximum: MAX_INTEGER,
    }),
    lastTransitionTime: moment({ description: 'When status last changed.' }),
    reason: text({ description: 'Why, in one CamelCase word, for machines.', maxLength: 64 }),
    message: text({ description: 'Why, and what to do, for people.', maxLength: MAX_CONDITION_MESSAGE }),
  },
  { description: 'One observation about the object.' },
);

/** The `conditions` of a status. */
export const conditions = () =>
  keyed('type', condition, {
    description: 'The truth about the object, one condition for each type; phase is a summary of it.',
    maxItems: 8,
  });

export type Condition = Static<typeof condition>;
export type ConditionStatus = Condition['status'];

/** A condition as its author says it: the time of its last change is worked out. */
export type Observation = Omit<Condition, 'lastTransitionTime'>;

/**
 * The list with this observation in it; the order of types is kept and a new one is appended. `lastTransitionTime` becomes `now` only if `status`
 * differs from what the list said, as the Kubernetes API conventions demand. Returns the very same list if nothing changed, so that a caller can
 * tell with `===` that there is nothing to write.
 *
 * @param now the wall clock as RFC 3339 text.
 */
export function setCondition(
  list: readonly Condition[] | undefined,
  observation: Observation,
  now: string,
): readonly Condition[] {
  const before = list ?? [];
  const index = before.findIndex((candidate) => candidate.type === observation.type);
  const old = before[index];
  const message = clip(observation.message, MAX_CONDITION_MESSAGE);
  const lastTransitionTime = old?.status === observation.status ? old.lastTransitionTime : now;
  const next: Condition = { ...observation, message, lastTransitionTime };
  if (old === undefined) return [...before, next];
  return same(old, next) ? before : before.with(index, next);
}

/** The condition of this type, if the list has one. */
export function findCondition(list: readonly Condition[] | undefined, type: string): Condition | undefined {
  return list?.find((candidate) => candidate.type === type);
}

/** Whether the condition of this type is `True`. Absent counts as not. */
export function isTrue(list: readonly Condition[] | undefined, type: string): boolean {
  return findCondition(list, type)?.status === 'True';
}

function same(a: Condition, b: Condition): boolean {
  return (
    a.status === b.status &&
    a.reason === b.reason &&
    a.message === b.message &&
    a.observedGeneration === b.observedGeneration &&
    a.lastTransitionTime === b.lastTransitionTime
  );
}
