import type { Tracing } from '@mercato/tracing';
import { runKey } from '../saga/command.ts';
import type { RunId, RunState } from '../saga/types.ts';

/** Shows in its trace when and how a run ended: a span of no length, since what took its time are its commands. */
export function traceEnd(tracing: Tracing, id: RunId, state: RunState, parent: string | undefined): void {
  if (parent === undefined) return;
  const span = tracing.span('run ended', { kind: 'internal', parent });
  if (span.isKept) {
    const { ended = '', cause } = state;
    span.set({ 'mercato.run': runKey(id), 'mercato.outcome': ended, ...(cause && { 'mercato.reason': cause.reason }) });
  }
  span.end();
}
