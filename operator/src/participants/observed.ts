import type { Answer, RunId } from '../saga/types.ts';
import type { Participants, SendEffect } from './participants.ts';

/** The same participants, with someone who hears each answer. `heard` must not throw. */
export function observed(
  participants: Participants,
  heard: (run: RunId, effect: SendEffect, answer: Answer) => void,
): Participants {
  return {
    async send(run, effect, signal) {
      const answer = await participants.send(run, effect, signal);
      if (!signal.aborted) heard(run, effect, answer);
      return answer;
    },
  };
}
