import type { Attributes } from '@opentelemetry/api';

/** What a span says of its work: no order's contents, no token, no address. */
export type SpanAttributes = Attributes;

/** How a span stands to others, as OpenTelemetry has it. */
export type Kind = 'server' | 'client' | 'producer' | 'consumer' | 'internal';

/** One piece of work in a trace. After `end`, nothing of it changes. */
export interface TraceSpan {
  /** W3C Trace Context to hand on to whatever this work causes. Undefined: hand on nothing. */
  readonly traceparent: string | undefined;
  /** Whether anybody keeps it. Where not, what costs time to work out for `set` need not be. */
  readonly isKept: boolean;
  set(attributes: SpanAttributes): void;
  /** The work failed, or its outcome is not known. `reason` is for machines. */
  fail(reason: string, message: string): void;
  end(): void;
}

/** How a span begins. */
export interface Beginning {
  readonly kind: Kind;
  /** W3C Trace Context of the cause, as it came in: what is none counts as absent. */
  readonly parent: string | undefined;
  readonly attributes?: SpanAttributes;
}

/**
 * Traces of one process. A trace is kept or not as a whole, decided where it begins ({@link Tracing.enter}); everything after that follows the flag in
 * the traceparent, so that the work of a trace that is not kept costs a comparison.
 */
export interface Tracing {
  /** Where requests come into the shop: goes on with the caller's trace if it has one, else begins one, which is kept by chance as configured. */
  enter(name: string, beginning: Beginning): TraceSpan;
  /** A span below another; without a parent that is kept, there is none, and the parent is handed on as it is. */
  span(name: string, beginning: Beginning): TraceSpan;
  /** Sends what is left, within a few seconds. */
  close(): Promise<void>;
}

/** W3C Trace Context, version 00. */
const FORM = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** The text if it is a W3C trace context, as the standard asks: what is none is dropped. */
export function parseTraceparent(text: string | undefined): string | undefined {
  return text !== undefined && FORM.test(text) ? text : undefined;
}

/** Whether a trace context, whose form is right, asks for its trace to be kept. */
export function isSampled(traceparent: string): boolean {
  return (Number.parseInt(traceparent.slice(-1), 16) & 1) === 1;
}

/** A span that nobody keeps. */
class Passing implements TraceSpan {
  readonly traceparent: string | undefined;
  readonly isKept = false;

  constructor(traceparent: string | undefined) {
    this.traceparent = traceparent;
  }

  set(): void {}
  fail(): void {}
  end(): void {}
}

const NOTHING = new Passing(undefined);

/** A span that nobody keeps, which hands on what it got. */
export function passing(parent: string | undefined): TraceSpan {
  const traceparent = parseTraceparent(parent);
  return traceparent === undefined ? NOTHING : new Passing(traceparent);
}

/** Keeps nothing; what came with a request is handed on. */
export const untraced: Tracing = {
  enter: (_name, { parent }) => passing(parent),
  span: (_name, { parent }) => passing(parent),
  close: async () => undefined,
};

/** The environment as far as traces are concerned; the exporter itself reads the rest of OpenTelemetry's `OTEL_EXPORTER_OTLP_*`. */
export type TracingEnvironment = Readonly<Record<string, string | undefined>>;

/** @default one trace in a hundred: spans of all would take a tenth of what an order may cost */
const DEFAULT_RATIO = 0.01;

/** A setting of the environment is wrong; the message names it. */
export class TracingConfigError extends Error {
  override readonly name = 'TracingConfigError';
}

/**
 * The traces that the environment asks for, by OpenTelemetry's own variables: sent to `OTEL_EXPORTER_OTLP_ENDPOINT` (or `..._TRACES_ENDPOINT`), kept with
 * the probability `OTEL_TRACES_SAMPLER_ARG` (default 0.01) where they begin. Without an address none are kept, and OpenTelemetry is not even loaded.
 *
 * @throws TracingConfigError
 */
export async function tracingOf(service: string, env: TracingEnvironment): Promise<Tracing> {
  const endpoint = env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'] || env['OTEL_EXPORTER_OTLP_ENDPOINT'];
  if (endpoint === undefined || endpoint === '' || env['OTEL_SDK_DISABLED'] === 'true') return untraced;
  const said = env['OTEL_TRACES_SAMPLER_ARG'];
  const ratio = said === undefined || said === '' ? DEFAULT_RATIO : Number(said);
  if (!(ratio >= 0 && ratio <= 1))
    throw new TracingConfigError(`OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; it is ${JSON.stringify(said)}`);
  const { exportedTracing } = await import('./exported.ts');
  return exportedTracing(env['OTEL_SERVICE_NAME'] || service, ratio);
}
