import type { RunPhase } from '@mercato/operator/api/ordersagarun.ts';

/** What the player knows of one order. Times are monotonic milliseconds. */
export interface Played {
  readonly orderId: string;
  /** When it was sent. */
  readonly sentMs: number;
  /** When it was taken; absent while it is under way, or when it was refused. */
  readonly acceptedMs?: number;
  /** Why it was refused. */
  readonly refusal?: string;
  /** @default Pending */
  readonly phase?: RunPhase;
  /** When it was first seen to have ended or to be held. */
  readonly settledMs?: number;
}

export const PHASES = [
  'Pending',
  'Running',
  'Compensating',
  'Held',
  'Succeeded',
  'Compensated',
  'Aborted',
] as const satisfies RunPhase[];

/** What a table shows of a play. Pure sums. */
export interface Tally {
  readonly planned: number;
  readonly sent: number;
  readonly accepted: number;
  readonly refused: number;
  readonly phases: Readonly<Record<RunPhase, number>>;
  /** Ended or held. */
  readonly settled: number;
  /** Settled in the last few seconds, per second. */
  readonly perSecond: number;
  /** From sending to the end as it is seen, in milliseconds. Undefined while nothing has ended. */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

/** How long the rate looks back. */
const RATE_WINDOW_MS = 3_000;

/** Whether a phase is one that lasts. */
export function isSettled(phase: RunPhase | undefined): boolean {
  return phase === 'Succeeded' || phase === 'Compensated' || phase === 'Aborted' || phase === 'Held';
}

/** Sums up a play at a moment. @param beganMs when it began, @param nowMs now, on the same clock as the times in `played` */
export function tally(planned: number, played: Iterable<Played>, beganMs: number, nowMs: number): Tally {
  const phases = Object.fromEntries(PHASES.map((phase) => [phase, 0])) as Record<RunPhase, number>;
  const latencies: number[] = [];
  let [sent, accepted, refused, recent] = [0, 0, 0, 0];
  const window = Math.min(RATE_WINDOW_MS, Math.max(1, nowMs - beganMs));
  for (const each of played) {
    sent += 1;
    if (each.refusal !== undefined) refused += 1;
    if (each.acceptedMs === undefined) continue;
    accepted += 1;
    phases[each.phase ?? 'Pending'] += 1;
    if (each.settledMs === undefined) continue;
    latencies.push(each.settledMs - each.sentMs);
    if (each.settledMs > nowMs - window) recent += 1;
  }
  latencies.sort((a, b) => a - b);
  return {
    planned,
    sent,
    accepted,
    refused,
    phases,
    settled: latencies.length,
    perSecond: (recent * 1000) / window,
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}

/** The nearest-rank percentile of sorted values: the least that at least this part of them does not exceed. */
export function percentile(sorted: readonly number[], part: number): number | undefined {
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}
