import type { Joined } from './joined.ts';
import type { GivenUp, Observations, OrderKey, Violation } from './observations.ts';

/** One run for each accepted order and for no other; every run has ended, or is held as the oracle says. */
export function checkRuns(seen: Observations, orders: Iterable<Joined>): Violation[] {
  const violations: Violation[] = [];
  for (const { key, order, runs } of orders) {
    if (order !== undefined && runs.length === 0)
      violations.push({
        rule: 'one-run-per-order',
        order: key,
        observer: 'client',
        sentence: `order ${key} was accepted, and there is no run of it`,
      });
    if (runs.length > 1)
      violations.push({
        rule: 'one-run-per-order',
        order: key,
        observer: 'runs',
        sentence: `order ${key} has ${runs.length} runs instead of one`,
      });
    if (order === undefined && runs.length > 0)
      violations.push({
        rule: 'run-of-an-order',
        order: key,
        observer: 'runs',
        sentence: `there is a run of ${key}, which the client never ordered`,
      });
    for (const run of runs) violations.push(...checkEnd(seen, run.key, run.phase));
  }
  return violations;
}

function checkEnd(seen: Observations, key: OrderKey, phase: string): Violation[] {
  const mustBeHeld = seen.mustBeHeld?.has(key);
  if (phase === 'Held') {
    if (mustBeHeld !== false) return [];
    const sentence = `order ${key} is held, and nothing that was done to it should hold it`;
    return [{ rule: 'held-as-expected', order: key, observer: 'runs', sentence }];
  }
  if (mustBeHeld === true) {
    const sentence = `order ${key} must be held, and is ${phase}`;
    return [{ rule: 'held-as-expected', order: key, observer: 'runs', sentence }];
  }
  if (phase === 'Succeeded' || phase === 'Compensated' || phase === 'Aborted') return [];
  const sentence = `order ${key} is still ${phase}: it neither ended nor is it held`;
  return [{ rule: 'all-end', order: key, observer: 'runs', sentence }];
}

const LASTING = ['Held', 'Succeeded', 'Compensated', 'Aborted'];

/** What customers are told last is what became of their orders. */
export function checkTold({ told = [] }: Observations, orders: ReadonlyMap<OrderKey, Joined>): Violation[] {
  return told.flatMap(({ key, phase }) => {
    const run = orders.get(key)?.runs[0];
    // A run that is under way, and one that is not there, are told of by other rules.
    if (run === undefined || run.phase === phase || !LASTING.includes(run.phase)) return [];
    const sentence = `order ${key}: its customer is told ${phase}, and the run is ${run.phase}`;
    return [{ rule: 'told-as-it-is', order: key, observer: 'order service', sentence }];
  });
}

/** What runs gave up on has its exception record, once, and nothing else has. */
export function checkExceptions(seen: Observations, orders: Iterable<Joined>): Violation[] {
  const violations: Violation[] = [];
  const records = Map.groupBy(seen.exceptions, (record) => record.key);
  for (const { key, runs } of orders) {
    const given = runs.flatMap((run) => run.givenUp);
    const recorded = records.get(key) ?? [];
    for (const each of given) {
      if (recorded.some((record) => isSame(record, each))) continue;
      const sentence = `order ${key} gave up on ${describe(each)} without an exception record`;
      violations.push({ rule: 'exception-recorded', order: key, observer: 'exception records', sentence });
    }
    for (const record of recorded) {
      // What was let go may be gone with its namespace: then the record is all that there is.
      if (record.decision === 'LetGo' && runs.length === 0) continue;
      if (given.some((each) => isSame(record, each))) continue;
      const sentence = `an exception record says that order ${key} gave up on ${describe(record)}, and its run does not`;
      violations.push({ rule: 'exception-founded', order: key, observer: 'exception records', sentence });
    }
  }
  return violations;
}

function isSame(one: GivenUp, other: GivenUp): boolean {
  return one.decision === other.decision && one.kind === other.kind && one.step === other.step;
}

function describe({ decision, kind, step }: GivenUp): string {
  return `the ${kind} of ${step} (${decision})`;
}
