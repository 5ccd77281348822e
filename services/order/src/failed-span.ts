import { ProblemError, type TraceSpan } from '@mercato/kit';

/** Says on a span what a request came to that was not carried out. What the caller did wrong is no failure of ours; the message may quote an input. */
export function failSpan(span: TraceSpan, error: unknown): void {
  const { status, reason } = error instanceof ProblemError ? error.problem : { status: 500, reason: undefined };
  span.set({ 'http.response.status_code': status });
  if (status >= 500) span.fail(typeof reason === 'string' ? reason : 'InternalError', 'it was not carried out');
}
