import type { Objective } from '../model/types.ts';

/** A page wakes somebody up; a ticket waits for the morning. */
export type Severity = 'page' | 'ticket';

/** Lengths of time as Prometheus writes them. */
export type Window = '5m' | '30m' | '1h' | '2h' | '6h' | '1d' | '3d' | '30d';

/** The time that an objective speaks of, and how long each window is, in hours. */
export const HOURS: Readonly<Record<Window, number>> = {
  '5m': 1 / 12,
  '30m': 0.5,
  '1h': 1,
  '2h': 2,
  '6h': 6,
  '1d': 24,
  '3d': 72,
  '30d': 720,
};

/** What an objective promises in percent: one budget for errors each. */
export type Promised = 'availability' | 'latency';
export const PROMISES: readonly Promised[] = ['availability', 'latency'];

/** One way to notice that an error budget goes too fast. */
export interface BurnWindows {
  readonly severity: Severity;
  /** How much of the budget of 30 days is gone when it is noticed, in percent. */
  readonly budgetPercent: number;
  /** How many times faster than allowed. 1 uses the budget up in exactly 30 days. */
  readonly factor: number;
  readonly long: Window;
  /** A twelfth of the long one: ends the alert soon after the errors end. */
  readonly short: Window;
}

/**
 * Multiwindow, multi-burn-rate alerts: both windows of a pair must burn at the factor or faster.
 * Source: The Site Reliability Workbook, chapter 5, "6: Multiwindow, Multi-Burn-Rate Alerts" (https://sre.google/workbook/alerting-on-slos/).
 * factor = budgetPercent / 100 * 720 h / long.
 */
export const BURN_WINDOWS: readonly BurnWindows[] = [
  { severity: 'page', budgetPercent: 2, factor: 14.4, long: '1h', short: '5m' },
  { severity: 'page', budgetPercent: 5, factor: 6, long: '6h', short: '30m' },
  { severity: 'ticket', budgetPercent: 10, factor: 3, long: '1d', short: '2h' },
  { severity: 'ticket', budgetPercent: 10, factor: 1, long: '3d', short: '6h' },
];

/** All windows that a ratio is needed of. */
export const WINDOWS: readonly Window[] = ['5m', '30m', '1h', '2h', '6h', '1d', '3d', '30d'];

/** An objective that no alert could watch over. The message says what to change. */
export class ObjectiveError extends Error {
  override readonly name = 'ObjectiveError';
}

/**
 * The share of events that may go wrong, from 0 to 1: 99.95 percent leave 0.0005.
 * @throws ObjectiveError if nothing may go wrong, or so much that the fastest burn could never be reached
 */
export function budgetOf({ availability, latency }: Objective, promised: Promised): number {
  const percent = promised === 'availability' ? availability : latency.percent;
  const budget = exact((100 - percent) / 100);
  const fastest = Math.max(...BURN_WINDOWS.map(({ factor }) => factor));
  if (!(budget > 0) || budget * fastest >= 1)
    throw new ObjectiveError(
      `${promised} of ${percent}% cannot be watched over: choose more than ${exact(100 - 100 / fastest)}% and less than 100%`,
    );
  return budget;
}

/** Without what binary fractions add: 0.0005, not 0.0005000000000000027. */
export const exact = (value: number): number => Number(value.toPrecision(9));
