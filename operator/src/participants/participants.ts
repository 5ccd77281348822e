import type { Answer, Effect, RunId } from '../saga/types.ts';

export type SendEffect = Extract<Effect, { type: 'Send' }>;

/** Carries commands to whoever carries them out. */
export interface Participants {
  /**
   * Sends one command and gives its answer, in the engine's words (design rule 5). Never rejects: what went wrong is an answer (`Unknown`, or `NotNow`
   * where nothing was tried). Answers within the effect's timeout plus a second, whatever the other side does. `signal` ends it early; what it
   * answers then is of no interest.
   */
  send(run: RunId, effect: SendEffect, signal: AbortSignal): Promise<Answer>;
}
