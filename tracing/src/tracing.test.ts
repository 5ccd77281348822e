import { execFile } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace';
import { expect } from 'chai';
import { tracingWith } from './exported.ts';
import { isSampled, parseTraceparent, type Tracing, TracingConfigError, tracingOf, untraced } from './tracing.ts';

const KEPT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
const DROPPED = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-00`;

describe('a trace', () => {
  let exporter: InMemorySpanExporter;
  const traced = (ratio: number): Tracing => {
    exporter = new InMemorySpanExporter();
    return tracingWith('order', ratio, new SimpleSpanProcessor({ exporter }));
  };

  it('begins where a request comes in, and holds what that caused', () => {
    const tracing = traced(1);
    const request = tracing.enter('POST /orders', { kind: 'server', parent: undefined });
    const command = tracing.span('reserve', { kind: 'client', parent: request.traceparent });
    command.end();
    request.end();
    const [child, root] = exporter.getFinishedSpans();
    expect(child?.parentSpanContext?.spanId).to.equal(root?.spanContext().spanId);
    expect(child?.spanContext().traceId).to.equal(root?.spanContext().traceId);
    expect([root?.kind, child?.kind]).to.deep.equal([SpanKind.SERVER, SpanKind.CLIENT]);
    expect(root?.resource.attributes).to.include({ 'service.name': 'order', 'service.namespace': 'mercato' });
    expect(command.traceparent).to.match(new RegExp(`^00-${root?.spanContext().traceId}-[0-9a-f]{16}-01$`));
  });

  it('goes on with that of the caller', () => {
    traced(0).enter('POST /orders', { kind: 'server', parent: KEPT }).end();
    const [span] = exporter.getFinishedSpans();
    expect(span?.spanContext().traceId).to.equal('a'.repeat(32));
    expect(span?.parentSpanContext?.spanId).to.equal('b'.repeat(16));
  });

  it('is dropped as a whole: what is caused by work that is not kept gets the context as it is', () => {
    const tracing = traced(1);
    for (const span of [
      tracing.enter('POST /orders', { kind: 'server', parent: DROPPED }),
      tracing.span('reserve', { kind: 'client', parent: DROPPED }),
    ]) {
      span.fail('Timeout', 'nothing came');
      span.end();
      expect(span.traceparent).to.equal(DROPPED);
      expect(span.isKept).to.equal(false);
    }
    expect(exporter.getFinishedSpans()).to.be.empty;
  });

  it('that is not kept where it begins says so to all that follows', () => {
    const tracing = traced(0);
    const request = tracing.enter('POST /orders', { kind: 'server', parent: undefined });
    expect(request.isKept).to.equal(false);
    expect(isSampled(request.traceparent ?? '')).to.equal(false);
    tracing.span('reserve', { kind: 'client', parent: request.traceparent }).end();
    request.end();
    expect(exporter.getFinishedSpans()).to.be.empty;
  });

  it('does not begin in the middle of the shop', () => {
    const span = traced(1).span('reserve', { kind: 'client', parent: undefined });
    span.end();
    expect(span.traceparent).to.equal(undefined);
    expect(exporter.getFinishedSpans()).to.be.empty;
  });

  it('says what failed', () => {
    const span = traced(1).enter('POST /orders', { kind: 'server', parent: undefined });
    span.set({ 'mercato.saga': 'checkout' });
    span.fail('Timeout', 'no answer in 2 s');
    span.end();
    const [kept] = exporter.getFinishedSpans();
    expect(kept?.status).to.deep.equal({ code: SpanStatusCode.ERROR, message: 'no answer in 2 s' });
    expect(kept?.attributes).to.include({ 'error.type': 'Timeout', 'mercato.saga': 'checkout' });
  });

  for (const wrong of [
    '',
    'x',
    KEPT.replace('00-', '01-'),
    KEPT.replace(/b/g, '0'),
    KEPT.replace(/a/g, '0'),
    `${KEPT}0`,
    KEPT.toUpperCase(),
  ])
    it(`is not gone on with where its context is ${JSON.stringify(wrong)}`, () => {
      expect(parseTraceparent(wrong)).to.equal(undefined);
      expect(untraced.span('x', { kind: 'client', parent: wrong }).traceparent).to.equal(undefined);
    });
});

describe('traces by configuration', () => {
  it('are none without an address to send them to', async () => {
    expect(await tracingOf('order', {})).to.equal(untraced);
    expect(await tracingOf('order', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_SDK_DISABLED: 'true' })).to.equal(
      untraced,
    );
  });

  it('name the setting that is wrong', async () => {
    const made = tracingOf('order', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_TRACES_SAMPLER_ARG: '5%' });
    const error = await made.then(() => undefined).catch((caught: unknown) => caught);
    expect(error).to.be.instanceOf(TracingConfigError);
    expect(String(error)).to.include('OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1; it is "5%"');
  });

  it('fail no stop when their collector is away, and say so', async () => {
    const script = `
      import { tracingOf } from '@mercato/tracing';
      const tracing = await tracingOf('order', process.env);
      tracing.enter('POST /orders', { kind: 'server', parent: undefined }).end();
      await tracing.close();
      // As a program ends: nobody waits for what the exporter still tries.
      process.stdout.write('closed\\n', () => process.exit(0));`;
    // Nobody listens on the discard port.
    const env = { ...process.env, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9', OTEL_TRACES_SAMPLER_ARG: '1' };
    const run = promisify(execFile);
    const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '-e', script], {
      env,
      cwd: import.meta.dirname,
    });
    expect(stdout).to.equal('closed\n');
    expect(stderr).to.match(/^tracing: .*(ECONNREFUSED|export|lost)/m);
  }).timeout(60_000);

  it('are sent over OTLP, and what is left at the end is too', async () => {
    const bodies: string[] = [];
    const arrived = Promise.withResolvers<void>();
    const server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        bodies.push(`${request.url} ${Buffer.concat(chunks).toString()}`);
        arrived.resolve();
        response.setHeader('content-type', 'application/json').end('{}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const before = process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = address;
    try {
      const tracing = await tracingOf('order', { ...process.env, OTEL_TRACES_SAMPLER_ARG: '1' });
      tracing.enter('POST /orders', { kind: 'server', parent: undefined }).end();
      const began = performance.now();
      await tracing.close();
      // A stop waits for 3 s at most. On a machine that stalled meanwhile, what it has sent is still on its way.
      if (performance.now() - began > 2_900) await arrived.promise;
      expect(bodies.join('\n'))
        .to.match(/^\/v1\/traces /)
        .and.include('POST /orders')
        .and.include('"order"');
    } finally {
      if (before === undefined) delete process.env['OTEL_EXPORTER_OTLP_ENDPOINT'];
      else process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = before;
      server.close();
    }
  });
});
