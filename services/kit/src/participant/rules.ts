import type { Instant } from '../units.ts';
import { type Answer, failed, inFlight, refused, succeeded } from './answer.ts';
import type { Attempt, StepRecord } from './record.ts';

/** A command at hand, as the rules see it. */
export interface Asked {
  readonly command: string;
  readonly fingerprint: string;
  readonly epoch: number;
  readonly begun: Instant;
  /** Runs that began before this are older than the retention. */
  readonly horizon: Instant;
}

/** What the contract says must be done about a command. */
export type Ruling =
  /** Give this answer; it changes nothing. */
  | { readonly do: 'answer'; readonly answer: Answer }
  /** Carry it out for the first time under this epoch. */
  | { readonly do: 'begin' }
  /** It is in flight: carry it on under the epoch that it has. */
  | { readonly do: 'resume'; readonly attempt: Attempt }
  /** A compensation with nothing to undo: succeed, and fence the epoch. */
  | { readonly do: 'fence'; readonly output: Attempt['answer'] };

/** The contract's three promises as two pure functions. The simulation's mutation gate passes broken ones. */
export interface Rules {
  action(record: StepRecord | undefined, asked: Asked): Ruling;
  compensation(record: StepRecord | undefined, asked: Asked): Ruling;
}

const answer = (of: Answer): Ruling => ({ do: 'answer', answer: of });

const expired = (): Ruling =>
  answer(refused(410, 'KeyExpired', 'the run began before the retention and nothing is stored under this key'));

const mismatch = (stored: Attempt): Ruling =>
  answer(
    refused(
      409,
      'FingerprintMismatch',
      `the key was used with another body or command (${stored.command}); nothing was done`,
    ),
  );

const stale = (stored: Attempt): Ruling =>
  answer(
    refused(409, 'StaleEpoch', `epoch ${stored.epoch} is known under this key; a Retry sends ${stored.epoch + 1}`, {
      epoch: stored.epoch,
    }),
  );

const stored = (attempt: Attempt): Ruling =>
  answer(attempt.state === 'success' ? succeeded(attempt.answer) : { status: 422, body: attempt.answer });

/** The step's action, where it has (or may have) an effect that nobody undid. */
const inPlace = ({ action, fence }: StepRecord): Attempt | undefined =>
  action !== undefined && action.state !== 'failure' && action.epoch > fence ? action : undefined;

function action(record: StepRecord | undefined, asked: Asked): Ruling {
  if (record === undefined) return asked.begun < asked.horizon ? expired() : { do: 'begin' };
  const attempt = record.action;
  if (attempt !== undefined && attempt.fingerprint !== asked.fingerprint) return mismatch(attempt);
  if (asked.epoch <= record.fence) {
    return answer(
      refused(
        409,
        'Fenced',
        `the step was compensated up to epoch ${record.fence}; the action came too late and nothing is in place`,
      ),
    );
  }
  if (record.compensation?.state === 'inflight') return answer(inFlight());
  // Never begun, or undone by a compensation of its epoch: this epoch starts anew.
  if (attempt === undefined || attempt.epoch <= record.fence) return { do: 'begin' };
  if (attempt.state === 'inflight') return { do: 'resume', attempt };
  if (attempt.state === 'success' || asked.epoch === attempt.epoch) return stored(attempt);
  return asked.epoch > attempt.epoch ? { do: 'begin' } : stale(attempt);
}

function compensation(record: StepRecord | undefined, asked: Asked): Ruling {
  if (record === undefined) return asked.begun < asked.horizon ? expired() : { do: 'fence', output: {} };
  const attempt = record.compensation;
  if (attempt !== undefined && attempt.fingerprint !== asked.fingerprint) return mismatch(attempt);
  if (attempt?.state === 'inflight') return { do: 'resume', attempt };
  const effect = inPlace(record);
  if (effect !== undefined && effect.epoch <= asked.epoch) {
    if (attempt?.state !== 'failure' || asked.epoch > attempt.epoch) return { do: 'begin' };
    return asked.epoch === attempt.epoch ? stored(attempt) : stale(attempt);
  }
  if (attempt?.state === 'failure') return asked.epoch < attempt.epoch ? stale(attempt) : stored(attempt);
  if (asked.epoch <= record.fence && attempt !== undefined) return stored(attempt);
  // An engine that lost its journal may know less than we do. "Done" would leave the effect in place for good.
  if (effect !== undefined) return stale(effect);
  return { do: 'fence', output: attempt?.answer ?? {} };
}

/** The contract (docs/reference/participant-contract.md), nothing switched off. */
export const contractRules: Rules = { action, compensation };

/** A stored failure's answer, as it is kept. */
export const failureAnswer = (reason: string, detail: string, more: Attempt['answer']): Attempt['answer'] =>
  failed(reason, detail, more).body;
