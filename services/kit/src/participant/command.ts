import type { Static, TObject, TSchema } from '@sinclair/typebox';
import type { JsonObject } from '../json.ts';
import type { CommandKey, CommandKind } from '../key.ts';
import type { Tx } from '../store/port.ts';
import type { Instant, Milliseconds } from '../units.ts';

/** Done: the output, at most 1 KiB as JSON. Stored, and answered to every repeat. */
export interface Success<Output> {
  readonly result: 'success';
  readonly output: Output;
}
/** A business failure: final, and nothing of the effect is in place (what `carryOut` wrote is taken back). */
export interface Failure {
  readonly result: 'failure';
  readonly reason: string;
  readonly detail: string;
  readonly more: JsonObject;
}
/** Begun but not finished: what was written stays, and a repeat of the key is carried out again to see how far it is. */
export interface Accepted {
  readonly result: 'accepted';
  readonly retryAfter: Milliseconds;
}
export type Result<Output> = Success<Output> | Failure | Accepted;

export const success = <Output>(output: Output): Success<Output> => ({ result: 'success', output });
/** `reason` must be one that the command declares; `detail` is for people; `more` adds members to the problem. */
export const failure = (reason: string, detail: string, more: JsonObject = {}): Failure => ({
  result: 'failure',
  reason,
  detail,
  more,
});
export const accepted = (retryAfter: Milliseconds): Accepted => ({ result: 'accepted', retryAfter });

/** For a compensation: what is known of the action that it undoes. */
export interface ActionSeen {
  readonly command: string;
  readonly epoch: number;
  /** `unknown`: it was begun, and nothing says how it ended. */
  readonly state: 'success' | 'unknown';
  /** Present when state is `success`. */
  readonly output?: JsonObject;
  /** What `intend` returned, for an external action. */
  readonly intent?: JsonObject;
  /** The action's own `context.reference`. */
  readonly reference: string;
}

/** All that a command may know besides its input. */
export interface CommandContext extends CommandKey {
  /** The epoch under which the effect was begun; a repeat under a higher epoch that resumes it sees the first. */
  readonly epoch: number;
  /** `{namespace}/{saga}/{orderId}/{step}/action`: the same for an action and its compensation. Find domain rows by it. */
  readonly actionKey: string;
  /** `{namespace}/{saga}/{orderId}/{step}/{kind}/{epoch}`: unique per attempt that could have an effect. The idempotency reference for the outside. */
  readonly reference: string;
  readonly now: Instant;
  /** When the run began. */
  readonly begun: Instant;
  readonly traceparent?: string;
  /** The command was begun before (accepted, or in flight at a crash) and is being carried on. */
  readonly resumed: boolean;
  /** Compensations only. A compensation is carried out only when there is an action to undo. */
  readonly action?: ActionSeen;
}

interface CommandBase<Input extends TSchema, Output extends TSchema> {
  readonly name: string;
  readonly kind: CommandKind;
  /** Which actions this compensation undoes. A compensation gets the body of its action. */
  readonly undoes?: readonly string[];
  /** The business failures that it may answer. Another one is an error of the participant (500). */
  readonly reasons: readonly string[];
  readonly input: Input;
  readonly output: Output;
  readonly summary?: string;
}

/** A command whose whole effect is in the service's own rows: one transaction, together with its record. */
export interface LocalCommand<Input extends TSchema = TSchema, Output extends TSchema = TSchema>
  extends CommandBase<Input, Output> {
  /** Must be synchronous, and depend only on what it is given and on rows. When it throws, nothing is stored and the answer is 500. */
  carryOut(tx: Tx, context: CommandContext, input: Static<Input>): Result<Static<Output>>;
}

/** `intend` decided to call out: `intent` is all that `call`, `lookup` and `settle` need to know. It is stored: no secrets. */
export interface Call<Intent> {
  readonly result: 'call';
  readonly intent: Intent;
}
export const call = <Intent>(intent: Intent): Call<Intent> => ({ result: 'call', intent });

/**
 * A command whose effect is made elsewhere: the intent is committed, then the call is made with no transaction open, then the outcome is
 * committed with the record. After a crash in between, a repeat, a compensation or `recover()` asks the outside what became of it.
 */
export interface ExternalCommand<
  Input extends TSchema = TSchema,
  Output extends TSchema = TSchema,
  Intent extends JsonObject = JsonObject,
  Outcome = unknown,
> extends CommandBase<Input, Output> {
  /** In a transaction, before the call. May answer at once instead (a failure that own rows show, a success that needs no call). */
  intend(tx: Tx, context: CommandContext, input: Static<Input>): Call<Intent> | Result<Static<Output>>;
  /**
   * Calls out, idempotently by `context.reference`. A refusal by the outside is an outcome. Throws when the outcome is unknown: the answer
   * then is 503, the intent stays in flight and the next repeat begins with `lookup`. Must bound its own time.
   * `input` is the body of the request at hand: for secrets that must not be stored (absent only in `recover`).
   */
  call(context: CommandContext, intent: Intent, input: Static<Input>): Promise<Outcome>;
  /** Asks the outside what became of `context.reference`. `undefined`: it never arrived there (then `call` is made again). Throws when it cannot be known now. */
  lookup(context: CommandContext, intent: Intent): Promise<Outcome | undefined>;
  /** In a transaction: what the outcome means for own rows and for the answer. */
  settle(tx: Tx, context: CommandContext, intent: Intent, outcome: Outcome): Result<Static<Output>>;
}

export type Command = LocalCommand | ExternalCommand;

/** Ties the types of schema and function together; the value is the definition itself. */
export const localCommand = <Input extends TObject | TSchema, Output extends TSchema>(
  definition: LocalCommand<Input, Output>,
): Command => definition as unknown as Command;

/** As localCommand, for a command that calls out. */
export const externalCommand = <
  Input extends TObject | TSchema,
  Output extends TSchema,
  Intent extends JsonObject,
  Outcome,
>(
  definition: ExternalCommand<Input, Output, Intent, Outcome>,
): Command => definition as unknown as Command;

export const isExternal = (command: Command): command is ExternalCommand => 'call' in command;
