import type { Clock, Store } from '@mercato/kit';
import { settled } from './commands/book.ts';
import { afterCallOff, type CalledOff, callOff } from './commands/cancel.ts';
import { emit, known, type Means, OutcomeUnknown, orderKeyOf } from './commands/means.ts';
import { heard, isUnwanted } from './domain/booking.ts';
import type { Carrier, CarrierState } from './ports/carrier.ts';
import { type BookingRow, bookingByReference, bookingsToCheck, saveBooking } from './store.ts';

/** When the tracker looks and when it stops. */
export interface TrackOptions {
  /** Longest pause between two looks at one booking, in milliseconds. @default 3600000 */
  readonly maxPauseMs?: number;
  /** How long a booking that was cancelled before it arrived is looked for, in milliseconds. @default 172800000 (2 days) */
  readonly watchMs?: number;
  /** Bookings in one pass at most. @default 100 */
  readonly batch?: number;
}

/** What one pass did. */
export interface TrackReport {
  readonly looked: number;
  /** Bookings that turned up after their cancellation, and were called off now. */
  readonly cancelled: number;
  /** Bookings of which there was news: picked up, delivered, or booked although its run never heard of it. */
  readonly moved: number;
  /** Picked up although a cancellation had been answered: goods on their way that nobody wants. */
  readonly escaped: readonly BookingRow[];
}

const FIRST_PAUSE_MS = 1_000;
const WATCH_MS = 2 * 86_400_000;

/**
 * One pass over the bookings that are due for a look. A fenced one that the carrier did not know is looked for again, and called
 * off if it has turned up; others are tracked to their delivery. Looks get rarer while nothing changes. A carrier that does not
 * answer only postpones.
 */
export async function track(
  store: Store,
  means: Means,
  clock: Clock,
  options: TrackOptions = {},
): Promise<TrackReport> {
  const due = await store.read((reader) => bookingsToCheck(reader, clock.now(), options.batch ?? 100));
  const ends = await Promise.all(due.map((row) => look(store, means, clock, options, row)));
  return {
    looked: due.length,
    cancelled: ends.filter((end) => end === 'cancelled').length,
    moved: ends.filter((end) => end === 'moved').length,
    escaped: due.filter((_, i) => ends[i] === 'escaped'),
  };
}

type End = 'cancelled' | 'moved' | 'escaped' | 'unchanged';

async function look(store: Store, means: Means, clock: Clock, options: TrackOptions, row: BookingRow): Promise<End> {
  const change = (next: (now: BookingRow) => BookingRow) =>
    store.transact((tx) => {
      const now = bookingByReference(tx, row.reference);
      if (now === undefined) return;
      const changed = next(now);
      saveBooking(tx, changed);
      if (changed.booking.state !== now.booking.state) emit(means.outbox, tx, changed, { time: clock.now() });
    });
  try {
    if (isUnwanted(row.booking)) {
      const outcome = await callOff(means.carrier, row.reference, orderKeyOf(row.order));
      await change((now) => afterLook(now, outcome, clock.now(), options));
      return outcome.outcome === 'cancelled' ? 'cancelled' : outcome.outcome === 'picked-up' ? 'escaped' : 'unchanged';
    }
    if (row.booking.state === 'requested') {
      const found = known(await means.carrier.lookup(row.reference));
      await change((now) => afterSilence(now, found, clock.now(), options));
      return found.outcome === 'booked' ? 'moved' : 'unchanged';
    }
    if (row.carrierId === undefined) {
      await change(unwatched);
      return 'unchanged';
    }
    const { state } = known(await means.carrier.track(row.carrierId));
    await change((now) => afterTrack(now, state, clock.now(), options));
    return state === row.booking.state ? 'unchanged' : 'moved';
  } catch (error) {
    if (!(error instanceof OutcomeUnknown)) throw error;
    await change((now) => later(now, clock.now(), options));
    return 'unchanged';
  }
}

/** The row after a look for a booking that nobody wants. */
function afterLook(row: BookingRow, outcome: CalledOff, nowMs: number, options: TrackOptions): BookingRow {
  if (outcome.outcome !== 'absent') return afterCallOff(row, outcome, nowMs);
  const isOver = nowMs >= row.createdAt + (options.watchMs ?? WATCH_MS);
  // Nothing came in all that time, so nothing will: the request never reached the carrier.
  return isOver ? unwatched({ ...row, booking: heard(row.booking, 'cancelled') }) : later(row, nowMs, options);
}

/**
 * The row after a look for a booking whose run went silent. What does not exist stays requested: its run may be held, and go on
 * under the same key.
 */
function afterSilence(row: BookingRow, found: Found, nowMs: number, options: TrackOptions): BookingRow {
  if (row.booking.state !== 'requested') return row;
  if (found.outcome === 'booked' || found.outcome === 'refused') return settled(row, found, nowMs);
  const isOver = found.outcome === 'absent' && nowMs >= row.createdAt + (options.watchMs ?? WATCH_MS);
  return isOver ? unwatched(row) : later(row, nowMs, options);
}

type Found = Exclude<Awaited<ReturnType<Carrier['lookup']>>, { outcome: 'unknown' }>;

/** The row after the carrier said where the booking is. */
function afterTrack(row: BookingRow, state: CarrierState, nowMs: number, options: TrackOptions): BookingRow {
  const booking = heard(row.booking, state);
  const next =
    booking === row.booking ? later(row, nowMs, options) : later({ ...row, booking, checks: 0 }, nowMs, options);
  return booking.state === 'delivered' || booking.state === 'cancelled' ? unwatched(next) : next;
}

function later(row: BookingRow, nowMs: number, options: TrackOptions): BookingRow {
  const pause = Math.min(options.maxPauseMs ?? 3_600_000, FIRST_PAUSE_MS * 2 ** Math.min(row.checks, 30));
  return { ...row, checks: row.checks + 1, checkAt: nowMs + pause };
}

function unwatched(row: BookingRow): BookingRow {
  const { checkAt: _none, ...rest } = row;
  return rest;
}
