import type { AcceptedOrder, Observations, ObservedRun, OrderKey } from './observations.ts';

/** Everything that was seen of one order. */
export interface Joined {
  readonly key: OrderKey;
  readonly order: AcceptedOrder | undefined;
  readonly runs: readonly ObservedRun[];
}

/** How far an order's effects can be judged. */
export type Verdict = 'completed' | 'undone' | 'open' | 'given-up' | 'no-run';

/** Steps of the shop's saga by the observer that sees their effects. */
const STEPS_OF = {
  acquirer: new Set(['authorise-payment', 'capture-payment']),
  carrier: new Set(['book-shipment']),
  inventory: new Set(['reserve-stock', 'commit-stock']),
} as const;

/**
 * What an observer must have seen of an order: the effects of a completed one, none in net of an undone one. Of an open one (at
 * work or held) and of one that gave up on a step that this observer sees, only that nothing happened twice.
 */
export function verdictOf({ runs }: Joined, observer: keyof typeof STEPS_OF): Verdict {
  const [run] = runs;
  if (run === undefined) return 'no-run';
  if (
    run.phase === 'Aborted' ||
    run.givenUp.some((given) => given.decision !== 'Skip' || STEPS_OF[observer].has(given.step))
  )
    return 'given-up';
  if (run.phase === 'Succeeded') return 'completed';
  return run.phase === 'Compensated' ? 'undone' : 'open';
}

/** Joins orders and runs, with an entry for every order that any observer names. */
export function join(seen: Observations): ReadonlyMap<OrderKey, Joined> {
  const keys = new Set<OrderKey>([
    ...seen.accepted.map((order) => order.key),
    ...seen.runs.map((run) => run.key),
    ...seen.acquirer.map((note) => note.orderKey),
    ...seen.carrier.map((note) => note.orderKey),
    ...seen.stock.reservations.map((reservation) => reservation.key),
    ...seen.exceptions.map((exception) => exception.key),
  ]);
  const orders = new Map(seen.accepted.map((order) => [order.key, order]));
  const runs = Map.groupBy(seen.runs, (run) => run.key);
  return new Map([...keys].map((key) => [key, { key, order: orders.get(key), runs: runs.get(key) ?? [] }]));
}
