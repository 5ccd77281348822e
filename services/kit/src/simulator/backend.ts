import type { Clock } from '../clock.ts';
import type { Exchange, Exchanged } from '../exchange.ts';
import { milliseconds } from '../units.ts';
import type { AppendLog } from './append-log.ts';
import type { FaultPlan } from './faults.ts';

/** A simulated company: pure but for its own memory. It decides; whoever hosts it keeps time and writes the log. */
export interface SimulatedBackend<Entry> {
  /** Takes one request in. Nothing is done until `work` is called; it may be called later, twice, or never. */
  receive(request: SimulatedRequest): Received<Entry>;
}

/** A request as a simulator sees it. */
export interface SimulatedRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** Parsed JSON; undefined without a body. */
  readonly body: unknown;
}

/** A request that was taken in: how it will fare, and what it does when it is carried out. */
export interface Received<Entry> {
  readonly plan: FaultPlan;
  work(): Worked<Entry>;
}

/** What carrying a request out gives: the answer, and what the log must hold before the answer may leave. */
export interface Worked<Entry> {
  readonly status: number;
  readonly body: unknown;
  readonly entries: readonly Entry[];
}

/** An answer on its way to the caller, due after `delayMs`. */
export interface Delivery {
  readonly kind: FaultPlan['delivery'];
  readonly delayMs: number;
  readonly status: number;
  readonly body: unknown;
}

/** Carries a request out as its plan says, and gives the answer once what it stands for is durable. */
export async function carryOut<Entry>(
  received: Received<Entry>,
  log: AppendLog<Entry>,
  clock: Clock,
  onFailure: (error: unknown) => void,
): Promise<Delivery> {
  const { plan } = received;
  const delivery = { kind: plan.delivery, delayMs: plan.delayMs };
  const work = async (): Promise<Worked<Entry>> => {
    const worked = received.work();
    await log.append(worked.entries);
    return worked;
  };
  if (plan.work === 'never') return { ...delivery, status: 500, body: undefined };
  if (plan.work === 'later') {
    clock.schedule(milliseconds(plan.delayMs), () => void work().catch(onFailure));
    return { ...delivery, status: 504, body: { error: 'the answer was lost' } };
  }
  const worked = await work();
  if (plan.twice) await work();
  return { ...delivery, status: worked.status, body: worked.body };
}

/** Where an in-process exchange gets its time, and how long its caller waits. */
export interface InProcessOptions<Entry> {
  readonly backend: SimulatedBackend<Entry>;
  readonly log: AppendLog<Entry>;
  readonly clock: Clock;
  /** The caller's time-out, in milliseconds. @default 2000 */
  readonly timeoutMs?: number;
}

/** An exchange with a simulator in the same process: same faults, no sockets, and the clock that it is given. */
export function inProcessExchange<Entry>(options: InProcessOptions<Entry>): Exchange {
  const timeoutMs = options.timeoutMs ?? 2_000;
  return async (outbound) => {
    const url = new URL(outbound.path, 'http://simulator');
    const body = outbound.body === undefined ? undefined : (JSON.parse(JSON.stringify(outbound.body)) as unknown);
    const received = options.backend.receive({
      method: outbound.method,
      path: url.pathname,
      query: url.searchParams,
      body,
    });
    let failure: unknown;
    const delivery = await carryOut(received, options.log, options.clock, (error) => {
      failure = error;
    });
    if (failure !== undefined) throw failure;
    await sleep(options.clock, Math.min(delivery.delayMs, timeoutMs));
    return delivery.delayMs >= timeoutMs
      ? { kind: 'unknown', detail: `no answer in ${timeoutMs} ms` }
      : asSeen(delivery);
  };
}

function asSeen(delivery: Delivery): Exchanged {
  switch (delivery.kind) {
    case 'answer':
      return { kind: 'answered', status: delivery.status, body: delivery.body };
    case 'error':
      return { kind: 'answered', status: 500, body: { error: 'internal error' } };
    case 'html':
      return { kind: 'unknown', detail: 'the answer (502) is not JSON' };
    case 'drop':
      return { kind: 'unknown', detail: 'the connection was closed' };
  }
}

function sleep(clock: Clock, delayMs: number): Promise<void> {
  if (delayMs <= 0) return Promise.resolve();
  return new Promise((resolve) => {
    clock.schedule(milliseconds(delayMs), resolve);
  });
}
