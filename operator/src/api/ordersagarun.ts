import type { Static } from '@sinclair/typebox';
import { conditions } from './conditions.ts';
import { defineKind, type Resource } from './kind.ts';
import { pause } from './ordersaga.ts';
import {
  celString,
  choice,
  freeForm,
  integer,
  label,
  list,
  MAX_INTEGER,
  moment,
  object,
  observedGeneration,
  optional,
  SKU,
  text,
  whenSet,
} from './schema.ts';

/**
 * What a run's whole object is to stay below, serialised as JSON with its metadata: etcd is no order store. The limits below keep to it with the
 * shop's own saga and an order of 100 lines; runsize.test.ts measures that. Outputs of up to 1 KiB a step are the one thing that can exceed it.
 */
export const RUN_BYTES = 16 * 1024;

/** More fields than 1 KiB of JSON can have: the contract limits an output's bytes alone, and a status that is refused stops its run. */
const OUTPUT_FIELDS = 256;

/** What the SKUs of an order may take together: half of what 100 of the longest would. */
const SKU_CHARACTERS = 1600;

const line = object(
  {
    // Its form is checked by the input, once.
    sku: text({ description: 'What was ordered.', minLength: 1, maxLength: 32 }),
    quantity: integer({ description: 'How many.', minimum: 1, maximum: 1_000_000 }),
    unitPrice: integer({
      description: "The price of one, in minor units of the order's currency.",
      minimum: 0,
      maximum: 1_000_000_000_000,
    }),
  },
  { description: 'One line of an order.' },
);

const shipTo = object(
  {
    name: optional(text({ description: 'Whom to hand it to.', maxLength: 64 })),
    line1: optional(text({ description: 'Street and number.', maxLength: 64 })),
    line2: optional(text({ description: 'Floor, flat, company.', maxLength: 64 })),
    city: optional(text({ description: 'Town or city.', maxLength: 64 })),
    region: optional(text({ description: 'State, province or county.', maxLength: 32 })),
    postcode: optional(text({ description: 'Postal code.', maxLength: 16 })),
    country: text({
      description: 'ISO 3166-1 alpha-2.',
      minLength: 2,
      maxLength: 2,
      form: { pattern: '^[A-Z]{2}$', message: 'a country is two capital letters (ISO 3166-1 alpha-2), as GB' },
    }),
  },
  { description: 'Where the goods go.' },
);

const input = object(
  {
    customer: text({
      description: 'Who ordered, by an opaque id.',
      minLength: 1,
      maxLength: 64,
      form: {
        pattern: '^[A-Za-z0-9][A-Za-z0-9._:@-]*$',
        message: 'a customer is an id of letters, digits and . _ : @ -',
      },
    }),
    currency: text({
      description: 'ISO 4217.',
      minLength: 3,
      maxLength: 3,
      form: { pattern: '^[A-Z]{3}$', message: 'a currency is three capital letters (ISO 4217), as GBP' },
    }),
    lines: list(line, { description: 'What was ordered. Lines of one SKU are summed.', minItems: 1, maxItems: 100 }),
    // Its form is checked below, by the object: an error of the field itself would print its value, which may be a card number.
    paymentToken: text({ description: "The card vault's token. Never a card number.", minLength: 1, maxLength: 64 }),
    shipTo,
  },
  {
    description: 'The order. It never changes.',
    rules: whenSet([
      {
        rule: `self.lines.all(l, l.sku.matches(${celString(SKU.pattern)}))`,
        message: SKU.message,
        fieldPath: '.lines',
      },
      {
        rule: "!self.paymentToken.matches('^[ -]*([0-9][ -]*){12,19}$')",
        message:
          'paymentToken looks like a card number: send the card to the vault and put the token that it gives here',
        fieldPath: '.paymentToken',
      },
      {
        rule: "self.paymentToken.matches('^[ -]*([0-9][ -]*){12,19}$') || self.paymentToken.matches('^[A-Za-z0-9][A-Za-z0-9._:-]*$')",
        message: 'paymentToken has characters that no token has: use letters, digits and . _ : -',
        fieldPath: '.paymentToken',
      },
      {
        rule: `self.lines.map(l, l.sku.size()).sum() <= ${SKU_CHARACTERS}`,
        message: `the SKUs of an order may have ${SKU_CHARACTERS} characters together, so that a run stays below 16 KiB: split the order`,
        fieldPath: '.lines',
      },
      {
        rule: `self.lines.all(l, l.quantity * l.unitPrice <= ${MAX_INTEGER})`,
        message: 'quantity times unitPrice of a line exceeds 2^53-1 minor units: split the order',
        fieldPath: '.lines',
      },
      {
        // Only where every line is in range, so that the sum cannot overflow.
        rule: `self.lines.exists(l, l.quantity * l.unitPrice > ${MAX_INTEGER}) || self.lines.map(l, l.quantity * l.unitPrice).sum() <= ${MAX_INTEGER}`,
        message: 'the total of the order exceeds 2^53-1 minor units: split the order',
        fieldPath: '.lines',
      },
    ]),
  },
);

const decision = object(
  {
    holdId: text({
      description: 'The status.holdId that this answers; any other is refused with a condition.',
      minLength: 1,
      maxLength: 64,
    }),
    do: choice(['Retry', 'Skip', 'Compensate', 'Abort'], {
      description:
        'Retry sends the step again with the next epoch; Skip goes on without it; Compensate undoes what was done (before the pivot only); Abort ends the run where it is.',
    }),
    step: optional(
      label({ description: 'The step that it is about, if not the one that the run is held at.', maxLength: 40 }),
    ),
    outputs: optional(
      freeForm({
        description: 'With Skip: the outputs of the skipped step that later steps use. At most 1 KiB.',
        maxProperties: OUTPUT_FIELDS,
      }),
    ),
    reason: text({
      description: 'Why. Kept on record.',
      minLength: 1,
      maxLength: 256,
      form: { pattern: '[^ ]', message: 'give the reason of the decision: it is kept on record' },
    }),
    by: text({
      description: 'Who decides: your user name, as kubectl auth whoami shows it.',
      minLength: 1,
      maxLength: 128,
    }),
  },
  {
    description: "A person's answer to a hold. It is valid for that hold only.",
    rules: [
      {
        rule: "self.do == 'Skip' || !has(self.outputs)",
        message: 'only Skip takes outputs: remove outputs, or decide Skip',
        fieldPath: '.outputs',
      },
    ],
  },
);

const unchanged = (field: string, rule: string) => ({
  rule,
  message: `${field} cannot change: a run is one execution of one order; create another run, or set decision or pause`,
  fieldPath: `.${field}`,
});

const spec = object(
  {
    sagaRef: object(
      { name: label({ description: 'The OrderSaga, in this namespace.', maxLength: 40 }) },
      { description: 'The definition that the run follows.' },
    ),
    orderId: label({ description: 'The order. With namespace and saga it is the identity of the run.', maxLength: 40 }),
    input: optional(input),
    mode: choice(['Execute', 'View'], {
      description:
        'Execute runs the order. View is a window on a run that lives in another journal; creating one asks to see that run.',
      default: 'Execute',
    }),
    decision: optional(decision),
    pause: optional(pause('the run begins no step. What is in flight ends, and its deadline stands still.')),
  },
  {
    description: 'The order and its saga: immutable but for decision and pause.',
    rules: [
      {
        rule: "self.mode == 'View' || has(self.input)",
        message: 'a run needs its order: set input; or set mode to View to see a run that lives in another journal',
        fieldPath: '.input',
      },
      ...(['sagaRef', 'orderId', 'mode'] as const).map((field) =>
        unchanged(field, `self.${field} == oldSelf.${field}`),
      ),
      unchanged('input', 'has(self.input) == has(oldSelf.input) && (!has(self.input) || self.input == oldSelf.input)'),
    ],
  },
);

/** What a status says in words is cut to this. */
export const MESSAGE_LENGTH = 256;
const problem = (what: string) =>
  object(
    {
      reason: text({ description: 'In CamelCase, for machines.', maxLength: 64 }),
      message: text({ description: 'For people.', maxLength: MESSAGE_LENGTH }),
    },
    { description: what },
  );
const epoch = () =>
  integer({ description: 'From 1; a Retry raises it. 0: never sent.', minimum: 0, maximum: 1_000_000 });
const attempts = () =>
  integer({ description: 'Attempts of this epoch without a final answer.', minimum: 0, maximum: 1_000_000 });

const stepStatus = object(
  {
    name: label({ description: 'The step.', maxLength: 40 }),
    state: choice(['Pending', 'InFlight', 'Unknown', 'Succeeded', 'Failed', 'Skipped'], {
      description:
        'Unknown: it was sent, or may have been, and whether it took effect is not known. Failed: it answered with a business failure, and nothing is in place.',
    }),
    epoch: epoch(),
    attempts: attempts(),
    startedAt: optional(moment({ description: 'When it was first sent.' })),
    finishedAt: optional(moment({ description: 'When it had a final answer.' })),
    lastError: optional(problem('What the last attempt ended with.')),
    output: optional(freeForm({ description: 'What it gave. At most 1 KiB.', maxProperties: OUTPUT_FIELDS })),
    compensation: optional(
      object(
        {
          state: choice(['Pending', 'InFlight', 'Succeeded', 'GivenUp'], {
            description: 'GivenUp: a person skipped it.',
          }),
          epoch: epoch(),
          attempts: attempts(),
          lastError: optional(problem('What the last attempt ended with.')),
        },
        { description: 'Its undoing; absent until the run compensates.' },
      ),
    ),
  },
  { description: 'Where one step is.' },
);

const status = object(
  {
    observedGeneration: optional(observedGeneration()),
    phase: optional(
      choice(['Pending', 'Running', 'Compensating', 'Held', 'Succeeded', 'Compensated', 'Aborted'], {
        description: 'A summary of the conditions.',
      }),
    ),
    conditions: optional(conditions()),
    revision: optional(
      text({ description: 'The hash of the revision that the run began with and keeps.', maxLength: 64 }),
    ),
    step: optional(text({ description: 'The step that the run is at.', maxLength: 40 })),
    steps: optional(list(stepStatus, { description: 'One entry for each step of the revision.', maxItems: 20 })),
    holdId: optional(
      text({ description: 'The hold that a decision must name; absent when the run is not held.', maxLength: 64 }),
    ),
    holdReason: optional(text({ description: 'Why it is held, in CamelCase.', maxLength: 64 })),
    observedDecision: optional(
      object(
        {
          holdId: text({ description: 'The hold that it named.', maxLength: 64 }),
          do: choice(['Retry', 'Skip', 'Compensate', 'Abort'], { description: 'What it asked for.' }),
          outcome: choice(['Accepted', 'Refused'], { description: 'What came of it.' }),
          message: text({ description: 'Why.', maxLength: MESSAGE_LENGTH }),
        },
        { description: 'The last decision that the engine saw.' },
      ),
    ),
    givenUp: optional(
      list(
        object(
          {
            decision: choice(['Skip', 'Abort', 'LetGo'], { description: 'What gave it up.' }),
            kind: choice(['action', 'compensation'], { description: 'Which command.' }),
            step: text({ description: 'Of which step.', maxLength: 40 }),
            state: text({ description: 'Where it was.', maxLength: 16 }),
            by: text({ description: 'Who.', maxLength: 128 }),
            reason: text({ description: 'Why.', maxLength: MESSAGE_LENGTH }),
          },
          { description: 'One command that was given up.' },
        ),
        { description: 'What the run gave up on; each has an exception record too.', maxItems: 60 },
      ),
    ),
    nextAction: optional(text({ description: 'What comes next, when and why, in words.', maxLength: MESSAGE_LENGTH })),
    startedAt: optional(moment({ description: 'When the run began.' })),
    finishedAt: optional(moment({ description: 'When it ended.' })),
    journal: optional(
      text({
        description: "The engine's own state, encoded. Not to be edited: the run would be held.",
        maxLength: 4096,
      }),
    ),
    checksum: optional(text({ description: 'Of journal, and of what it relies on in this object.', maxLength: 128 })),
  },
  { description: 'What the engine did, does and will do.' },
);

/** OrderSagaRun: one order's execution of an OrderSaga, or a window on one. */
export const orderSagaRun = defineKind({
  kind: 'OrderSagaRun',
  plural: 'ordersagaruns',
  singular: 'ordersagarun',
  shortNames: ['osr'],
  scope: 'Namespaced',
  description:
    "OrderSagaRun is one order's execution of an OrderSaga (mode Execute), or a window on one that lives in another journal (mode View).",
  spec,
  status,
  rules: [
    {
      rule: "self.metadata.name == self.spec.sagaRef.name + '-' + self.spec.orderId",
      message:
        'the name of a run must be <saga>-<orderId>, so that an order cannot run twice: rename it, or correct sagaRef.name or orderId',
    },
  ],
  columns: [
    { name: 'Saga', type: 'string', jsonPath: '.spec.sagaRef.name', description: 'The definition that it follows.' },
    { name: 'Order', type: 'string', jsonPath: '.spec.orderId', description: 'The order.' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'A summary of the conditions.' },
    { name: 'Step', type: 'string', jsonPath: '.status.step', description: 'The step that it is at.' },
    { name: 'Next', type: 'string', jsonPath: '.status.nextAction', description: 'What comes next.' },
    { name: 'Mode', type: 'string', jsonPath: '.spec.mode', description: 'Execute or View.', priority: 1 },
    {
      name: 'Hold',
      type: 'string',
      jsonPath: '.status.holdId',
      description: 'What a decision must name.',
      priority: 1,
    },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Since it was created.' },
  ],
  selectableFields: ['.spec.sagaRef.name', '.spec.orderId', '.spec.mode', '.status.phase'],
});

export type OrderSagaRun = Resource<typeof orderSagaRun>;
export type OrderSagaRunSpec = Static<typeof spec>;
export type OrderSagaRunStatus = Static<typeof status>;
export type OrderSagaRunStepStatus = Static<typeof stepStatus>;
export type OrderInput = Static<typeof input>;
export type OrderLine = Static<typeof line>;
export type Address = Static<typeof shipTo>;
export type RunDecision = Static<typeof decision>;
export type RunPhase = NonNullable<OrderSagaRunStatus['phase']>;
