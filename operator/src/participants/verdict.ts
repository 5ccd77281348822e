import type { Answer } from '../saga/types.ts';

/**
 * What an answer says about the participant, whatever it says about the command.
 *
 * - `Answers`: it is there. Also a refusal, a business failure, or an answer that the contract does not know: leaving it alone would not help.
 * - `Fails`: a 5xx, a time-out, a connection that was cut. It may be the command's doing.
 * - `Unreachable`: no connection could be made. It cannot be the command's doing.
 * - `Silent`: it was not asked, or it asked for time (425, 429), or nobody waits any more: nothing is learnt.
 */
export type Verdict = 'Answers' | 'Fails' | 'Unreachable' | 'Silent';

const UNREACHABLE: ReadonlySet<string> = new Set([
  'ConnectionRefused',
  'ConnectTimeout',
  'NotResolved',
  'Unreachable',
  'TlsFailed',
  'QueueUnreachable',
  'NotQueued',
]);

const FAILS: ReadonlySet<string> = new Set([
  'Timeout',
  'ConnectionReset',
  'AnswerCutOff',
  'NotHttp',
  'HeadersTooLarge',
  'RequestFailed',
]);

/** The reasons of a lane are for machines, so that they may be decided by; messages are not. */
export function verdictOf(answer: Answer): Verdict {
  switch (answer.type) {
    case 'NotNow':
      return 'Silent';
    case 'Unknown':
      if (UNREACHABLE.has(answer.reason)) return 'Unreachable';
      if (FAILS.has(answer.reason) || /^HttpStatus5\d\d$/.test(answer.reason)) return 'Fails';
      return answer.reason === 'Aborted' ? 'Silent' : 'Answers';
    default:
      return 'Answers';
  }
}
