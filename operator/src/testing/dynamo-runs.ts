import type { NewRun } from '../journals/worker-journal.ts';
import { begin } from '../saga/engine.ts';
import { CONTEXT, INPUT, revision } from '../saga/rehearsal.ts';
import type { RunState } from '../saga/types.ts';

/** For tests of a journal: a run, and states that it goes through. A journal does not look into them. */
export const REVISION = revision();

export const newRun = (orderId: string): NewRun => ({
  id: { ...CONTEXT.id, orderId },
  input: INPUT,
  revision: REVISION.hash,
  createdAt: 1_000_000,
});

export const INTENT: RunState = { ...begin(REVISION, 1_000_000), pivotIntent: true };

/** The n-th hold. */
export const held = (n = 1, since = 2_000_000): RunState => ({
  ...INTENT,
  holds: n,
  hold: { id: `${n}-x`, reason: 'StepFailed', message: 'it did not answer', since, step: 'capture', kind: 'action' },
});

/** It goes on after the n-th hold. */
export const resumed = (n = 1): RunState => ({ ...INTENT, holds: n });

/** It has ended after n holds. */
export const ended = (n = 0): RunState => ({ ...INTENT, holds: n, ended: 'Succeeded', finishedAt: 3_000_000 });
