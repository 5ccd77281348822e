import type { Tracing } from '@mercato/tracing';
import type { Answer } from '../saga/types.ts';
import type { Participants, SendEffect } from './participants.ts';

/**
 * The same participants, with a client span around each sending, below what the command says caused it. The command goes out under that span, so that
 * what its participant does hangs below it. Nothing of an order is on it but its name: no body, no output, no message, which may quote either.
 */
export function traced(participants: Participants, tracing: Tracing): Participants {
  return {
    async send(run, effect, signal) {
      const { traceparent: parent } = effect;
      // Most runs have no trace: for them this is all.
      if (parent === undefined) return participants.send(run, effect, signal);
      const span = tracing.span(effect.command, { kind: 'client', parent });
      if (span.isKept) span.set(attributesOf(effect));
      const { traceparent } = span;
      const answer = await participants.send(run, { ...effect, ...(traceparent && { traceparent }) }, signal);
      if (span.isKept) {
        span.set({ 'mercato.answer': answer.type, ...('reason' in answer && { 'mercato.reason': answer.reason }) });
        if (isFailed(answer)) span.fail(answer.reason, answer.type);
      }
      span.end();
      return answer;
    },
  };
}

/** A business failure is an answer, and a participant that is busy has not failed. */
function isFailed(answer: Answer): answer is Extract<Answer, { type: 'Unknown' | 'Refused' }> {
  return answer.type === 'Unknown' || answer.type === 'Refused';
}

function attributesOf({ key, participant, command, step, kind, epoch, send }: SendEffect) {
  return {
    'mercato.run': key.split('/', 3).join('/'),
    'mercato.participant': participant,
    'mercato.command': command,
    'mercato.step': step,
    'mercato.kind': kind,
    'mercato.epoch': epoch,
    'mercato.send': send,
  };
}
