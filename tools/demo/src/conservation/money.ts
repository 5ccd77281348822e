import { type Joined, verdictOf } from './joined.ts';
import type { AcquirerNote, Observations, Rule, Violation } from './observations.ts';

/** Holds each order against the acquirer's log: what was captured, returned, and is still held on cards. */
export function checkMoney(seen: Observations, orders: Iterable<Joined>): Violation[] {
  const notes = Map.groupBy(seen.acquirer, (note) => note.orderKey);
  return [...orders].flatMap((joined) => {
    const approved = (notes.get(joined.key) ?? []).filter((note) => note.outcome === 'approved');
    return [...checkOnce(joined, approved), ...checkOutcome(joined, approved, seen.at)];
  });
}

/** At most one effect per operation: references are unique, and an order is authorised once and captured once. */
function checkOnce({ key }: Joined, approved: readonly AcquirerNote[]): Violation[] {
  const violations: Violation[] = [];
  const byReference = Map.groupBy(approved, (note) => `${note.operation} ${note.reference}`);
  for (const [operation, notes] of byReference) {
    if (notes.length > 1)
      violations.push(violation(key, 'one-effect-per-operation', `moved money ${notes.length} times for ${operation}`));
  }
  for (const operation of ['authorise', 'capture'] as const) {
    const references = new Set(approved.filter((note) => note.operation === operation).map((note) => note.reference));
    if (references.size > 1)
      violations.push(
        violation(
          key,
          'one-effect-per-operation',
          `approved ${operation} ${references.size} times, under as many references`,
        ),
      );
  }
  return violations;
}

function checkOutcome(joined: Joined, approved: readonly AcquirerNote[], at: number): Violation[] {
  const { key, order } = joined;
  const captures = approved.filter((note) => note.operation === 'capture');
  const net = sum(captures) - sum(approved.filter((note) => note.operation === 'refund'));
  const open = openAuthorisations(approved, at);
  const verdict = verdictOf(joined, 'acquirer');
  const violations: Violation[] = [];
  const add = (rule: Rule, what: string) => violations.push(violation(key, rule, what));
  if (order === undefined && approved.length > 0)
    add('effect-of-an-order', 'moved money for it, and the client never ordered it');
  if (verdict === 'completed' && order !== undefined) {
    const expected = `${order.total} ${order.currency}`;
    const got = captures.map((note) => `${note.amount} ${note.currency}`);
    if (got.length !== 1 || got[0] !== expected || net !== order.total)
      add(
        'captured-exactly',
        `captured [${got.join(', ')}] and kept ${net} in net; the run is Succeeded, so it is to be ${expected} once`,
      );
  }
  if ((verdict === 'undone' || verdict === 'no-run') && net !== 0)
    add('nothing-in-net', `kept ${net} in net; ${why(verdict)}, so it is to be nothing`);
  if (verdict === 'undone' || verdict === 'no-run' || verdict === 'completed') {
    for (const note of open)
      add('no-open-authorisation', `still holds ${note.amount} ${note.currency} (${note.id}); ${why(verdict)}`);
  }
  return violations;
}

/** Approved, and neither captured, voided nor expired. */
function openAuthorisations(approved: readonly AcquirerNote[], at: number): AcquirerNote[] {
  const closed = new Set(
    approved.filter((note) => note.operation === 'capture' || note.operation === 'void').map((note) => note.target),
  );
  return approved.filter(
    (note) =>
      note.operation === 'authorise' &&
      !closed.has(note.id) &&
      (note.expiresAt === undefined || Date.parse(note.expiresAt) > at),
  );
}

function why(verdict: 'undone' | 'no-run' | 'completed'): string {
  if (verdict === 'no-run') return 'there is no run of it';
  return verdict === 'undone' ? 'the run is Compensated' : 'the run is Succeeded';
}

function sum(notes: readonly AcquirerNote[]): number {
  return notes.reduce((total, note) => total + note.amount, 0);
}

function violation(key: string, rule: Rule, what: string): Violation {
  return { rule, order: key, observer: 'acquirer', sentence: `order ${key}: the acquirer ${what}` };
}
