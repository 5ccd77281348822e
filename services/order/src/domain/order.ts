import type { Instant } from '@mercato/kit';
import type { OrderId } from './ids.ts';
import { isOver, next, type OrderState, type OrderTrigger } from './states.ts';
import type { MinorUnits, Terms } from './terms.ts';
import {
  abortedNotice,
  cancelledNotice,
  cancelTooLateNotice,
  failureNotice,
  heldNotice,
  type Notice,
} from './words.ts';

/** When an order came into a state. */
export interface Moment {
  /** The order's version then; names the moment to those who watch. */
  readonly version: number;
  readonly at: Instant;
  readonly state: OrderState;
  readonly notice?: Notice;
}

/** How far an order has come: all of it that changes. */
export interface Progress {
  readonly state: OrderState;
  /** Counts the changes from 1, and numbers the order's events. */
  readonly version: number;
  /** The sequence of the last event of its saga that was taken in; 0 before the first. */
  readonly heard: number;
  readonly updatedAt: Instant;
  /** Present from when a cancel was asked for. */
  readonly cancel?: { readonly at: Instant; readonly reason?: string };
  /** Why it is where it is, where there is something to say. */
  readonly notice?: Notice;
  /** The states that it came through, oldest first: the first, and the latest {@link KEPT}. */
  readonly moments: readonly Moment[];
}

/** An order. The payment token is no part of it: it goes to the saga and nowhere else. */
export interface Order {
  readonly id: OrderId;
  readonly terms: Terms;
  readonly total: MinorUnits;
  readonly placedAt: Instant;
  readonly progress: Progress;
}

/** Moments that an order keeps besides its first. A saga that is held more often than that has other problems. */
export const KEPT = 63;

/** What the saga says of an order's run. */
export interface SagaEvent {
  readonly orderId: OrderId;
  /** Rises with each event of the run, from 1; 0 is said before there is one: `refused`. */
  readonly sequence: number;
  readonly type: 'held' | 'resumed' | 'succeeded' | 'compensated' | 'aborted' | 'refused';
  /** CamelCase, as the saga's participants give it. */
  readonly reason?: string;
  readonly traceparent?: string;
}

/** How an order begins. */
export function placed(at: Instant): Progress {
  return { state: 'Placed', version: 1, heard: 0, updatedAt: at, moments: [{ version: 1, at, state: 'Placed' }] };
}

/** What asking for a cancel comes to. `Asked` is to be written, and the saga told; `Standing` was asked for before; `Over` comes too late. */
export type Cancelled =
  | { readonly type: 'Asked'; readonly progress: Progress }
  | { readonly type: 'Standing' }
  | { readonly type: 'Over' };

/** A customer asks for the cancelling of an order. */
export function askToCancel(progress: Progress, at: Instant, reason?: string): Cancelled {
  const state = next(progress.state, 'cancel');
  if (state === undefined) return progress.state === 'Cancelled' ? { type: 'Standing' } : { type: 'Over' };
  if (progress.cancel !== undefined) return { type: 'Standing' };
  const cancel = { at, ...(reason === undefined ? {} : { reason }) };
  return { type: 'Asked', progress: { ...moved(progress, state, at, progress.notice), cancel } };
}

/**
 * What an event of the saga comes to. `Applied` is to be written; `Duplicate` and `Stale` (older than what was taken in) change nothing, and neither does
 * what the table of transitions refuses.
 */
export type Heard =
  | { readonly type: 'Applied'; readonly progress: Progress }
  | { readonly type: 'Duplicate' }
  | { readonly type: 'Stale' }
  | { readonly type: 'Refused'; readonly why: string };

/**
 * Whether the order failed because no run was begun for it. Nothing was heard of a run then: one that begins after all (somebody moved its letter back, or
 * two intakes did not agree) is heard from its first event on.
 */
export const wasRefused = ({ state, heard }: Progress): boolean => state === 'Failed' && heard === 0;

/** The saga says something of an order. */
export function hear(progress: Progress, event: SagaEvent, at: Instant): Heard {
  if (event.type === 'refused') return hearRefused(progress, event, at);
  const { sequence } = event;
  if (sequence === progress.heard) return { type: 'Duplicate' };
  if (sequence < progress.heard) return { type: 'Stale' };
  return wasRefused(progress) ? hearRun(revived(progress, at), event, at) : hearRun(progress, event, at);
}

/** A run that was heard of outranks a refusal, whichever comes first. */
function hearRefused(progress: Progress, event: SagaEvent, at: Instant): Heard {
  if (progress.heard > 0) return { type: 'Stale' };
  const state = next(progress.state, 'refused');
  if (state === undefined) return { type: 'Duplicate' };
  return { type: 'Applied', progress: moved(progress, state, at, failureNotice(event.reason)) };
}

function revived(progress: Progress, at: Instant): Progress {
  const state = next(progress.state, 'revived');
  return state === undefined ? progress : moved(progress, state, at, undefined);
}

function hearRun(progress: Progress, event: SagaEvent, at: Instant): Heard {
  const trigger = triggerOf(progress, event);
  const state = next(progress.state, trigger);
  if (state === undefined) return { type: 'Refused', why: `an order that is ${progress.state} takes no ${trigger}` };
  return {
    type: 'Applied',
    progress: { ...moved(progress, state, at, noticeOf(progress, state, event)), heard: event.sequence },
  };
}

function triggerOf({ cancel }: Progress, { type, reason }: SagaEvent): OrderTrigger {
  if (type === 'compensated' && reason === 'Cancelled') return 'cancelled';
  if (type === 'resumed' && cancel !== undefined) return 'resumedToCancel';
  return type;
}

function noticeOf({ cancel }: Progress, state: OrderState, { reason }: SagaEvent): Notice | undefined {
  switch (state) {
    case 'Held':
      return heldNotice;
    case 'Failed':
      return failureNotice(reason);
    case 'Cancelled':
      return cancelledNotice;
    case 'Aborted':
      return abortedNotice;
    case 'Completed':
      return cancel === undefined ? undefined : cancelTooLateNotice;
    default:
      return undefined;
  }
}

function moved(progress: Progress, state: OrderState, at: Instant, notice: Notice | undefined): Progress {
  const { notice: _before, ...rest } = progress;
  const version = progress.version + 1;
  const told = notice === undefined ? {} : { notice };
  const moments =
    state === progress.state ? progress.moments : remembered(progress.moments, { version, at, state, ...told });
  return { ...rest, state, version, updatedAt: at, moments, ...told };
}

function remembered(moments: readonly Moment[], moment: Moment): readonly Moment[] {
  return moments.length <= KEPT ? [...moments, moment] : [moments[0]!, ...moments.slice(2), moment];
}

/** Whether nothing more happens to an order. */
export const ended = ({ state }: Progress): boolean => isOver(state);
