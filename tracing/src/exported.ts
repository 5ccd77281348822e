import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import {
  type Beginning,
  isSampled,
  type Kind,
  parseTraceparent,
  passing,
  type SpanAttributes,
  type TraceSpan,
  type Tracing,
} from './tracing.ts';

const KINDS: Readonly<Record<Kind, SpanKind>> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** What is not sent by then at the end of a process is lost. */
const CLOSE_MILLIS = 3_000;

/** Traces that are sent over OTLP, in batches beside the work; when the collector is slow, spans are dropped and no request waits. */
export function exportedTracing(service: string, ratio: number): Tracing {
  const logger = { error: complain, warn: complain, info: quiet, debug: quiet, verbose: quiet };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  return tracingWith(service, ratio, new BatchSpanProcessor({ exporter: new OTLPTraceExporter() }));
}

/** Traces that go to `processor`. */
export function tracingWith(service: string, ratio: number, processor: SpanProcessor): Tracing {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.namespace': 'mercato' }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [processor],
  });
  const tracer = provider.getTracer('mercato');
  return {
    enter(name, beginning) {
      const parent = parseTraceparent(beginning.parent);
      return parent !== undefined && !isSampled(parent) ? passing(parent) : begin(tracer, name, beginning, parent);
    },
    span(name, beginning) {
      const parent = parseTraceparent(beginning.parent);
      return parent === undefined || !isSampled(parent) ? passing(parent) : begin(tracer, name, beginning, parent);
    },
    close: () => closed(provider),
  };
}

/** A collector that is away is no reason for a stop to fail: what it would have got is lost, as CLOSE_MILLIS has it. */
async function closed(provider: TracerProvider): Promise<void> {
  await provider.forceFlush({ timeoutMillis: CLOSE_MILLIS }).catch(lost);
  await Promise.race([provider.shutdown().catch(lost), new Promise((resolve) => setTimeout(resolve, 500).unref())]);
}

function lost(error: unknown): void {
  complain(`spans at the end of the process are lost: ${error instanceof Error ? error.message : String(error)}`);
}

/** A collector that is away fails every few seconds. Milliseconds. */
const COMPLAIN_EVERY = 60_000;
let complained = Number.NEGATIVE_INFINITY;

/** What goes wrong with traces disturbs no work, but is not kept quiet: a line on stderr, at most one a minute. */
function complain(message: string): void {
  const now = performance.now();
  if (now - complained < COMPLAIN_EVERY) return;
  complained = now;
  process.stderr.write(`tracing: ${message.slice(0, 500)}\n`);
}

const quiet = () => undefined;

/** Contexts are handed on by hand: a context that follows every promise costs more than the spans do. */
function begin(tracer: Tracer, name: string, { kind, attributes }: Beginning, parent: string | undefined): TraceSpan {
  const options = { kind: KINDS[kind], ...(attributes === undefined ? {} : { attributes }) };
  const span = tracer.startSpan(name, options, parent === undefined ? ROOT_CONTEXT : contextOf(parent));
  return new Kept(span);
}

function contextOf(traceparent: string): Context {
  const [, traceId = '', spanId = ''] = traceparent.split('-');
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

class Kept implements TraceSpan {
  readonly #span: Span;
  readonly traceparent: string;

  constructor(span: Span) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.#span = span;
    this.traceparent = `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  get isKept(): boolean {
    return this.#span.isRecording();
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(attributes);
  }

  fail(reason: string, message: string): void {
    this.#span.setAttribute('error.type', reason);
    this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }

  end(): void {
    this.#span.end();
  }
}
