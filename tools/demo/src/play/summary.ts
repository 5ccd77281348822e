import type { OrderId } from '@mercato/operator/api/names.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import type { Violation } from '../conservation.ts';
import type { Intake, SourcedOrder } from '../intake/collect.ts';
import type { PlayedOrder } from './player.ts';
import { millis } from './table.ts';
import type { Tally } from './tally.ts';

/** SKUs of one warehouse that are low or out. */
export interface LowStock {
  readonly warehouse: string;
  readonly low: number;
  readonly out: number;
  readonly examples: readonly string[];
}

/** Everything that a finished play has to tell. */
export interface Outcome {
  readonly tally: Tally;
  readonly tookMs: number;
  readonly namespace: string;
  readonly played: Iterable<PlayedOrder>;
  /** What the file came to. @default no file was played */
  readonly intake?: Intake;
  readonly lowStock: readonly LowStock[];
  /** How many RestockOrders are in each phase. */
  readonly restocks: ReadonlyMap<string, number>;
  readonly violations: readonly Violation[];
}

/** At most so many of a list are shown, and how many more there are. */
const SHOWN = 8;

/** The summary of a play, as lines of text. Pure. */
export function summaryOf(outcome: Outcome): string[] {
  const { tally, tookMs } = outcome;
  const { Succeeded, Compensated, Held, Aborted } = tally.phases;
  const open = tally.accepted - tally.settled;
  return [
    `${tally.accepted} orders accepted in ${millis(tookMs)}: ${Succeeded} completed, ${Compensated} compensated, ${Held} held, ${Aborted} aborted${open > 0 ? `, ${open} STILL OPEN` : ''}`,
    `from order to end: p50 ${millis(tally.p50Ms)}, p99 ${millis(tally.p99Ms)}`,
    ...compensatedLines(outcome),
    ...heldLines(outcome),
    ...rejectedLines(outcome),
    ...refusedLines(outcome),
    ...stockLines(outcome),
    ...conservationLines(outcome),
  ];
}

function compensatedLines({ played }: Outcome): string[] {
  const compensated = [...played].filter(({ phase }) => phase === 'Compensated');
  if (compensated.length === 0) return [];
  const byReason = Map.groupBy(compensated, (order) => reasonOf(order, 'Succeeded'));
  return [
    '',
    'compensated, by reason',
    ...ranked(byReason).map(([reason, orders]) => count(orders.length, `${reason}, as ${orders[0]?.orderId}`)),
  ];
}

function heldLines({ played, namespace }: Outcome): string[] {
  const held = [...played].filter(({ phase }) => phase === 'Held');
  if (held.length === 0) return [];
  const shown = held
    .slice(0, SHOWN)
    .flatMap((order) => [
      `  ${order.orderId}: ${reasonOf(order, 'Held')}: ${messageOf(order, 'Held')}`,
      ...(order.run === undefined ? [] : [`    kubectl describe osr ${order.run.metadata.name} -n ${namespace}`]),
    ]);
  return [
    '',
    'held, for a person to decide; where the cluster stays (make up), this shows why',
    ...shown,
    ...more(held.length),
  ];
}

/** What was refused: whoever did says itself what to do. Of a file's orders their lines are named, as of every line without a run. */
function rejectedLines({ played, intake }: Outcome): string[] {
  const rejected = [...played].filter(({ refusal }) => refusal !== undefined);
  if (rejected.length === 0) return [];
  const sources = new Map(intake?.orders.map((order) => [order.orderId, linesOf(order)]));
  const shown = rejected.map(({ orderId, refusal }) => {
    const lines = sources.get(orderId as OrderId);
    return `  ${orderId}${lines === undefined ? '' : ` (lines ${lines.join(', ')})`}: ${refusal}`;
  });
  return ['', `refused: ${rejected.length} orders`, ...shown];
}

function refusedLines({ intake }: Outcome): string[] {
  if (intake === undefined) return [];
  const { refused } = intake;
  const taken = intake.orders.flatMap(linesOf).length;
  const byReason = Map.groupBy(refused, ({ reason }) => reason);
  return [
    '',
    `of ${taken + refused.length} lines in the file ${taken} are in orders and ${refused.length} are not`,
    ...ranked(byReason).map(([reason, lines]) =>
      count(lines.length, `${reason}, as line ${lines[0]?.line}: ${lines[0]?.detail}`),
    ),
  ];
}

function linesOf({ lines }: SourcedOrder): number[] {
  return lines.flatMap(({ refs }) => refs);
}

function stockLines({ lowStock, restocks }: Outcome): string[] {
  if (lowStock.length === 0) return [];
  const levels = lowStock.map(({ warehouse, low, out, examples }) => {
    const named = examples.length > 0 ? ` (${examples.join(', ')})` : '';
    return `  ${warehouse}: ${low} SKUs low, ${out} out${named}`;
  });
  const orders = [...restocks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([phase, number]) => `${number} ${phase}`);
  return ['', 'stock at the end of the day', ...levels, `  restock orders: ${orders.join(', ') || 'none'}`];
}

function conservationLines({ violations, tally }: Outcome): string[] {
  if (violations.length === 0)
    return [
      '',
      `conservation: nothing was lost. ${tally.accepted} orders hold against the acquirer's log, the carrier's log and the stock's movements.`,
    ];
  const shown = violations.slice(0, 40).map(({ rule, observer, sentence }) => `  ${rule} (${observer}): ${sentence}`);
  return [
    '',
    `conservation: ${violations.length} VIOLATIONS`,
    ...shown,
    ...(violations.length > 40 ? [`  and ${violations.length - 40} more`] : []),
  ];
}

function ranked<T>(groups: Map<string, T[]>): [string, T[]][] {
  return [...groups].sort(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1));
}

function count(number: number, what: string): string {
  return `${String(number).padStart(6)}  ${what}`;
}

function more(all: number): string[] {
  return all > SHOWN ? [`  and ${all - SHOWN} more`] : [];
}

/** Why an order is where it is: its run says it best; where that is no object, what its customer is told. */
function reasonOf({ run, told }: PlayedOrder, type: string): string {
  return conditionOf(run, type)?.reason ?? told?.reason ?? 'Unknown';
}

function messageOf({ run, told }: PlayedOrder, type: string): string {
  return conditionOf(run, type)?.message ?? told?.message ?? '';
}

function conditionOf(run: OrderSagaRun | undefined, type: string) {
  return run?.status?.conditions?.find((condition) => condition.type === type);
}
