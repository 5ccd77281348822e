import type { Clock, Store } from '@mercato/kit';
import { approvedRow, declinedRow } from './commands/authorise.ts';
import { emit, found, type Means, OutcomeUnknown, orderKeyOf } from './commands/outcome.ts';
import { afterRelease, release } from './commands/void.ts';
import { expired, isCapturing, isOpen, voided } from './domain/payment.ts';
import { type PaymentRow, paymentByReference, paymentsToCheck, savePayment } from './store.ts';

/** When the reconciler looks and when it stops. */
export interface ReconcileOptions {
  /** Longest pause between two looks at one payment, in milliseconds. @default 3600000 */
  readonly maxPauseMs?: number;
  /**
   * How long an authorisation that was voided before it arrived is looked for, in milliseconds: longer than a processor can sit
   * on a request, and longer than its search can lag. @default 172800000 (2 days)
   */
  readonly watchMs?: number;
  /** Payments in one pass at most. @default 100 */
  readonly batch?: number;
}

/** What one pass did. */
export interface ReconcileReport {
  readonly looked: number;
  /** Authorisations that turned up after their void, and were voided now. */
  readonly voided: number;
  readonly expired: number;
  /** Authorisations of unknown outcome that nobody asked about any more, and that the processor has told of now. */
  readonly settled: number;
  /** Money was captured although a void was asked for. Never happens unless somebody else uses the processor's account. */
  readonly captured: readonly PaymentRow[];
}

const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 3_600_000;
const WATCH_MS = 2 * 86_400_000;

/**
 * One pass over the payments that are due for a look. A fenced one that the processor did not know is looked for again, and voided
 * if it has turned up. One of unknown outcome whose run went silent is asked about, so that our books are right. A hold whose time
 * is over is noted as expired. Looks get rarer while nothing changes. A processor that does not answer only postpones.
 */
export async function reconcile(
  store: Store,
  means: Means,
  clock: Clock,
  options: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const pass: Pass = { store, means, clock, options };
  const due = await store.read((reader) => paymentsToCheck(reader, clock.now(), options.batch ?? 100));
  const ends = await Promise.all(due.map((row) => look(pass, row)));
  const count = (end: End) => ends.filter((each) => each === end).length;
  return {
    looked: due.length,
    voided: count('voided'),
    expired: count('expired'),
    settled: count('settled'),
    captured: due.filter((_, i) => ends[i] === 'captured'),
  };
}

interface Pass {
  readonly store: Store;
  readonly means: Means;
  readonly clock: Clock;
  readonly options: ReconcileOptions;
}

type End = 'voided' | 'expired' | 'captured' | 'settled' | 'unchanged';

/** A row after a look, and the event that tells of it. */
interface Changed {
  readonly row: PaymentRow;
  readonly event?: string;
}

async function look(pass: Pass, row: PaymentRow): Promise<End> {
  try {
    if (!isOpen(row.payment)) return await change(pass, row, 'unchanged', (now) => ({ row: unwatched(now) }));
    if (row.payment.fenced) return await releaseLate(pass, row);
    return row.payment.state === 'requested' ? await settleSilent(pass, row) : await noteExpiry(pass, row);
  } catch (error) {
    if (!(error instanceof OutcomeUnknown)) throw error;
    return change(pass, row, 'unchanged', (now) => ({ row: later(pass, now) }));
  }
}

async function releaseLate(pass: Pass, row: PaymentRow): Promise<End> {
  const outcome = await release(pass.means.processor, row.reference, orderKeyOf(row.order));
  const isWorthTelling = outcome.outcome === 'voided' || outcome.outcome === 'captured';
  return change(pass, row, isWorthTelling ? outcome.outcome : 'unchanged', (now) => {
    if (outcome.outcome !== 'absent') return afterRelease(now, outcome, pass.clock.now());
    // Nothing came in all that time, so nothing will: the request never reached the processor.
    return { row: isOver(pass, now) ? unwatched({ ...now, payment: voided(now.payment) }) : later(pass, now) };
  });
}

/** What does not exist stays requested: its run may be held, and go on under the same key. */
async function settleSilent(pass: Pass, row: PaymentRow): Promise<End> {
  const seen = found(await pass.means.processor.lookup({ reference: row.reference, operation: 'authorise' }));
  if (seen === undefined) {
    return change(pass, row, 'unchanged', (now) => ({ row: isOver(pass, now) ? unwatched(now) : later(pass, now) }));
  }
  return change(pass, row, 'settled', (now) => {
    if (now.payment.state !== 'requested') return { row: now };
    if (seen.outcome === 'declined') return { row: declinedRow(now, seen.reason), event: 'declined' };
    // A hold that does not say when it ends is looked at again and again, until it is gone.
    const expiresAt = seen.expiresAt ?? new Date(pass.clock.now()).toISOString();
    return { row: approvedRow(now, { id: seen.id, expiresAt }, pass.clock.now()), event: 'authorised' };
  });
}

async function noteExpiry(pass: Pass, row: PaymentRow): Promise<End> {
  const seen = found(await pass.means.processor.lookup({ reference: row.reference, operation: 'authorise' }));
  const isGone = seen === undefined || seen.outcome === 'declined' || seen.open === false;
  return change(pass, row, isGone ? 'expired' : 'unchanged', (now) => {
    if (!isGone || isCapturing(now.payment)) return { row: later(pass, now) };
    const payment = expired(now.payment);
    const next = unwatched({ ...now, payment });
    return payment === now.payment ? { row: next } : { row: next, event: 'expired' };
  });
}

/** Changes the row as it is now, which may not be as it was when the processor was asked. */
async function change(pass: Pass, row: PaymentRow, end: End, next: (now: PaymentRow) => Changed): Promise<End> {
  await pass.store.transact((tx) => {
    const now = paymentByReference(tx, row.reference);
    if (now === undefined) return;
    const changed = next(now);
    savePayment(tx, changed.row);
    if (changed.event !== undefined) {
      emit(pass.means.outbox, tx, changed.event, changed.row, { time: pass.clock.now() });
    }
  });
  return end;
}

function isOver({ clock, options }: Pass, row: PaymentRow): boolean {
  return clock.now() >= row.createdAt + (options.watchMs ?? WATCH_MS);
}

function later({ clock, options }: Pass, row: PaymentRow): PaymentRow {
  const pause = Math.min(options.maxPauseMs ?? MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(row.checks, 30));
  return { ...row, checks: row.checks + 1, checkAt: clock.now() + pause };
}

function unwatched(row: PaymentRow): PaymentRow {
  const { checkAt: _none, ...rest } = row;
  return rest;
}
