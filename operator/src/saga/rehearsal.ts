import { begin, transition } from './engine.ts';
import { revisionOf } from './revision.ts';
import type {
  Answer,
  Decision,
  Effect,
  Output,
  RetryPolicy,
  Revision,
  RunContext,
  RunEvent,
  RunInput,
  RunState,
  StepDefinition,
  StepState,
  Transition,
} from './types.ts';

/** For tests: a run and its engine, without anything around them. */

export type Sending = Extract<Effect, { type: 'Send' }>;
export type Notice = Extract<Effect, { type: 'Notice' }>;

const RETRY: RetryPolicy = {
  maxAttempts: 3,
  initialInterval: 100,
  maxInterval: 1000,
  backoffPercent: 200,
  jitterPercent: 0,
};

/** A step with the fields that a test does not care about filled in. */
export function step(name: string, fields: Partial<StepDefinition> = {}): StepDefinition {
  return {
    name,
    participant: `${name}-service`,
    command: `do-${name}`,
    timeout: 1000,
    retry: RETRY,
    uses: [],
    pivot: false,
    ...fields,
  };
}

/** The shop's saga: four steps that can be undone, then the pivot. */
export const CHECKOUT: readonly StepDefinition[] = [
  step('reserve', { compensation: 'release', uses: ['input.lines', 'input.shipTo'] }),
  step('authorise', { compensation: 'void', uses: ['input.total', 'input.currency', 'input.paymentToken'] }),
  step('commit', { compensation: 'release', uses: ['reserve.reservationId'] }),
  step('book', { compensation: 'unbook', uses: ['input.shipTo', 'commit.warehouses'] }),
  step('capture', { pivot: true, uses: ['authorise.authorisationId', 'input.total'] }),
];

/** {@link CHECKOUT} with a step after its pivot. */
export const CHECKOUT_AND_MORE: readonly StepDefinition[] = [
  ...CHECKOUT,
  step('notify', { uses: ['capture.captureId'] }),
];

export function revision(
  steps: readonly StepDefinition[] = CHECKOUT,
  fields: Partial<Pick<Revision, 'deadline' | 'onStepFailure'>> = {},
): Revision {
  return revisionOf({ steps, deadline: 60_000, onStepFailure: 'Compensate', ...fields });
}

export const INPUT: RunInput = {
  customer: 'c-1',
  currency: 'GBP',
  lines: [
    { sku: 'MUG', quantity: 2, unitPrice: 450 },
    { sku: 'LAMP', quantity: 1, unitPrice: 630 },
  ],
  paymentToken: 'tok_ok',
  shipTo: { country: 'GB', city: 'Leeds' },
};

export const CONTEXT: RunContext = { id: { namespace: 'shop', saga: 'checkout', orderId: 'o-1' }, input: INPUT };

/** Each step's output in the tests. */
export const OUTPUTS: Readonly<Record<string, Output>> = {
  reserve: { reservationId: 'r-1' },
  authorise: { authorisationId: 'a-1' },
  commit: { warehouses: 'leeds' },
  book: { bookingId: 'b-1' },
  capture: { captureId: 'cap-1' },
};

export const success = (name: string): Answer => ({ type: 'Success', output: OUTPUTS[name] ?? {} });
export const businessFailure = (reason = 'OutOfStock'): Answer => ({
  type: 'BusinessFailure',
  reason,
  message: 'not today',
});
export const unknown = (reason = 'Timeout'): Answer => ({ type: 'Unknown', reason, message: 'no answer' });

/** Freezes a value through and through, so that an engine that changes what it was given fails. */
export function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}

/** Plays one run, event by event. Everything that goes into the engine is frozen first. */
export class Rehearsal {
  readonly revision: Revision;
  readonly context: RunContext;
  state: RunState;
  /** What the last event led to. */
  last: Transition;
  /** Every sending so far. */
  readonly sent: Sending[] = [];
  readonly notices: Notice[] = [];
  /** The step or compensation of every sending so far, as `reserve`, `undo reserve`. */
  readonly course: string[] = [];
  wall = 1_000_000;

  constructor(of: Revision = revision(), state?: RunState, context: RunContext = CONTEXT) {
    this.revision = frozen(of);
    this.context = frozen(context);
    this.state = frozen(state ?? begin(of, this.wall));
    this.last = { state: this.state, effects: [], durability: 'none' };
  }

  tell(event: RunEvent, elapsed = 0): Transition {
    this.wall += elapsed;
    return this.take(transition(this.revision, this.context, this.state, frozen(event), { wall: this.wall, elapsed }));
  }

  take(next: Transition): Transition {
    this.last = next;
    this.state = frozen(next.state);
    for (const effect of next.effects) {
      if (effect.type === 'Notice') this.notices.push(effect);
      if (effect.type !== 'Send') continue;
      this.sent.push(effect);
      this.course.push(effect.kind === 'action' ? effect.step : `undo ${effect.step}`);
    }
    return next;
  }

  tick(elapsed = 0): Transition {
    return this.tell({ type: 'Tick' }, elapsed);
  }

  /** Answers the latest sending. */
  answer(answer: Answer, elapsed = 0): Transition {
    return this.answerTo(this.latest, answer, elapsed);
  }

  answerTo({ step: name, kind, epoch, send }: Sending, answer: Answer, elapsed = 0): Transition {
    return this.tell({ type: 'Answered', step: name, kind, epoch, send, answer }, elapsed);
  }

  /** Starts the run and lets each step succeed until `name` was sent. */
  runTo(name: string): this {
    if (this.sent.length === 0) this.tick();
    while (this.latest.step !== name) this.answer(success(this.latest.step));
    return this;
  }

  /** Lets the latest sending end without a final answer as often as it may, stepping the clock in between. */
  exhaust(answer: Answer = unknown()): this {
    const { step: name, kind } = this.latest;
    this.answer(answer);
    while (this.last.wakeIn !== undefined && this.state.hold === undefined) {
      this.tick(this.last.wakeIn);
      if (this.latest.step !== name || this.latest.kind !== kind) break;
      this.answer(answer);
    }
    return this;
  }

  decide(fields: Partial<Decision> & Pick<Decision, 'do'>): Transition {
    const holdId = this.state.hold?.id ?? 'none';
    return this.tell({ type: 'Decided', decision: { holdId, reason: 'looked into it', by: 'ann', ...fields } });
  }

  get latest(): Sending {
    const sending = this.sent.at(-1);
    if (sending === undefined) throw new Error('nothing was sent yet');
    return sending;
  }

  /** What the last event sent. */
  get sentNow(): Sending[] {
    return this.last.effects.filter((effect) => effect.type === 'Send');
  }

  get records(): Effect[] {
    return this.last.effects.filter((effect) => effect.type === 'RecordException');
  }

  at(name: string): StepState {
    const found = this.state.steps.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`there is no step ${name}`);
    return found;
  }
}
