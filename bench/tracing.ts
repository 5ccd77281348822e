import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { SendEffect } from '@mercato/operator/participants/participants.ts';
import { commandText } from '@mercato/operator/participants/request.ts';
import { traced } from '@mercato/operator/participants/traced.ts';
import type { Answer } from '@mercato/operator/saga/types.ts';
import { type Tracing, tracingOf } from '@mercato/tracing';
import { type Figure, median } from './figures.ts';

const ORDERS = Number(process.env['BENCH_RUNS'] ?? 10_000);
/** So few that the exporter's queue has room for all their spans. */
const FEW = 100;
const ROUNDS = 20;
/** Orders between two turns of the event loop, as they come under load: exporters need turns. */
const A_TURN = 10;
const COMMANDS = ['reserve-stock', 'authorise-payment', 'commit-stock', 'book-shipment', 'capture-payment'];
const RUN = { namespace: 'shop', saga: 'checkout', orderId: 'o-1' };
const ANSWER: Answer = { type: 'Success', output: {} };

/** Takes what comes and answers an empty object, in a process of its own, so that its time is not counted. */
const SINK = `require('node:http').createServer((q, r) => q.resume().on('end', () => r.end('{}')))
  .listen(0, '127.0.0.1', function () { console.log(this.address().port) })`;

/**
 * What tracing costs of an order's two milliseconds, all its processes together: the spans of one order made as they are made there, sent to a collector, with
 * everything dropped, with one in a hundred kept, and with all.
 */
export async function tracingBench(): Promise<Figure[]> {
  const sink = spawn(process.execPath, ['-e', SINK], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [port] = (await once(sink.stdout, 'data')) as [Buffer];
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = `http://127.0.0.1:${String(port).trim()}`;
    const none = await cost({});
    const of = async (ratio: number, orders?: number) =>
      (await cost({ ...process.env, OTEL_TRACES_SAMPLER_ARG: String(ratio) }, orders)) - none;
    return [
      { name: 'without an address to send to', value: none, unit: 'us an order' },
      { name: 'more with none kept', value: await of(0), unit: 'us an order', goal: '< 20' },
      { name: 'more with one in a hundred kept', value: await of(0.01), unit: 'us an order', goal: '< 20' },
      { name: 'more with all kept', value: await of(1, FEW), unit: 'us an order' },
    ];
  } finally {
    sink.kill();
  }
}

/** Processor time of an order's spans and commands, with their sending, microseconds. */
async function cost(env: Readonly<Record<string, string | undefined>>, orders = ORDERS): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const tracing = await tracingOf('bench', env);
    const before = process.cpuUsage();
    for (let n = 0; n < orders; n++) {
      await order(tracing);
      if (n % A_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await tracing.close();
    const { user, system } = process.cpuUsage(before);
    // The first is to warm up.
    if (round > 0) rounds.push((user + system) / orders);
  }
  return median(rounds);
}

/** The spans of an order, as test/trace.test.ts finds them in the whole shop. */
async function order(tracing: Tracing): Promise<void> {
  const request = tracing.enter('POST /orders', { kind: 'server', parent: undefined });
  const placed = tracing.span('dev.mercato.order.placed', { kind: 'consumer', parent: request.traceparent });
  const participants = traced({ send: async (_run, effect) => carryOut(tracing, effect) }, tracing);
  for (const command of COMMANDS) {
    const { traceparent } = placed;
    const effect = { ...EFFECT, command, ...(traceparent && { traceparent }) };
    await participants.send(RUN, effect, NEVER);
  }
  tracing.span('run ended', { kind: 'internal', parent: placed.traceparent }).end();
  tracing.span('dev.mercato.saga.succeeded', { kind: 'consumer', parent: placed.traceparent }).end();
  placed.end();
  request.end();
}

function carryOut(tracing: Tracing, effect: SendEffect): Answer {
  const { traceparent } = commandText(effect);
  const span = tracing.span(effect.command, { kind: 'server', parent: traceparent });
  // Inventory calls nobody.
  if (span.isKept && !effect.command.endsWith('-stock'))
    tracing.span('POST', { kind: 'client', parent: span.traceparent }).end();
  span.end();
  return ANSWER;
}

const NEVER = new AbortController().signal;
const EFFECT: SendEffect = {
  type: 'Send',
  step: 'step',
  kind: 'action',
  participant: 'inventory',
  command: '',
  key: 'shop/checkout/o-1/step/action',
  epoch: 1,
  send: 1,
  begunAt: Date.UTC(2026, 10, 22, 12),
  timeout: 5_000,
  body: {},
};
