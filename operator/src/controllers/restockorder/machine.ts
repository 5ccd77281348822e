import type { RestockOrder, RestockPhase } from '../../api/restockorder.ts';
import type { Delivery, Progress } from '../../suppliers/supplier.ts';
import { phaseOf } from './resource.ts';

/** Where an order can go from each phase. What stands here alone is possible; docs/tasks/stock.md has the same table for people. */
export const transitions: Readonly<Record<RestockPhase, readonly RestockPhase[]>> = {
  Proposed: ['Approved', 'Rejected', 'Cancelled'],
  Approved: ['Ordered', 'Cancelled'],
  Ordered: ['InTransit', 'Cancelled'],
  InTransit: ['Received'],
  Received: [],
  Rejected: [],
  Cancelled: [],
};

/** What is to be done about an order, as far as its object and its warehouse's policy tell. */
export type Intent =
  /** It has no phase yet. */
  | { readonly do: 'propose' }
  | { readonly do: 'approve'; readonly by: string }
  | { readonly do: 'reject'; readonly by: string }
  | { readonly do: 'cancel' }
  /** Somebody has to decide. */
  | { readonly do: 'wait' }
  /** The supplier is to be asked for the goods. */
  | { readonly do: 'place' }
  /** The supplier is to be asked whether it can still be cancelled, and if not, how far it is. */
  | { readonly do: 'cancelPlaced' }
  /** The supplier is to be asked how far it is. */
  | { readonly do: 'follow' }
  /** It is over. */
  | { readonly do: 'nothing' };

/**
 * What to do about an order. A wish to cancel goes before everything, for as long as there is nothing on its way; the goods of an order in
 * transit are received, since they come whatever anybody wishes.
 *
 * @param autoApproveUpTo units that the warehouse's policy approves by itself; 0 for none, also where there is no warehouse
 */
export function intentOf(order: RestockOrder, autoApproveUpTo: number): Intent {
  const { spec, status, metadata } = order;
  if (status?.phase === undefined) return { do: 'propose' };
  const phase = phaseOf(order);
  switch (phase) {
    case 'Proposed':
      if (spec.cancel !== undefined) return { do: 'cancel' };
      if (spec.approval?.decision === 'Reject') return { do: 'reject', by: spec.approval.by };
      if (spec.approval?.decision === 'Approve') return { do: 'approve', by: spec.approval.by };
      // What is being deleted is not approved by a machine.
      if (metadata.deletionTimestamp === undefined && unitsOf(order) <= autoApproveUpTo) {
        return { do: 'approve', by: `policy:${spec.warehouse}` };
      }
      return { do: 'wait' };
    case 'Approved':
      return { do: spec.cancel === undefined ? 'place' : 'cancel' };
    case 'Ordered':
      return { do: spec.cancel === undefined ? 'follow' : 'cancelPlaced' };
    case 'InTransit':
      return { do: 'follow' };
    case 'Received':
    case 'Rejected':
    case 'Cancelled':
      return { do: 'nothing' };
  }
}

/** What a supplier's progress asks for. */
export type Step =
  | { readonly do: 'ship' }
  /** A delivery is to be booked with inventory. */
  | { readonly do: 'book'; readonly delivery: Delivery }
  /** All that comes has come and is booked. */
  | { readonly do: 'close' }
  /** Until then (wall clock), or until the supplier is asked again. */
  | { readonly do: 'wait'; readonly until: number | undefined };

/** The next step of an order that the supplier has: one at a time, each of them written down before the next. */
export function stepOf(order: RestockOrder, { shipped, deliveries, complete, nextAt }: Progress): Step {
  if (phaseOf(order) === 'Ordered') {
    return shipped || deliveries.length > 0 || complete ? { do: 'ship' } : { do: 'wait', until: nextAt };
  }
  const booked = order.status?.receiptCount ?? 0;
  const delivery = deliveries.find(({ number }) => number === booked + 1);
  if (delivery !== undefined) return { do: 'book', delivery };
  return complete ? { do: 'close' } : { do: 'wait', until: nextAt };
}

/** Units that an order asks for. */
export function unitsOf({ spec }: RestockOrder): number {
  return spec.lines.reduce((sum, { quantity }) => sum + quantity, 0);
}
