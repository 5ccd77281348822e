import type { Answer, Effect, RunId } from '../saga/types.ts';

/** A command, with what goes along with it. */
export type SendEffect = Extract<Effect, { type: 'Send' }> & {
  /** W3C Trace Context of this sending; absent for a run without a trace. */
  readonly traceparent?: string;
  /**
   * Whether it may still go out; asked at the last moment before its bytes do. A process that was stopped with a command between its decision and its
   * connection would otherwise send it long after others took over. @default it may
   */
  readonly mayGo?: () => boolean;
};

/** Told of every command that was answered, for metrics. `seconds` from `send` to the answer. Must not throw. */
export type SendObserver = (participant: string, command: string, answerType: Answer['type'], seconds: number) => void;

/** Carries commands to whoever carries them out. */
export interface Participants {
  /**
   * Sends one command and gives its answer, in the engine's words (design rule 5). Never rejects: what went wrong is an answer (`Unknown`, or `NotNow`
   * where nothing was tried). Answers within the effect's timeout plus a second, whatever the other side does. `signal` ends it early; what it
   * answers then is of no interest.
   */
  send(run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer>;
}

/** The way to one participant: an HTTP service, a queue. */
export interface Lane extends Participants {
  /**
   * Answers what has not been sent with `NotNow`, and what comes from now on too; resolves when the last answer to what was sent is in and its
   * connections are closed. Bounded by the commands' own time limits.
   */
  close(): Promise<void>;
  /** Answers what only waits for a place, as `answer` says for its key. Absent: nothing waits there. */
  shed?(answer: (key: string) => Answer): void;
}
