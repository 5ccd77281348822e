import type { SpanAttributes, TraceSpan, Tracing } from '@mercato/tracing';
import type { TSchema } from '@sinclair/typebox';
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler';
import { causing } from '../cause.ts';
import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { fingerprint, type JsonObject } from '../json.ts';
import { type CommandKey, formatKey, parseKey, type StepKey, stepKeyOf } from '../key.ts';
import { Crash, type CrashPoint, type Store, StoreError, type Tx } from '../store/port.ts';
import { traceparentOf } from '../traceparent.ts';
import { before, days, type Instant, type Milliseconds, parseRfc3339, toRfc3339 } from '../units.ts';
import { type Answer, acceptedFor, inFlight, refused, succeeded } from './answer.ts';
import {
  type ActionSeen,
  type Command,
  type CommandContext,
  type ExternalCommand,
  isExternal,
  type Result,
} from './command.ts';
import {
  type Attempt,
  inFlightSteps,
  loadHorizon,
  loadRecord,
  type StepRecord,
  saveAction,
  saveCompensation,
  sweepRecords,
} from './record.ts';
import { contractRules, failureAnswer, type Rules } from './rules.ts';

/** A command as it came in; nothing of it is trusted yet. */
export interface CommandRequest {
  readonly command: string;
  /** The Idempotency-Key. */
  readonly key: string;
  readonly epoch: number;
  /** RFC 3339: when the run began. */
  readonly begun: string;
  readonly traceparent?: string;
  readonly body: unknown;
}

export interface ParticipantOptions {
  /** Its store must have been opened with `recordMigrations`. */
  readonly store: Store;
  readonly commands: readonly Command[];
  readonly clock?: Clock;
  /** How long keys and tombstones are remembered. @default 35 days: longer than any queue redelivers */
  readonly retention?: Milliseconds;
  /** Fault injection; absent in production. */
  readonly crashPoint?: CrashPoint;
  /** @default contractRules; the simulation's mutation gate passes broken ones. */
  readonly rules?: Rules;
  /** Makes a server span of each command that is part of a trace. @default nothing is traced */
  readonly tracing?: Tracing;
  /** Told each answer, for metrics. `seconds` by the machine's monotonic clock. */
  readonly onAnswer?: (command: string, answer: Answer, seconds: number) => void;
  /** Told what went wrong inside; the caller of the command gets a problem without the cause. */
  readonly onError?: (error: unknown, request: CommandRequest) => void;
}

export interface RecoverOptions {
  /** @default 16 */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
}

/** An output must fit into a run's status (contract: at most 1 KiB). */
const maxOutputBytes = 1024;

interface Compiled {
  readonly command: Command;
  readonly input: TypeCheck<TSchema>;
}

/** A command whose form is right. */
interface Parsed {
  readonly compiled: Compiled;
  readonly key: CommandKey;
  readonly stepKey: StepKey;
  readonly epoch: number;
  readonly begun: Instant;
  readonly fingerprint: string;
  readonly request: CommandRequest;
}

/** What the first transaction left to be done outside of one. */
interface Outside {
  readonly context: CommandContext;
  readonly attempt: Attempt;
}

/** Names only: a body holds tokens and addresses. */
function attributesOf({ key, epoch, request }: Parsed): SpanAttributes {
  const { namespace, saga, orderId, step, kind } = key;
  return {
    'mercato.run': `${namespace}/${saga}/${orderId}`,
    'mercato.command': request.command,
    'mercato.step': step,
    'mercato.kind': kind,
    'mercato.epoch': epoch,
  };
}

/** Its status and reason. The detail is for people, and may quote the body. */
function showAnswer(span: TraceSpan, { status, body }: Answer): void {
  const reason = status < 400 ? undefined : body['reason'];
  span.set({ 'http.response.status_code': status, ...(typeof reason === 'string' && { 'mercato.reason': reason }) });
  if (status >= 500) span.fail(typeof reason === 'string' ? reason : String(status), 'the command failed');
}

const isAnswer = (value: Answer | Outside): value is Answer => 'status' in value;

/**
 * Carries out commands under the participant contract, whatever they come over: HTTP, a queue, a simulation.
 *
 * Record and effect are one transaction. An answer is given only after it is on disk. Racing copies of a local command are put in a line by
 * the store, so the second gets the first's answer; of an external one, it gets 425.
 */
export class Participant {
  readonly commands: ReadonlyMap<string, Command>;
  readonly #compiled = new Map<string, Compiled>();
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #retention: Milliseconds;
  readonly #crashPoint: CrashPoint | undefined;
  readonly #rules: Rules;
  readonly #options: ParticipantOptions;
  /** Steps with a call to the outside under way in this process. */
  readonly #calling = new Set<StepKey>();
  #swept: Instant | undefined;

  constructor(options: ParticipantOptions) {
    this.#options = options;
    this.#store = options.store;
    this.#clock = options.clock ?? systemClock;
    this.#retention = options.retention ?? days(35);
    this.#crashPoint = options.crashPoint;
    this.#rules = options.rules ?? contractRules;
    this.commands = new Map(options.commands.map((command) => [command.name, command]));
    for (const command of options.commands) {
      for (const undone of command.undoes ?? []) {
        if (this.commands.get(undone)?.kind !== 'action') {
          throw new Error(`${command.name} undoes ${undone}, which is no action of this participant`);
        }
      }
      this.#compiled.set(command.name, { command, input: TypeCompiler.Compile(command.input) });
    }
  }

  /** Carries out one command. Never rejects, except with Crash in the simulation: then there is no answer. */
  async execute(request: CommandRequest): Promise<Answer> {
    const started = performance.now();
    const parsed = this.#parse(request);
    const answer = 'status' in parsed ? parsed : await this.#traced(parsed);
    this.#options.onAnswer?.(
      this.#compiled.has(request.command) ? request.command : '',
      answer,
      (performance.now() - started) / 1000,
    );
    return answer;
  }

  /** Carries out commands that do not depend on each other; one commit for all that are local. Answers come in the order of the requests. */
  executeBatch(requests: readonly CommandRequest[]): Promise<Answer[]> {
    return Promise.all(requests.map((request) => this.execute(request)));
  }

  /**
   * Asks the outside about every call that a crash left without an outcome, and stores what it says. What cannot be known now stays in
   * flight for the next repeat. Commands can be served meanwhile: those of a step that is being asked about get 425. Asks `concurrency`
   * at once, and begins no more once `signal` is aborted.
   */
  async recover({ concurrency = 16, signal }: RecoverOptions = {}): Promise<{ settled: number; open: number }> {
    const found = await this.#store.read((reader) => inFlightSteps(reader));
    const count = { settled: 0, open: 0 };
    const worker = async () => {
      for (let stepKey = found.pop(); stepKey !== undefined && signal?.aborted !== true; stepKey = found.pop()) {
        if (this.#calling.has(stepKey)) continue;
        this.#calling.add(stepKey);
        try {
          if (await this.#recoverOne(stepKey)) count.settled += 1;
          else count.open += 1;
        } finally {
          this.#calling.delete(stepKey);
        }
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
    return count;
  }

  /** Forgets steps older than the retention. Returns how many; call again while it returns `limit`. */
  async sweep(limit = 1000): Promise<number> {
    const until = before(this.#clock.now(), this.#retention);
    const count = await this.#store.transact((tx) => sweepRecords(tx, until, limit));
    this.#swept = Math.max(this.#swept ?? 0, until) as Instant;
    return count;
  }

  #parse(request: CommandRequest): Parsed | Answer {
    const compiled = this.#compiled.get(request.command);
    if (compiled === undefined) {
      return refused(
        404,
        'UnknownCommand',
        `there is no command "${request.command}" here; there are ${[...this.commands.keys()].join(', ')}`,
      );
    }
    const key = parseKey(request.key);
    if (key === undefined) {
      return refused(
        400,
        'BadRequest',
        'Idempotency-Key must be {namespace}/{saga}/{orderId}/{step}/{action|compensation}, each a DNS label',
      );
    }
    if (key.kind !== compiled.command.kind) {
      return refused(
        400,
        'BadRequest',
        `${request.command} is of kind ${compiled.command.kind}, the Idempotency-Key says ${key.kind}`,
      );
    }
    if (!Number.isSafeInteger(request.epoch) || request.epoch < 1) {
      return refused(400, 'BadRequest', 'Mercato-Epoch must be an integer from 1');
    }
    const begun = parseRfc3339(request.begun);
    if (begun === undefined)
      return refused(400, 'BadRequest', 'Mercato-Begun must be an RFC 3339 time: when the run began');
    if (!compiled.input.Check(request.body)) {
      const errors = [...compiled.input.Errors(request.body)].slice(0, 5);
      const detail = errors.map(({ path, message }) => `${path || '/'}: ${message}`).join('; ');
      return refused(400, 'BadRequest', `the body does not fit ${request.command}: ${detail}`);
    }
    return {
      compiled,
      key,
      stepKey: stepKeyOf(key),
      epoch: request.epoch,
      begun,
      fingerprint: fingerprint(request.command, request.body),
      request,
    };
  }

  /** Carries it out within a span, under which its events go out and its calls to the outside are made. */
  async #traced(parsed: Parsed): Promise<Answer> {
    const { request } = parsed;
    const { tracing } = this.#options;
    if (tracing === undefined || request.traceparent === undefined) return this.#guarded(parsed);
    const span = tracing.span(request.command, { kind: 'server', parent: request.traceparent });
    const { traceparent } = span;
    if (!span.isKept || traceparent === undefined) return this.#guarded(parsed);
    span.set(attributesOf(parsed));
    const work = () => this.#guarded({ ...parsed, request: { ...request, traceparent } });
    try {
      const answer = await causing({ tracing, traceparent }, work);
      showAnswer(span, answer);
      return answer;
    } finally {
      span.end();
    }
  }

  async #guarded(parsed: Parsed): Promise<Answer> {
    try {
      return await this.#carryOut(parsed);
    } catch (error) {
      if (error instanceof Crash) throw error;
      this.#options.onError?.(error, parsed.request);
      if (error instanceof StoreError)
        return refused(503, 'StoreUnavailable', 'the store could not commit; nothing was done, repeat it');
      return refused(500, 'InternalError', 'the command failed inside; nothing was done, see the log');
    }
  }

  async #carryOut(parsed: Parsed): Promise<Answer> {
    let mine = false;
    const first = await this.#store
      .transact((tx) => {
        const next = this.#decide(tx, parsed);
        if (!isAnswer(next)) {
          mine = true;
          // Marked inside the transaction: a copy in the same commit already sees it.
          this.#calling.add(parsed.stepKey);
        }
        return next;
      })
      .catch((error: unknown) => {
        if (mine) this.#calling.delete(parsed.stepKey);
        throw error;
      });
    if (isAnswer(first)) return first;
    let answer: Answer;
    try {
      answer = await this.#callOut(parsed, first);
    } finally {
      this.#calling.delete(parsed.stepKey);
    }
    return settledUnderLowerEpoch(parsed, first.attempt.epoch, answer) ? this.#carryOut(parsed) : answer;
  }

  /** In a transaction: rules, then effect and record. Returns the answer, or the call that is to be made. */
  #decide(tx: Tx, parsed: Parsed): Answer | Outside {
    const { key, stepKey, compiled } = parsed;
    const record = loadRecord(tx, stepKey);
    const wrong = wrongCompensation(compiled.command, record);
    if (wrong !== undefined) return wrong;
    const ruling = this.#rules[key.kind](record, {
      command: compiled.command.name,
      fingerprint: parsed.fingerprint,
      epoch: parsed.epoch,
      begun: parsed.begun,
      horizon: this.#horizon(tx),
    });
    if (ruling.do === 'answer') return ruling.answer;
    if (this.#calling.has(stepKey)) return inFlight();
    if (ruling.do === 'fence') {
      const attempt = { ...attemptOf(parsed), state: 'success', answer: ruling.output } as const;
      saveCompensation(tx, stepKey, parsed.begun, attempt, parsed.epoch);
      this.#crashPoint?.('record');
      return succeeded(ruling.output);
    }
    const resumed = ruling.do === 'resume' ? ruling.attempt : undefined;
    const context = this.#context(parsed, record, resumed);
    if (!isExternal(compiled.command)) {
      const result = compiled.command.carryOut(tx, context, parsed.request.body);
      const answer = this.#finish(tx, parsed, context, undefined, result);
      return settledUnderLowerEpoch(parsed, context.epoch, answer) ? this.#decide(tx, parsed) : answer;
    }
    if (resumed?.intent !== undefined) return { context, attempt: resumed };
    const intended = compiled.command.intend(tx, context, parsed.request.body);
    if (intended.result !== 'call') return this.#finish(tx, parsed, context, undefined, intended);
    const attempt: Attempt = { ...attemptOf(parsed), epoch: context.epoch, intent: intended.intent };
    this.#crashPoint?.('effect');
    this.#save(tx, parsed, attempt);
    this.#crashPoint?.('record');
    return { context, attempt };
  }

  /** Outside of any transaction: ask or call, then store the outcome. */
  async #callOut(parsed: Parsed, { context, attempt }: Outside): Promise<Answer> {
    const command = parsed.compiled.command as ExternalCommand;
    const intent = attempt.intent!;
    let outcome: unknown;
    try {
      if (context.resumed) outcome = await command.lookup(context, intent);
      if (outcome === undefined) outcome = await command.call(context, intent, parsed.request.body);
      this.#crashPoint?.('call');
    } catch (error) {
      if (error instanceof Crash) throw error;
      this.#options.onError?.(error, parsed.request);
      return refused(
        503,
        'OutcomeUnknown',
        `the outcome of ${command.name} is not known yet; repeat it with the same key`,
      );
    }
    return this.#store.transact((tx) =>
      this.#finish(tx, parsed, context, intent, command.settle(tx, context, intent, outcome)),
    );
  }

  /** Stores how it ended beside what it did, and makes the answer of it. */
  #finish(
    tx: Tx,
    parsed: Parsed,
    context: CommandContext,
    intent: JsonObject | undefined,
    result: Result<unknown>,
  ): Answer {
    const { command } = parsed.compiled;
    const attempt = { ...attemptOf(parsed), epoch: context.epoch, ...(intent === undefined ? {} : { intent }) };
    let answer: Answer;
    if (result.result === 'accepted') {
      this.#crashPoint?.('effect');
      this.#save(tx, parsed, { ...attempt, state: 'inflight', answer: {} });
      answer = acceptedFor(result.retryAfter);
    } else if (result.result === 'failure') {
      if (!command.reasons.includes(result.reason))
        throw new Error(`${command.name} does not declare the reason ${result.reason}`);
      // Nothing of a business failure stays in place. One that was begun earlier has committed rows, and tidies them up itself.
      if (intent === undefined && !context.resumed) tx.undo();
      this.#crashPoint?.('effect');
      const stored = failureAnswer(result.reason, result.detail, result.more);
      this.#save(tx, parsed, { ...attempt, state: 'failure', answer: stored });
      answer = { status: 422, body: stored };
    } else {
      const output = result.output as JsonObject;
      const size = Buffer.byteLength(JSON.stringify(output));
      if (size > maxOutputBytes)
        throw new Error(`${command.name} made an output of ${size} bytes; ${maxOutputBytes} are allowed`);
      this.#crashPoint?.('effect');
      this.#save(tx, parsed, { ...attempt, state: 'success', answer: output });
      answer = succeeded(output);
    }
    this.#crashPoint?.('record');
    return answer;
  }

  #save(tx: Tx, parsed: Parsed, attempt: Attempt): void {
    if (parsed.key.kind === 'action') saveAction(tx, parsed.stepKey, parsed.begun, attempt);
    else saveCompensation(tx, parsed.stepKey, parsed.begun, attempt, attempt.state === 'success' ? attempt.epoch : 0);
  }

  #context(parsed: Parsed, record: StepRecord | undefined, resumed: Attempt | undefined): CommandContext {
    const { key, stepKey } = parsed;
    const traceparent = traceparentOf(parsed.request.traceparent);
    const epoch = resumed?.epoch ?? parsed.epoch;
    const action = key.kind === 'compensation' ? seen(stepKey, record?.action) : undefined;
    return {
      ...key,
      epoch,
      actionKey: formatKey({ ...key, kind: 'action' }),
      reference: `${formatKey(key)}/${epoch}`,
      now: this.#clock.now(),
      // As it was first heard: names are made of it, and a compensation must find what its action named.
      begun: record?.begun ?? parsed.begun,
      resumed: resumed !== undefined,
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(action === undefined ? {} : { action }),
    };
  }

  #horizon(tx: Tx): Instant {
    this.#swept ??= loadHorizon(tx);
    return Math.max(this.#swept, before(this.#clock.now(), this.#retention)) as Instant;
  }

  /** True when the step is settled now. */
  async #recoverOne(stepKey: StepKey): Promise<boolean> {
    const record = await this.#store.read((reader) => loadRecord(reader, stepKey));
    // With both in flight the compensation decides: it undoes an action whose outcome is not known.
    const kind = record?.compensation?.state === 'inflight' ? 'compensation' : 'action';
    const attempt = record?.[kind];
    const key = parseKey(`${stepKey}/${kind}`);
    const compiled = this.#compiled.get(attempt?.command ?? '');
    if (record === undefined || attempt?.state !== 'inflight' || attempt.intent === undefined) return false;
    if (compiled === undefined || key === undefined || !isExternal(compiled.command)) return false;
    const { intent, epoch } = attempt;
    const { command } = compiled;
    const request = { command: command.name, key: formatKey(key), epoch, begun: toRfc3339(record.begun), body: {} };
    const parsed = { compiled, key, stepKey, epoch, begun: record.begun, fingerprint: attempt.fingerprint, request };
    const context = this.#context(parsed, record, attempt);
    try {
      let outcome = await command.lookup(context, intent);
      // What was begun to be undone is to be undone, whether or not anybody still asks for it: until then its action only gets 425.
      if (outcome === undefined && kind === 'compensation') outcome = await command.call(context, intent, {});
      if (outcome === undefined) return false;
      const answer = await this.#store.transact((tx) =>
        this.#finish(tx, parsed, context, intent, command.settle(tx, context, intent, outcome)),
      );
      return answer.status !== 202;
    } catch (error) {
      if (error instanceof Crash) throw error;
      this.#options.onError?.(error, request);
      return false;
    }
  }
}

/**
 * What was in flight came to its end under the epoch that it was begun with, and the command at hand has a higher one. A failure is then
 * replaced, and a compensation's fence raised: the rules are asked once more.
 */
const settledUnderLowerEpoch = (parsed: Parsed, epoch: number, answer: Answer): boolean =>
  parsed.epoch > epoch && (answer.status === 422 || (answer.status === 200 && parsed.key.kind === 'compensation'));

const attemptOf = (parsed: Parsed): Attempt => ({
  command: parsed.compiled.command.name,
  fingerprint: parsed.fingerprint,
  epoch: parsed.epoch,
  state: 'inflight',
  answer: {},
});

function seen(stepKey: StepKey, action: Attempt | undefined): ActionSeen | undefined {
  if (action === undefined) return undefined;
  return {
    command: action.command,
    epoch: action.epoch,
    state: action.state === 'success' ? 'success' : 'unknown',
    reference: `${stepKey}/action/${action.epoch}`,
    ...(action.state === 'success' ? { output: action.answer } : {}),
    ...(action.intent === undefined ? {} : { intent: action.intent }),
  };
}

/** A compensation that does not undo the action that was carried out is a wrong definition: refused before it can do harm. */
function wrongCompensation(command: Command, record: StepRecord | undefined): Answer | undefined {
  const done = record?.action?.command;
  if (command.kind === 'action' || done === undefined || command.undoes?.includes(done)) return undefined;
  return refused(400, 'BadRequest', `${command.name} does not undo ${done}, which is what this step did`);
}
