import type { Clock } from '../runtime/clock.ts';
import type { Answer, RunMillis } from '../saga/types.ts';
import type { Expected } from './answer.ts';
import type { CommandText } from './request.ts';

/**
 * How far a command has come: it waits for a place, its request waits for a token, or its request was handed to a connection. Up to the last
 * nothing was tried.
 */
export type Stage = 'queued' | 'authorising' | 'sent';

/** Why a command was not sent whose {@link Outgoing.mayGo} said no. */
export const WITHHELD = 'it was not sent, since its worker may no longer act';

/** What a command is told when its time or its caller's patience ends. */
const TOO_LATE = {
  queued: [
    'Busy',
    'all places for requests stayed taken; raise limits.maxInFlight of the Participant if the service bears more',
  ],
  authorising: ['NoToken', 'no token for it came in time'],
  sent: ['Timeout', 'no complete answer came in time'],
} as const;

/**
 * One command on its way, alone or in a batch. Its answer is settled exactly once: by the participant, by its own time limit or by its caller's signal,
 * whichever comes first, so that nothing which happens to a batch or a connection can keep a command waiting.
 */
export class Outgoing {
  readonly answer: Promise<Answer>;
  readonly expected: Expected;
  readonly text: CommandText;
  readonly path: string;
  /** Told once, when the answer is settled, whatever settled it. */
  onSettled: ((command: Outgoing) => void) | undefined;

  readonly #mayGo: (() => boolean) | undefined;
  readonly #clock: Clock;
  readonly #timeout: RunMillis;
  readonly #signal: AbortSignal;
  readonly #began: number;
  readonly #resolve: (answer: Answer) => void;
  readonly #onAbort = () => this.#giveUp();
  #cancelTimer: () => void;
  #stage: Stage = 'queued';
  #settled = false;

  constructor(options: {
    expected: Expected;
    path: string;
    text: CommandText;
    timeout: RunMillis;
    signal: AbortSignal;
    mayGo?: (() => boolean) | undefined;
    clock: Clock;
  }) {
    this.#mayGo = options.mayGo;
    this.expected = options.expected;
    this.path = options.path;
    this.text = options.text;
    this.#timeout = options.timeout;
    this.#signal = options.signal;
    this.#clock = options.clock;
    this.#began = this.#clock.monotonic();
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.answer = promise;
    this.#resolve = resolve;
    this.#signal.addEventListener('abort', this.#onAbort, { once: true });
    // Half of its time at most goes into waiting for a place. A command that was sent with little time left would mostly be carried out and not heard
    // of, which costs the participant its work and the run an attempt, just when both are short.
    this.#cancelTimer = this.#clock.after(this.#timeout / 2, () => this.#late());
  }

  get settled(): boolean {
    return this.#settled;
  }

  /** Whether an answer may still come that says what was done: then what has no answer is unknown. */
  get sent(): boolean {
    return this.#stage === 'sent';
  }

  /** Whether its bytes may go out at this moment. One that is settled keeps back nothing that it shares a request with. */
  get mayGo(): boolean {
    return this.#settled || this.#mayGo?.() !== false;
  }

  /** What is left of its time. */
  get left(): RunMillis {
    return Math.max(0, this.#began + this.#timeout - this.#clock.monotonic());
  }

  /** It has a place: what is left of its time is now for the participant. */
  begin(): void {
    this.#stage = 'authorising';
    this.#cancelTimer();
    // What came while this process stood still is read first: timers are looked at before sockets, and all that was sent would be unknown at once.
    const late = () => (this.sent ? void setImmediate(() => this.#late()) : this.#late());
    this.#cancelTimer = this.#clock.after(this.left, late);
  }

  /** Its request is being handed to a connection. */
  markSent(): void {
    this.#stage = 'sent';
  }

  /** Gives it its answer. The first one counts. */
  settle(answer: Answer): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#cancelTimer();
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.#resolve(answer);
    this.onSettled?.(this);
  }

  #late(): void {
    const [reason, why] = TOO_LATE[this.#stage];
    const waited = Math.round(this.#clock.monotonic() - this.#began);
    this.#end(reason, `${this.expected.where}: ${why} (after ${waited} ms of ${this.#timeout} ms)`);
  }

  #giveUp(): void {
    this.#end('Aborted', `${this.expected.where}: given up by its worker`);
  }

  #end(reason: string, message: string): void {
    this.settle({ type: this.sent ? 'Unknown' : 'NotNow', reason, message });
  }
}
