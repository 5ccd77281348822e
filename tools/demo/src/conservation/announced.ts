import type { Announcement, Observations, OrderKey, ToldOrder, Violation } from './observations.ts';

/** What has a reason, always. */
const REASONED: readonly Announcement['type'][] = ['held', 'failed', 'cancelled'];

/**
 * Whoever listens for customers hears of each order that was placed what became of it, with the reason, and of no other. What is delivered again is the same
 * again: events are told apart by order and sequence.
 */
export function checkAnnounced({ announced, told = [] }: Observations): Violation[] {
  if (announced === undefined) return [];
  const heard = Map.groupBy(announced, ({ key }) => key);
  const placed = new Map(told.map((order) => [order.key, order]));
  const wrong = new Map<OrderKey, readonly string[]>();
  for (const [key, events] of heard)
    if (!placed.has(key)) wrong.set(key, [`nobody placed it, and its customer heard ${inWords(events)}`]);
  for (const [key, order] of placed) wrong.set(key, wrongOf(order, heard.get(key) ?? []));
  return [...wrong].flatMap(([key, sentences]) =>
    sentences.map((sentence) => ({
      rule: 'announced-as-it-is' as const,
      order: key,
      observer: 'subscriber' as const,
      sentence: `order ${key}: ${sentence}`,
    })),
  );
}

function wrongOf(order: ToldOrder, events: readonly Announcement[]): string[] {
  const wrong: string[] = [];
  const bySequence = new Map<number, Announcement>();
  for (const event of events) {
    const before = bySequence.get(event.sequence);
    if (before === undefined) bySequence.set(event.sequence, event);
    else if (!isSame(before, event))
      wrong.push(`its event ${event.sequence} came again as another: ${inWords([before, event])}`);
  }
  const inOrder = [...bySequence.values()].sort((a, b) => a.sequence - b.sequence);
  const types = inOrder.map(({ type }) => type);
  if (!expected(order, types))
    wrong.push(`it is ${order.phase} (${order.reason ?? 'no reason'}), and its customer heard ${inWords(inOrder)}`);
  for (const { type, reason, customer } of inOrder) {
    if (REASONED.includes(type) && !reason) wrong.push(`${type} was announced without a reason`);
    if (type === 'completed' && reason !== undefined && order.cancelAsked !== true)
      wrong.push(`completed was announced with the reason ${reason}`);
    if (order.customer !== undefined && customer !== order.customer)
      wrong.push(`${type} was announced to ${customer}, whose order it is not`);
  }
  const last = inOrder.at(-1);
  if (last !== undefined && isLasting(order) && last.reason !== order.reason)
    wrong.push(`${last.type} was announced with the reason ${last.reason}, and the order service says ${order.reason}`);
  return wrong;
}

const isLasting = ({ phase }: ToldOrder): boolean =>
  phase === 'Held' || phase === 'Succeeded' || phase === 'Compensated' || phase === 'Aborted';

/** Holds, if anybody saw one, and then the end; of what is under way only holds. */
function expected(order: ToldOrder, types: readonly Announcement['type'][]): boolean {
  const end = endOf(order);
  const holds = end === undefined ? types : types.slice(0, -1);
  if (end !== undefined && types.at(-1) !== end) return false;
  if (holds.some((type) => type !== 'held')) return false;
  const wasHeld = order.wasHeld ?? order.phase === 'Held';
  return wasHeld === holds.length > 0;
}

/** As what its end is announced. An order that our staff ended has failed, to its customer. */
function endOf({ phase, reason, cancelAsked }: ToldOrder): Announcement['type'] | undefined {
  if (phase === 'Succeeded') return 'completed';
  if (phase === 'Aborted') return 'failed';
  if (phase === 'Compensated') return cancelAsked === true && reason === 'Cancelled' ? 'cancelled' : 'failed';
  return undefined;
}

function isSame(one: Announcement, other: Announcement): boolean {
  return one.type === other.type && one.customer === other.customer && one.reason === other.reason;
}

function inWords(events: readonly Announcement[]): string {
  return (
    events.map(({ type, reason }) => (reason === undefined ? type : `${type} (${reason})`)).join(', ') || 'nothing'
  );
}
