import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import {
  choice,
  duration,
  flag,
  integer,
  interval,
  label,
  list,
  MAX_INTEGER,
  moment,
  object,
  observedGeneration,
  optional,
  positiveDuration,
  text,
} from './schema.ts';

/** What a step may use of a run's input. `total` is derived: the sum of quantity times unitPrice. */
export const INPUT_FIELDS = ['customer', 'currency', 'lines', 'paymentToken', 'shipTo', 'total'] as const;

/** How many runs a status names before it only counts. */
export const TOP = 20;

const SAGA_NAME_LENGTH = 40;
const STEP_NAME_LENGTH = 40;
const MAX_STEPS = 20;
const MAX_USES = 20;

/** Suspends work until a moment; it ends by itself. Shared by OrderSaga and OrderSagaRun. */
export const pause = (what: string) =>
  object(
    {
      until: moment({ description: 'When work goes on by itself.' }),
      reason: text({ description: 'Why, for whoever finds it paused.', minLength: 1, maxLength: 256 }),
    },
    { description: `While this is set and \`until\` is to come, ${what}` },
  );

const retry = object(
  {
    maxAttempts: integer({
      description:
        'Attempts that may end without a final answer, the first one included. The default outlasts the restart of a service by about a minute.',
      default: 10,
      minimum: 1,
      maximum: 100,
    }),
    initialInterval: interval({ description: 'The wait before the second attempt.', default: '200ms' }),
    maxInterval: interval({ description: 'No wait is longer.', default: '30s' }),
    backoffPercent: integer({
      description: 'Each wait is this many percent of the one before: 200 doubles, 100 keeps it.',
      default: 200,
      minimum: 100,
      maximum: 1000,
    }),
    jitterPercent: integer({
      description: 'A wait is moved by up to this many percent, both ways.',
      default: 20,
      minimum: 0,
      maximum: 100,
    }),
  },
  {
    description: 'How an attempt without a final answer is repeated. 425, 429 and an open circuit cost no attempt.',
    default: {},
    rules: [
      {
        // duration() fails on what is no duration, which has an error of its own already.
        rule: "!self.initialInterval.matches('^([0-9]{1,6}(ms|s|m|h))+$') || !self.maxInterval.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self.initialInterval) <= duration(self.maxInterval)",
        message: 'initialInterval must not be longer than maxInterval: raise maxInterval or lower initialInterval',
      },
    ],
  },
);

const USES = `use input.<field> (${INPUT_FIELDS.join(', ')}) or <earlier step>.<output field>`;

const use = text({
  description: 'input.<field> or <earlier step>.<output field>.',
  minLength: 3,
  maxLength: 104,
  form: {
    pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?\\.[A-Za-z][A-Za-z0-9]*$',
    message: USES,
  },
  rules: [
    { rule: `!self.startsWith('input.') || self.matches('^input\\\\.(${INPUT_FIELDS.join('|')})$')`, message: USES },
  ],
});

const step = object(
  {
    name: label({
      description: 'Names the step; part of its idempotency keys, so a renamed step is another step.',
      maxLength: STEP_NAME_LENGTH,
    }),
    participant: label({ description: 'The Participant, in this namespace, that carries out the commands.' }),
    command: label({ description: "The action: one of the Participant's commands." }),
    compensation: optional(
      label({ description: 'The command that undoes the action. Without one, there is nothing to undo.' }),
    ),
    timeout: interval({
      description: 'How long one attempt may take; what takes longer is unknown, not failed.',
      default: '10s',
    }),
    retry,
    uses: list(use, {
      description:
        'The fields of input and of earlier outputs that the command gets, each named by its last segment, and no others.',
      default: [],
      maxItems: MAX_USES,
      rules: [
        {
          rule: "self.all(i, u, !self.exists(j, v, j < i && u.substring(u.indexOf('.') + 1) == v.substring(v.indexOf('.') + 1)))",
          message: 'two entries of uses end in the same field, and a command gets each name once: remove one of them',
        },
      ],
    }),
    pivot: flag({
      description: 'The point of no return: from its intent on the run only goes forward.',
      default: false,
    }),
  },
  { description: 'One command to one participant.' },
);

const spec = object(
  {
    steps: list(step, {
      description: 'What happens to an order, in this order.',
      minItems: 1,
      maxItems: MAX_STEPS,
      rules: [
        {
          rule: 'self.all(s, self.exists_one(t, t.name == s.name))',
          messageExpression:
            "'two steps have the same name, ' + self.transformList(i, s, !self.exists_one(t, t.name == s.name), s.name)[0] + ': rename one of them'",
          message: 'two steps have the same name: rename one of them',
        },
        {
          rule: "self.all(s, s.name != 'input')",
          message: 'no step may be named input: uses would mean the input of the run; rename it',
        },
        {
          rule: 'self.filter(s, s.pivot).size() <= 1',
          message: 'only one step can be the pivot: remove pivot from the others',
        },
        {
          rule: 'self.all(i, s, !has(s.compensation) || !self.exists(j, p, j <= i && p.pivot))',
          messageExpression:
            "'the pivot and the steps after it are never compensated: remove their compensation (step ' + self.transformList(i, s, has(s.compensation) && self.exists(j, p, j <= i && p.pivot), s.name)[0] + '), or move the pivot to a later step'",
          message:
            'the pivot and the steps after it are never compensated: remove their compensation, or move the pivot to a later step',
        },
        {
          rule: "self.all(i, s, s.uses.all(u, u.startsWith('input.') || self.exists(j, e, j < i && u.startsWith(e.name + '.'))))",
          messageExpression:
            "'uses names a step that does not stand before its own (step ' + self.transformList(i, s, !s.uses.all(u, u.startsWith('input.') || self.exists(j, e, j < i && u.startsWith(e.name + '.'))), s.name)[0] + '): name an earlier step, or move that step up'",
          message: 'uses names a step that does not stand before its own: name an earlier step, or move that step up',
        },
      ],
    }),
    deadline: positiveDuration({
      description: 'How long a run may be at work before its pivot; pauses and holds do not count.',
      default: '15m',
    }),
    onStepFailure: choice(['Compensate', 'Hold'], {
      description:
        'What follows when a step before the pivot used up its attempts, or the run its deadline. Past the pivot it is always Hold.',
      default: 'Compensate',
    }),
    visibility: choice(['Always', 'OnAttention'], {
      description:
        'Which runs show as OrderSagaRuns. With the kubernetes journal all do, whatever is said here. With a journal outside Kubernetes only those do that are held, overdue or asked for (OnAttention), as mode View: Always cannot be had there.',
      default: 'Always',
    }),
    ttlAfterFinished: object(
      {
        succeeded: duration({ description: 'How long a Succeeded run is kept.', default: '1h' }),
        compensated: duration({ description: 'How long a Compensated run is kept.', default: '1d' }),
        aborted: duration({ description: 'How long an Aborted run is kept.', default: '7d' }),
      },
      {
        description:
          'How long a finished run is kept before it is deleted. Its order id is remembered longer (35 days).',
        default: {},
      },
    ),
    maxActive: optional(
      integer({
        description:
          'At most so many runs are at work at once; the others wait. Held runs take no place. With the dynamodb journal each worker has an equal share, at least one place, and lends none. Absent: no limit.',
        minimum: 1,
        maximum: 1_000_000,
      }),
    ),
    pause: optional(pause('runs of this saga begin no step. What is in flight ends, and deadlines stand still.')),
  },
  {
    description:
      'The definition. steps, deadline and onStepFailure form a revision that a run keeps; the rest is live.',
  },
);

const count = (what: string) => integer({ description: what, minimum: 0, maximum: MAX_INTEGER });

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    phase: optional(choice(['Ready', 'Paused', 'NotAccepted'], { description: 'A summary of the conditions.' })),
    conditions: optional(conditions()),
    currentRevision: optional(
      text({ description: 'The hash of the revision that new runs begin with.', maxLength: 64 }),
    ),
    active: optional(count('Runs that are neither finished nor held.')),
    counts: optional(
      object(
        {
          succeeded: count('Runs that succeeded.'),
          compensated: count('Runs that were compensated.'),
          held: count('Runs that are held now.'),
          aborted: count('Runs that a person aborted.'),
        },
        { description: 'Runs by outcome, written at most every 10 s. Of the runs that are kept; metrics count all.' },
      ),
    ),
    heldRuns: optional(
      list(text({ description: 'The name of a run.', maxLength: 253 }), {
        description: 'Held runs, the longest held first.',
        maxItems: TOP,
      }),
    ),
    heldCount: optional(count('How many runs are held, also those that heldRuns does not name.')),
    excessViews: optional(count('Runs that should show as Views but do not, because there are too many.')),
    nextAction: optional(text({ description: 'What comes next, when and why, in words.', maxLength: 256 })),
  },
  { description: 'What the operator observed.' },
);

/** OrderSaga: the definition that the runs of an order follow. */
export const orderSaga = defineKind({
  kind: 'OrderSaga',
  plural: 'ordersagas',
  singular: 'ordersaga',
  shortNames: ['saga'],
  scope: 'Namespaced',
  description: 'OrderSaga defines what happens to an order: steps, how each is undone, retry, deadline and pause.',
  spec,
  status,
  rules: [
    {
      rule: `self.metadata.name.size() <= ${SAGA_NAME_LENGTH} && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')`,
      message: `the name of an OrderSaga is part of keys and names: use a lower-case DNS label of at most ${SAGA_NAME_LENGTH} characters, without dots`,
    },
  ],
  columns: [
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'A summary of the conditions.' },
    { name: 'Active', type: 'integer', jsonPath: '.status.active', description: 'Runs at work.' },
    { name: 'Held', type: 'integer', jsonPath: '.status.heldCount', description: 'Runs that wait for a decision.' },
    {
      name: 'Succeeded',
      type: 'integer',
      jsonPath: '.status.counts.succeeded',
      description: 'Runs that succeeded.',
      priority: 1,
    },
    {
      name: 'Compensated',
      type: 'integer',
      jsonPath: '.status.counts.compensated',
      description: 'Runs that were undone.',
      priority: 1,
    },
    {
      name: 'Revision',
      type: 'string',
      jsonPath: '.status.currentRevision',
      description: 'What new runs begin with.',
      priority: 1,
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: [],
});

export type OrderSaga = Resource<typeof orderSaga>;
export type OrderSagaSpec = Static<typeof spec>;
export type OrderSagaStatus = Static<typeof status>;
export type OrderSagaStep = Static<typeof step>;
export type RetrySpec = Static<typeof retry>;
