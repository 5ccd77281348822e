/**
 * The words of the saga engine as types. Everything here is a plain value: it can be written to a journal, compared, and replayed.
 *
 * Times come in two kinds that are never mixed. `WallMillis` (Unix epoch) is for people and for `Mercato-Begun`; nothing is decided by it.
 * `RunMillis` counts on the run's own clock, which only ever advances by what a monotonic clock measured (design rule 9), so that a wall
 * clock that jumps compensates nobody.
 */

declare const wall: unique symbol;
declare const span: unique symbol;

/** Milliseconds since the Unix epoch, as a wall clock showed them. For display only. */
export type WallMillis = number & { readonly [wall]?: true };

/** Milliseconds of a run's own clock, or a length of time. Never negative. */
export type RunMillis = number & { readonly [span]?: true };

/** What names a run: never a uid, so that a restored or re-created object is the same run (design rule 1). */
export interface RunId {
  readonly namespace: string;
  readonly saga: string;
  readonly orderId: string;
}

/** A value that may stand in a command's body or in a step's output. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };
export type Output = Readonly<Record<string, Json>>;

/** One order line. `unitPrice` is in minor units of the order's currency. */
export interface OrderLine {
  readonly sku: string;
  readonly quantity: number;
  readonly unitPrice: number;
}

/** What a run is about; the same for its whole life. */
export interface RunInput {
  readonly customer: string;
  readonly currency: string;
  readonly lines: readonly OrderLine[];
  readonly paymentToken: string;
  readonly shipTo: Readonly<Record<string, Json>>;
}

export interface RetryPolicy {
  /** Attempts that may end without a final answer, the first one included. At least 1. */
  readonly maxAttempts: number;
  /** Wait before the second attempt. */
  readonly initialInterval: RunMillis;
  /** No wait is longer. */
  readonly maxInterval: RunMillis;
  /** Each wait is this many percent of the one before; 200 doubles. At least 100. */
  readonly backoffPercent: number;
  /** A wait is moved by up to this many percent, both ways. 0 to 100. */
  readonly jitterPercent: number;
}

export interface StepDefinition {
  readonly name: string;
  readonly participant: string;
  readonly command: string;
  /** The command that undoes `command`. A step without one has nothing to undo. */
  readonly compensation?: string;
  /** How long one attempt may take. */
  readonly timeout: RunMillis;
  readonly retry: RetryPolicy;
  /** `input.<field>` or `<earlier step>.<field>`; what the command gets, and nothing else. */
  readonly uses: readonly string[];
  /** The point of no return. At most one step has it. */
  readonly pivot: boolean;
}

/** What a run began with and keeps, whatever happens to its OrderSaga. Stored by its hash in each journal. */
export interface Revision {
  readonly hash: string;
  readonly steps: readonly StepDefinition[];
  /** The budget of active time until the pivot's intent. */
  readonly deadline: RunMillis;
  /** What follows when a step before the pivot used up its attempts or the run its deadline. */
  readonly onStepFailure: 'Compensate' | 'Hold';
}

/**
 * - `Pending`: nobody has sent it.
 * - `InFlight`: this worker has sent it and waits for the answer.
 * - `Unknown`: it was, or may have been, sent; whether it took effect is not known.
 * - `Succeeded`, `Failed` (a business failure: nothing is in place): final answers.
 * - `Skipped`: a person supplied its outputs; it may have taken effect, so it stays registered for compensation.
 */
export type ActionState = 'Pending' | 'InFlight' | 'Unknown' | 'Succeeded' | 'Failed' | 'Skipped';

/** `None` until the run compensates; `GivenUp` when a person skipped it. */
export type CompensationState = 'None' | 'Pending' | 'InFlight' | 'Succeeded' | 'GivenUp';

export type CommandKind = 'action' | 'compensation';

export interface StepError {
  /** CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

/** The sending of one command, action or compensation: what retries and answers count on. */
export interface Delivery<State> {
  readonly state: State;
  /** From 1. A person's Retry raises it (design rule 6). */
  readonly epoch: number;
  /** Attempts of this epoch that ended without a final answer. */
  readonly attempts: number;
  /** How often it was sent, whatever came of it; tells a late answer from a current one, and feeds the jitter. */
  readonly sends: number;
  /** On the run's clock: not to be sent before. */
  readonly due: RunMillis;
  readonly error?: StepError;
}

export interface StepState {
  readonly name: string;
  readonly action: Delivery<ActionState>;
  readonly compensation: Delivery<CompensationState>;
  readonly output?: Output;
  readonly startedAt?: WallMillis;
  readonly finishedAt?: WallMillis;
}

export type HoldReason =
  | 'StepFailed'
  | 'DeadlineExceeded'
  | 'CompensationFailed'
  | 'FingerprintMismatch'
  | 'StaleEpoch'
  | 'KeyExpired'
  | 'JournalDamaged'
  | 'WorkersDied';

export interface Hold {
  /** A decision is valid only for the hold that it names. */
  readonly id: string;
  readonly reason: HoldReason;
  readonly message: string;
  readonly since: WallMillis;
  /** The step that it stands at; absent when the whole run is in doubt. */
  readonly step?: string;
  readonly kind?: CommandKind;
  /** The highest epoch that a participant knew of, where it refused ours as stale. */
  readonly knownEpoch?: number;
}

export type Decision = {
  readonly holdId: string;
  readonly do: 'Retry' | 'Skip' | 'Compensate' | 'Abort';
  readonly step?: string;
  readonly outputs?: Output;
  readonly reason: string;
  readonly by: string;
};

export interface ObservedDecision {
  readonly holdId: string;
  readonly do: Decision['do'];
  readonly outcome: 'Accepted' | 'Refused';
  readonly message: string;
}

/** What a run gave up on, by whom and why. Each entry also becomes an exception record. */
export interface GivenUp {
  readonly decision: 'Skip' | 'Abort' | 'LetGo';
  readonly kind: CommandKind;
  readonly step: string;
  readonly state: ActionState;
  readonly by: string;
  readonly reason: string;
}

export type Phase = 'Pending' | 'Running' | 'Compensating' | 'Held' | 'Succeeded' | 'Compensated' | 'Aborted';

/** Why a run compensates. */
export interface Cause {
  readonly reason: string;
  readonly message: string;
  readonly step?: string;
}

export interface RunState {
  readonly revision: string;
  readonly direction: 'Forward' | 'Backward';
  readonly steps: readonly StepState[];
  /** The pivot's intent is durable or being made so: from here on only forward (design rule 4). */
  readonly pivotIntent: boolean;
  /** The run's own clock. */
  readonly clock: RunMillis;
  /** How much of the deadline's budget is used: `clock` without the time that pauses and holds took. */
  readonly used: RunMillis;
  readonly begunAt: WallMillis;
  readonly finishedAt?: WallMillis;
  /** Set when the run has ended; the other phases follow from the rest (see {@link phaseOf}). */
  readonly ended?: 'Succeeded' | 'Compensated' | 'Aborted';
  readonly cause?: Cause;
  readonly hold?: Hold;
  /** How many holds there have been. */
  readonly holds: number;
  readonly observedDecision?: ObservedDecision;
  readonly paused: boolean;
  readonly cancel?: { readonly reason: string; readonly outcome: 'Requested' | 'Compensating' | 'TooLate' };
  readonly overdue: boolean;
  readonly givenUp: readonly GivenUp[];
  /** Take-overs since there was last progress (design rule 7). */
  readonly claims: number;
}

/** The answers of a participant, as the engine reads them (design rule 5; docs/reference/participant-contract.md). */
export type Answer =
  | { readonly type: 'Success'; readonly output: Output }
  | { readonly type: 'BusinessFailure'; readonly reason: string; readonly message: string }
  | { readonly type: 'Accepted'; readonly retryAfter?: RunMillis }
  /** 425, 429, an open circuit, no free place: nothing was tried, so it costs no attempt. */
  | { readonly type: 'NotNow'; readonly reason: string; readonly message: string; readonly retryAfter?: RunMillis }
  | {
      readonly type: 'Refused';
      readonly reason: 'FingerprintMismatch' | 'StaleEpoch' | 'Fenced' | 'KeyExpired';
      readonly message: string;
      readonly epoch?: number;
    }
  | { readonly type: 'Unknown'; readonly reason: string; readonly message: string };

export type RunEvent =
  /** Time went by: a timer is due. */
  | { readonly type: 'Tick' }
  | {
      readonly type: 'Answered';
      readonly step: string;
      readonly kind: CommandKind;
      readonly epoch: number;
      readonly send: number;
      readonly answer: Answer;
    }
  | { readonly type: 'Decided'; readonly decision: Decision }
  /** A customer's cancel, or the deletion of the object. */
  | { readonly type: 'Cancelled'; readonly reason: string }
  | { readonly type: 'Paused' }
  | { readonly type: 'Resumed' }
  /** Another worker has the run now; what was in flight is unknown. `died` says that the last one did not hand it over. */
  | { readonly type: 'TakenOver'; readonly died: boolean }
  /** The object can no longer be kept (its namespace or its kind is being deleted). */
  | { readonly type: 'LetGo'; readonly reason: string }
  /** The journal's checksum does not fit its content. */
  | { readonly type: 'Damaged'; readonly message: string };

/** What a worker carries out for the engine. */
export type Effect =
  | {
      readonly type: 'Send';
      readonly step: string;
      readonly kind: CommandKind;
      readonly participant: string;
      readonly command: string;
      readonly key: string;
      readonly epoch: number;
      readonly send: number;
      readonly begunAt: WallMillis;
      readonly timeout: RunMillis;
      readonly body: Output;
    }
  /** Something that an operator wants to see: an Event and a metric. */
  | {
      readonly type: 'Notice';
      readonly level: 'Normal' | 'Warning';
      readonly reason: string;
      readonly message: string;
      readonly step?: string;
    }
  /** Must be on record before the run's object may go. Repeating it is harmless. */
  | { readonly type: 'RecordException'; readonly entry: GivenUp };

/**
 * - `before`: the state must be durable before any effect is carried out (design rule 2).
 * - `soon`: it is to be durable within a second.
 * - `none`: nothing changed that is worth writing.
 */
export type Durability = 'before' | 'soon' | 'none';

export interface Transition {
  readonly state: RunState;
  readonly effects: readonly Effect[];
  readonly durability: Durability;
  /** Send a `Tick` after this long, unless another event comes first. Absent: nothing is due. */
  readonly wakeIn?: RunMillis;
}

/** `wall` is for display; `elapsed` is what a monotonic clock measured since this worker's last event for this run, 0 for its first. */
export interface Now {
  readonly wall: WallMillis;
  readonly elapsed: RunMillis;
}

export interface RunContext {
  readonly id: RunId;
  readonly input: RunInput;
  /** W3C Trace Context of what began the run. Nothing is decided by it. */
  readonly traceparent?: string;
}
