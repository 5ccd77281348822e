import type { Clock, OrderEvent, Store } from '@mercato/kit';
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
  /** Money was captured although a void was asked for. Never happens unless somebody else uses the processor's account. */
  readonly captured: readonly PaymentRow[];
}

const FIRST_PAUSE_MS = 1_000;

/**
 * One pass over the payments that are due for a look: a fenced one that the processor did not know is looked for again, and
 * voided if it has turned up; a hold whose time is over is asked about, and noted as expired. Looks get rarer while nothing
 * changes. A processor that does not answer only postpones.
 */
export async function reconcile(
  store: Store,
  means: Means,
  clock: Clock,
  options: ReconcileOptions = {},
): Promise<ReconcileReport> {
  const due = await store.read((reader) => paymentsToCheck(reader, clock.now(), options.batch ?? 100));
  const ends = await Promise.all(due.map((row) => look(store, means, clock, options, row)));
  return {
    looked: due.length,
    voided: ends.filter((end) => end === 'voided').length,
    expired: ends.filter((end) => end === 'expired').length,
    captured: due.filter((_, i) => ends[i] === 'captured'),
  };
}

type End = 'voided' | 'expired' | 'captured' | 'unchanged';

async function look(
  store: Store,
  means: Means,
  clock: Clock,
  options: ReconcileOptions,
  row: PaymentRow,
): Promise<End> {
  try {
    return row.payment.fenced
      ? await releaseLate(store, means, clock, options, row)
      : await noteExpiry(store, means, clock, options, row);
  } catch (error) {
    if (!(error instanceof OutcomeUnknown)) throw error;
    await change(store, row, (now) => ({ row: later(now, clock.now(), options) }));
    return 'unchanged';
  }
}

async function releaseLate(
  store: Store,
  means: Means,
  clock: Clock,
  options: ReconcileOptions,
  row: PaymentRow,
): Promise<End> {
  const outcome = await release(means.processor, row.reference, orderKeyOf(row.order));
  await change(
    store,
    row,
    (now) => {
      if (outcome.outcome !== 'absent') return afterRelease(now, outcome, clock.now());
      const isOver = clock.now() >= now.createdAt + (options.watchMs ?? 2 * 86_400_000);
      // Nothing came in all that time, so nothing will: the request never reached the processor.
      return isOver ? { row: unwatched(now, voided(now.payment)) } : { row: later(now, clock.now(), options) };
    },
    means,
    clock,
  );
  if (outcome.outcome === 'voided' || outcome.outcome === 'captured') return outcome.outcome;
  return 'unchanged';
}

async function noteExpiry(
  store: Store,
  means: Means,
  clock: Clock,
  options: ReconcileOptions,
  row: PaymentRow,
): Promise<End> {
  if (!isOpen(row.payment)) {
    await change(store, row, (now) => ({ row: unwatched(now, now.payment) }));
    return 'unchanged';
  }
  const seen = found(await means.processor.lookup({ reference: row.reference, operation: 'authorise' }));
  const isGone = seen === undefined || seen.outcome === 'declined' || seen.open === false;
  await change(
    store,
    row,
    (now) => {
      if (!isGone || isCapturing(now.payment)) return { row: later(now, clock.now(), options) };
      const payment = expired(now.payment);
      return payment === now.payment
        ? { row: unwatched(now, payment) }
        : { row: unwatched(now, payment), event: 'expired' };
    },
    means,
    clock,
  );
  return isGone ? 'expired' : 'unchanged';
}

/** Changes the row as it is now, which may not be as it was when the processor was asked. */
function change(
  store: Store,
  row: PaymentRow,
  next: (now: PaymentRow) => { row: PaymentRow; event?: string },
  means?: Means,
  clock?: Clock,
): Promise<void> {
  return store.transact((tx) => {
    const now = paymentByReference(tx, row.reference);
    if (now === undefined) return;
    const changed = next(now);
    savePayment(tx, changed.row);
    if (changed.event === undefined || means === undefined || clock === undefined) return;
    const time: OrderEvent['time'] = clock.now();
    emit(means.outbox, tx, changed.event, changed.row, { time });
  });
}

function later(row: PaymentRow, nowMs: number, options: ReconcileOptions): PaymentRow {
  const pause = Math.min(options.maxPauseMs ?? 3_600_000, FIRST_PAUSE_MS * 2 ** Math.min(row.checks, 30));
  return { ...row, checks: row.checks + 1, checkAt: nowMs + pause };
}

function unwatched(row: PaymentRow, payment: PaymentRow['payment']): PaymentRow {
  const { checkAt: _none, ...rest } = row;
  return { ...rest, payment };
}
