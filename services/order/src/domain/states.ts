/**
 * Where an order stands.
 * - `Placed`: accepted; its saga runs, or will.
 * - `Cancelling`: its customer wants it cancelled; whether that comes in time is not known yet.
 * - `Held`: its saga waits for a decision of our staff.
 * - `Completed`, `Failed` (nothing is in place, nothing was charged), `Cancelled` (likewise), `Aborted` (ended by our staff where it was): over.
 */
export const orderStates = ['Placed', 'Cancelling', 'Held', 'Completed', 'Failed', 'Cancelled', 'Aborted'] as const;
export type OrderState = (typeof orderStates)[number];

/**
 * What can happen to an order.
 * - `cancel`: its customer asks for the cancelling.
 * - `held`, `aborted`, `succeeded`: as its saga says.
 * - `resumed`, `resumedToCancel`: its saga goes on after a hold; the second where a cancel was asked for.
 * - `compensated`, `cancelled`: its saga was undone; the second because of a cancel.
 * - `refused`: no saga will be begun for it.
 * - `revived`: a saga was begun all the same, after it was refused.
 */
export const orderTriggers = [
  'cancel',
  'held',
  'resumed',
  'resumedToCancel',
  'succeeded',
  'compensated',
  'cancelled',
  'aborted',
  'refused',
  'revived',
] as const;
export type OrderTrigger = (typeof orderTriggers)[number];

const ends = { succeeded: 'Completed', compensated: 'Failed', cancelled: 'Cancelled', aborted: 'Aborted' } as const;

/**
 * The allowed transitions; what is not here is refused. docs/reference/order.md shows this table, and a test holds it to that.
 * A trigger that leads to the state in which the order is already changes nothing that a customer sees.
 */
export const transitions: Readonly<Record<OrderState, Readonly<Partial<Record<OrderTrigger, OrderState>>>>> = {
  // `resumed` without a hold: the event of the hold came late, and was dropped.
  Placed: { cancel: 'Cancelling', held: 'Held', resumed: 'Placed', ...ends, refused: 'Failed' },
  Cancelling: { cancel: 'Cancelling', held: 'Held', resumedToCancel: 'Cancelling', ...ends, refused: 'Failed' },
  // A cancel that is asked for meanwhile is passed on; the hold goes on until somebody decides.
  Held: { cancel: 'Held', held: 'Held', resumed: 'Placed', resumedToCancel: 'Cancelling', ...ends },
  Completed: {},
  // What happens to goods and money is the saga's to say, whatever was said before it began.
  Failed: { revived: 'Placed' },
  Cancelled: {},
  Aborted: {},
};

/** States of orders that are not over. */
export const openStates = ['Placed', 'Cancelling', 'Held'] as const satisfies readonly OrderState[];
export type OpenState = (typeof openStates)[number];

/** Whether nothing more happens to an order, unless it was refused and is revived. */
export const isOver = (state: OrderState): boolean => !(openStates as readonly OrderState[]).includes(state);

/** Where a trigger leads; undefined when it is refused. */
export const next = (state: OrderState, trigger: OrderTrigger): OrderState | undefined => transitions[state][trigger];
