import type { JsonObject } from '../json.ts';
import { problem } from '../problem.ts';
import type { Milliseconds } from '../units.ts';

/** What goes back over the wire: the contract's table of answers. `retryAfter` is in seconds. */
export interface Answer {
  readonly status: number;
  readonly body: JsonObject;
  readonly retryAfter?: number;
}

export const succeeded = (output: JsonObject): Answer => ({ status: 200, body: output });

export const failed = (reason: string, detail: string, more: JsonObject = {}): Answer => ({
  status: 422,
  body: problem(422, reason, detail, more),
});

export const acceptedFor = (wait: Milliseconds): Answer => ({ status: 202, body: {}, retryAfter: wait / 1000 });

export const refused = (status: number, reason: string | undefined, detail: string, more: JsonObject = {}): Answer => ({
  status,
  body: problem(status, reason, detail, more),
});

export const inFlight = (): Answer => ({
  status: 425,
  body: problem(425, 'InFlight', 'another copy of this command is being carried out; repeat it later'),
  retryAfter: 0.2,
});
