import { SpanKind } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { tracingWith } from './exported.ts';
import type { SpanAttributes, Tracing } from './tracing.ts';

/** A span that has ended, as a test looks at it. */
export interface EndedSpan {
  readonly name: string;
  readonly kind: string;
  /** W3C Trace Context of the span itself. */
  readonly traceparent: string;
  /** Id of the span that caused it; absent where the trace begins. */
  readonly parentSpanId: string | undefined;
  readonly attributes: SpanAttributes;
  /** Said of one that failed. */
  readonly failure: string | undefined;
}

/** Tracing that keeps what ends in memory. @param ratio of traces that begin here and are kept. @default 1 */
export function recordedTracing(ratio = 1): { readonly tracing: Tracing; readonly ended: () => EndedSpan[] } {
  const exporter = new InMemorySpanExporter();
  const ended = () =>
    exporter.getFinishedSpans().map((span): EndedSpan => {
      const { traceId, spanId } = span.spanContext();
      return {
        name: span.name,
        kind: SpanKind[span.kind].toLowerCase(),
        traceparent: `00-${traceId}-${spanId}-01`,
        parentSpanId: span.parentSpanContext?.spanId,
        attributes: span.attributes,
        failure: span.status.message,
      };
    });
  return { tracing: tracingWith('test', ratio, new SimpleSpanProcessor({ exporter })), ended };
}
