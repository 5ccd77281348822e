import { type JournalRecord, JournalUnavailable, type Version, VersionConflict } from '../journals/journal.ts';
import type { SendEffect } from '../participants/participants.ts';
import { canonicalJson } from '../saga/canonical.ts';
import { leftInPlace } from '../saga/draft.ts';
import { transition } from '../saga/engine.ts';
import type { GivenUp, Now, Revision, RunContext, RunEvent, RunId, RunState, Transition } from '../saga/types.ts';
import type { RunnerPorts } from './runner.ts';

/** Progress that no rule wants durable at once is durable after this long (design rule 2). */
export const FLUSH_AFTER_MILLIS = 1_000;

/** Said once: an abort without a reason makes an error with a stack for each run, a dozen microseconds that nobody reads. */
const GIVEN_UP = new Error('the run was given up, or has ended');

const FIRST_RETRY_MILLIS = 100;
const LONGEST_RETRY_MILLIS = 5_000;

/** What a run is driven from. */
export interface DrivenRun {
  readonly context: RunContext;
  readonly revision: Revision;
  readonly state: RunState;
  /** What the journal holds, where that is not `state`. */
  readonly durable?: RunState;
  readonly version: Version;
}

/**
 * Drives one run: gives its events to the engine one at a time, makes states durable where the engine asks for it, and only then carries effects
 * out. One exists per run and worker; when the journal shows another writer it stops at once, without a word to anyone but the runner.
 */
export class Run {
  readonly #ports: RunnerPorts;
  readonly #context: RunContext;
  readonly #revision: Revision;
  readonly #finished: (why: 'Ended' | 'Taken' | 'Gone') => void;
  readonly #abort = new AbortController();
  readonly #mayGo = (): boolean => !this.#stopped && this.#hasRight;
  readonly #inbox: RunEvent[] = [];
  #state: RunState;
  /** What the journal holds, and its version. */
  #durable: RunState;
  #version: Version;
  #lastEvent: number;
  #busy = false;
  #dirty = false;
  #writing = false;
  /** Another write is wanted once the one under way is done. */
  #again = false;
  #stopped = false;
  /** The right to act was lost before it was released. */
  #forbidden = false;
  /** It is being handed over: nothing more is sent. */
  #releasing = false;
  #cancelWake: (() => void) | undefined;
  #cancelFlush: (() => void) | undefined;
  #idle: (() => void)[] = [];

  constructor(ports: RunnerPorts, run: DrivenRun, finished: (why: 'Ended' | 'Taken' | 'Gone') => void) {
    this.#ports = ports;
    this.#context = run.context;
    this.#revision = run.revision;
    this.#state = run.state;
    this.#durable = run.durable ?? run.state;
    this.#version = run.version;
    this.#lastEvent = ports.clock.monotonic();
    this.#finished = finished;
  }

  get id(): RunId {
    return this.#context.id;
  }

  get state(): RunState {
    return this.#state;
  }

  /** What the journal holds, as far as we know. */
  get durable(): RunState {
    return this.#durable;
  }

  /** The version of the last write; a cache that shows an older one must not be acted on (design rule 10). */
  get version(): Version {
    return this.#version;
  }

  /** Of what began it. */
  get traceparent(): string | undefined {
    return this.#context.traceparent;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** It waits for a person, and for nothing else: what is known of it is durable, and no answer is to come. */
  get isQuiet(): boolean {
    if (this.#busy || this.#dirty || this.#inbox.length > 0 || this.#state.hold === undefined) return false;
    return !this.#state.steps.some(
      ({ action, compensation }) => action.state === 'InFlight' || compensation.state === 'InFlight',
    );
  }

  /** Puts an event to the end of the run's queue. */
  tell(event: RunEvent): void {
    if (this.#stopped) return;
    this.#inbox.push(event);
    if (!this.#busy) void this.#work();
  }

  /** Starts with a state that another function of the engine made (a distrusted journal); carried out as any other transition. */
  start(made: Transition, event: RunEvent): void {
    this.#busy = true;
    void this.#settle(made, event, this.#state).then(() => this.#work());
  }

  /** Somebody changed the object, but not what the journal holds of it: writes depend on this version from now on. */
  newVersion(version: Version): void {
    if (!this.#busy) this.#version = version;
  }

  /** The object came back without what the journal had written of it (a restored backup): it is written again, or nobody would see where the run is. */
  rewrite(): void {
    if (this.#stopped) return;
    // A write that is under way may have come before what happened to the object.
    if (this.#writing) this.#again = true;
    else if (!this.#dirty) this.#mustBeWritten();
  }

  #mustBeWritten(): void {
    this.#dirty = true;
    this.#flushSoon();
  }

  /** Stops without another word: what is in flight is given up, nothing more is written or sent. */
  abandon(): void {
    this.#stopped = true;
    this.#abort.abort(GIVEN_UP);
    this.#cancelWake?.();
    this.#cancelFlush?.();
    this.#inbox.length = 0;
    this.#becomeIdle();
  }

  /** Resolves when no event is left to carry out, or when the run was given up. */
  get idle(): Promise<void> {
    return this.#busy ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /**
   * Sends nothing more, waits for the event at hand, makes the state durable, then stops. For handing over in good order.
   * @returns whether what it knew is durable; false where the right to write was lost
   */
  async release(): Promise<boolean> {
    this.#releasing = true;
    this.#cancelWake?.();
    await this.idle;
    if (!this.#stopped && this.#dirty) {
      this.#busy = true;
      await this.#persist();
    }
    this.abandon();
    return !this.#forbidden;
  }

  async #work(): Promise<void> {
    this.#busy = true;
    while (!this.#stopped) {
      const event = this.#inbox.shift();
      if (event === undefined) break;
      const before = this.#state;
      const made = transition(this.#revision, this.#context, before, event, this.#now());
      // A run that stays in memory and has nothing to make durable is carried out in this turn: most events are of this kind.
      await this.#settle(made, event, before);
    }
    this.#busy = false;
    this.#becomeIdle();
  }

  #becomeIdle(): void {
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #now(): Now {
    // Whole milliseconds; what is left over counts next time.
    const elapsed = Math.max(0, Math.floor(this.#ports.clock.monotonic() - this.#lastEvent));
    this.#lastEvent += elapsed;
    return { wall: this.#ports.clock.wall(), elapsed };
  }

  async #settle(made: Transition, event: RunEvent, before: RunState): Promise<void> {
    this.#state = made.state;
    this.#wake(made.wakeIn);
    if (made.durability !== 'none') this.#dirty = true;
    if (made.durability === 'before') {
      await this.#persist();
      if (this.#stopped) return;
    } else if (this.#dirty) this.#flushSoon();
    for (const effect of made.effects) {
      if (effect.type === 'RecordException') await this.#record(effect.entry);
      // What a released run was about to send is unknown to the next worker, and sent again.
      else if (effect.type === 'Send' && !this.#releasing && this.#mayAct()) this.#send(effect);
      if (this.#stopped) return;
    }
    this.#ports.observer.transitioned?.(this.#context.id, before, this.#state, event, made.effects);
    if (this.#state.ended !== undefined && before.ended === undefined) this.#end();
  }

  get #hasRight(): boolean {
    return this.#ports.mayAct?.(this.#context.id) !== false;
  }

  /** Design rule 10: without the right to act, nothing more is written or sent, whatever was due. */
  #mayAct(): boolean {
    if (!this.#hasRight) {
      this.#forbidden = true;
      this.abandon();
    }
    return !this.#stopped;
  }

  #end(): void {
    if (this.#dirty) return;
    this.abandon();
    this.#ports.observer.ended?.(this.#context.id, this.#state);
    this.#finished('Ended');
  }

  #wake(wakeIn: number | undefined): void {
    this.#cancelWake?.();
    this.#cancelWake =
      wakeIn === undefined ? undefined : this.#ports.clock.after(wakeIn, () => this.tell({ type: 'Tick' }));
  }

  #flushSoon(): void {
    if (this.#cancelFlush !== undefined) return;
    this.#cancelFlush = this.#ports.clock.after(FLUSH_AFTER_MILLIS, () => void this.#flush());
  }

  async #flush(): Promise<void> {
    this.#cancelFlush = undefined;
    if (this.#stopped || !this.#dirty) return;
    if (this.#busy) return this.#flushSoon();
    this.#busy = true;
    await this.#persist();
    if (this.#stopped) return;
    // It ended while there was still something to write.
    if (this.#state.ended !== undefined) return this.#end();
    await this.#work();
  }

  #send(effect: SendEffect): void {
    const { id, traceparent } = this.#context;
    const sent = { ...effect, mayGo: this.#mayGo, ...(traceparent === undefined ? {} : { traceparent }) };
    const answered = this.#ports.participants.send(id, sent, this.#abort.signal);
    void answered.then((answer) => {
      this.tell({
        type: 'Answered',
        step: effect.step,
        kind: effect.kind,
        epoch: effect.epoch,
        send: effect.send,
        answer,
      });
    });
  }

  async #record(entry: GivenUp): Promise<void> {
    await this.#untilDone(() => this.#ports.journal.recordException(this.#context.id, entry, this.#ports.clock.wall()));
  }

  /** Returns when the state is durable, or when the run is no longer ours ({@link Run.abandon} was called). */
  async #persist(): Promise<void> {
    this.#cancelFlush?.();
    this.#cancelFlush = undefined;
    this.#writing = true;
    await this.#untilDone(async () => {
      const writing = this.#state;
      try {
        this.#version = await this.#ports.journal.write(this.#context.id, writing, this.#version);
      } catch (error) {
        const isConflict = error instanceof VersionConflict;
        if (!isConflict && !(error instanceof JournalUnavailable)) throw error;
        // What is thrown here is told by whoever tries again.
        if (!(await this.#compare(writing))) throw error;
        if (!isConflict) this.#ports.observer.journalFailed?.(this.#context.id, error);
      }
      this.#durable = writing;
      this.#dirty = false;
    });
    this.#writing = false;
    const again = this.#again && this.#state.ended === undefined;
    this.#again = false;
    if (again && !this.#stopped) this.#mustBeWritten();
  }

  /**
   * After a write that was refused, or whose answer was lost: what does the journal hold?
   * @returns true when it holds what was to be written. Otherwise the version is such that the write can be tried again, or the run is abandoned.
   */
  async #compare(writing: RunState): Promise<boolean> {
    const found = await this.#ports.journal.read(this.#context.id);
    if (this.#stopped) return false;
    if (found === undefined) {
      await this.#gone();
      return false;
    }
    this.#version = found.version;
    if (holds(found, writing)) return true;
    if (holds(found, this.#durable) || ('state' in found && found.state === undefined)) return false;
    if ('damaged' in found) {
      // What we hold in memory is the truth; a person looks at who wrote over it.
      this.#inbox.push({ type: 'Damaged', message: found.damaged });
      return false;
    }
    this.abandon();
    this.#finished('Taken');
    return false;
  }

  /** Someone took the finalizer away and with it the object. What it had done is put on record. */
  async #gone(): Promise<void> {
    const entries = leftInPlace(
      this.#state,
      'LetGo',
      'mercato-operator',
      'its object was removed while it was in flight',
    );
    for (const entry of entries) await this.#record(entry);
    this.abandon();
    this.#finished('Gone');
  }

  /** Tries again, with growing pauses, until it is done or the run is abandoned. */
  async #untilDone(attempt: () => Promise<void>): Promise<void> {
    for (let pause = FIRST_RETRY_MILLIS; this.#mayAct(); pause = Math.min(pause * 2, LONGEST_RETRY_MILLIS)) {
      try {
        return await attempt();
      } catch (error) {
        if (this.#stopped) return;
        if (error instanceof VersionConflict) {
          pause = FIRST_RETRY_MILLIS / 2;
          continue;
        }
        this.#ports.observer.journalFailed?.(this.#context.id, error);
        await new Promise<void>((resolve) => {
          const cancel = this.#ports.clock.after(pause, resolve);
          this.#abort.signal.addEventListener('abort', () => [cancel(), resolve()], { once: true });
        });
      }
    }
  }
}

function holds(record: JournalRecord, state: RunState): boolean {
  return 'state' in record && record.state !== undefined && canonicalJson(record.state) === canonicalJson(state);
}
