import { clip } from '../../api/clip.ts';
import { type Condition, type Observation, setCondition } from '../../api/conditions.ts';
import type { RestockOrder, RestockOrderStatus, RestockPhase, RestockReceipt } from '../../api/restockorder.ts';
import type { Goods } from '../../inventory/port.ts';
import { unitsOf } from './machine.ts';

/** How many deliveries a status names. */
const MAX_RECEIPTS = 10;

/** Why an order does not go on, although its turn has come. */
export interface Block {
  /** In CamelCase, for machines. */
  readonly reason: string;
  readonly message: string;
}

/** What a status is made of besides what it said before: all fields that a step sets. */
export type Change = Omit<Partial<RestockOrderStatus>, 'conditions' | 'nextAction' | 'observedGeneration'>;

/** What came with a delivery, added to what came before. */
export function withReceipt({ spec, status }: RestockOrder, receipt: RestockReceipt): Change {
  const before = new Map(status?.received?.map(({ sku, quantity }) => [sku, quantity]));
  const now = new Map(receipt.lines.map(({ sku, quantity }) => [sku, quantity]));
  return {
    received: spec.lines.map(({ sku }) => ({ sku, quantity: (before.get(sku) ?? 0) + (now.get(sku) ?? 0) })),
    receivedUnits: (status?.receivedUnits ?? 0) + units(receipt.lines),
    receipts: [...(status?.receipts ?? []), receipt].slice(-MAX_RECEIPTS),
    receiptCount: (status?.receiptCount ?? 0) + 1,
  };
}

/** The order's status after a change, with the conditions and the words that follow from it. `wall` is the wall clock in milliseconds. */
export function statusOf(
  order: RestockOrder,
  change: Change,
  block: Block | undefined,
  wall: number,
): RestockOrderStatus {
  const { generation = 0 } = order.metadata;
  const status: RestockOrderStatus = {
    ...order.status,
    totalUnits: unitsOf(order),
    receivedUnits: order.status?.receivedUnits ?? 0,
    ...change,
    observedGeneration: generation,
  };
  const observations = [
    approved(order, status),
    received(status),
    blocked(block),
    ...overdue(status, wall),
    ...cancelled(order, status),
  ];
  const now = new Date(wall).toISOString();
  const conditions = observations.reduce<readonly Condition[]>(
    (list, observation) => setCondition(list, { ...observation, observedGeneration: generation }, now),
    order.status?.conditions ?? [],
  );
  return { ...status, conditions: [...conditions], nextAction: clip(narrate(order, status, block), 256) };
}

type Saying = Omit<Observation, 'observedGeneration'>;

function say(type: string, status: Observation['status'], reason: string, message: string): Saying {
  return { type, status, reason, message };
}

function approved({ spec }: RestockOrder, { phase, approvedBy }: RestockOrderStatus): Saying {
  if (approvedBy !== undefined) {
    const policy = approvedBy.startsWith('policy:');
    return say('Approved', 'True', policy ? 'ApprovedByPolicy' : 'ApprovedByPerson', `approved by ${approvedBy}`);
  }
  if (phase === 'Rejected') {
    return say('Approved', 'False', 'Rejected', `rejected by ${spec.approval?.by}: ${spec.approval?.reason ?? ''}`);
  }
  if (phase === 'Cancelled') return say('Approved', 'False', 'Cancelled', 'cancelled before anybody approved it');
  return say('Approved', 'Unknown', 'WaitsForApproval', 'set spec.approval to approve or reject it');
}

function received({ phase, receivedUnits = 0, totalUnits = 0 }: RestockOrderStatus): Saying {
  const came = `${receivedUnits} of ${totalUnits} units came`;
  switch (phase) {
    case 'Received':
      if (receivedUnits < totalUnits) return say('Received', 'True', 'ShortDelivery', `${came}, and no more will come`);
      if (receivedUnits > totalUnits) return say('Received', 'True', 'OverDelivery', `${came}; all are booked`);
      return say('Received', 'True', 'Complete', `${came}`);
    case 'Rejected':
    case 'Cancelled':
      return say('Received', 'False', phase, 'no goods will come');
    default:
      return say('Received', 'False', receivedUnits > 0 ? 'PartlyReceived' : 'NotReceived', came);
  }
}

function blocked(block: Block | undefined): Saying {
  if (block === undefined) return say('Blocked', 'False', 'NothingBlocks', 'it goes on as its phase says');
  return say('Blocked', 'True', block.reason, block.message);
}

/** Said once there is a date. */
function overdue({ phase, expectedAt }: RestockOrderStatus, wall: number): Saying[] {
  if (expectedAt === undefined) return [];
  const late = (phase === 'Ordered' || phase === 'InTransit') && Date.parse(expectedAt) < wall;
  return [
    late
      ? say('Overdue', 'True', 'NotThereInTime', `all was expected at ${expectedAt}: ask the supplier`)
      : say('Overdue', 'False', 'InTime', `expected at ${expectedAt}`),
  ];
}

/** Said once somebody wishes it. */
function cancelled({ spec }: RestockOrder, { phase }: RestockOrderStatus): Saying[] {
  if (spec.cancel === undefined) return [];
  switch (phase) {
    case 'Cancelled':
      return [say('Cancelled', 'True', 'Cancelled', spec.cancel.reason)];
    case 'InTransit':
    case 'Received':
      return [
        say(
          'Cancelled',
          'False',
          'AlreadyInTransit',
          'the goods had left the supplier: they are received; send them back, and book that with a StockAdjustment of type Lost',
        ),
      ];
    case 'Rejected':
      return [say('Cancelled', 'False', 'Rejected', 'it was rejected before')];
    default:
      return [say('Cancelled', 'Unknown', 'Asked', 'the supplier has not said yet whether it takes the order back')];
  }
}

function narrate({ metadata, spec }: RestockOrder, status: RestockOrderStatus, block: Block | undefined): string {
  if (block !== undefined) return `waits: ${block.message}`;
  const { phase, expectedAt = 'a time that nobody knows', receivedUnits = 0, totalUnits = 0 } = status;
  switch (phase) {
    case 'Approved':
      return spec.cancel === undefined ? `is ordered from ${spec.supplier} now` : 'is cancelled now';
    case 'Ordered':
      return `waits for ${spec.supplier} to send the goods; expected at ${expectedAt}`;
    case 'InTransit':
      return `waits for ${Math.max(0, totalUnits - receivedUnits)} units on their way; expected at ${expectedAt}`;
    case 'Received':
    case 'Rejected':
    case 'Cancelled':
      return 'nothing: it is over, and may be deleted';
    default:
      return `waits for approval: kubectl patch rso ${metadata.name} --type merge -p '{"spec":{"approval":{"decision":"Approve","by":"<you>"}}}'`;
  }
}

function units(lines: readonly Goods[]): number {
  return lines.reduce((sum, { quantity }) => sum + quantity, 0);
}

/** The phases in which goods were asked for from a supplier, or are about to be. */
export function isBound(phase: RestockPhase): boolean {
  return phase === 'Approved' || phase === 'Ordered' || phase === 'InTransit';
}
