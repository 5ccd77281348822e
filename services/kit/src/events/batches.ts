import type { Clock } from '../clock.ts';
import { milliseconds } from '../units.ts';

/** What one call takes. */
export interface CallLimits {
  readonly entries: number;
  /** All entries together. */
  readonly bytes: number;
}

/** What EventBridge's PutEvents and SNS's PublishBatch take: what every region and emulator does. */
export const callLimits: CallLimits = { entries: 10, bytes: 262_144 };

/** Cuts items into calls, in their order. @throws RangeError for one that no call takes */
export function inCalls<Item>(
  items: readonly Item[],
  bytesOf: (item: Item) => number,
  { entries, bytes }: CallLimits = callLimits,
): Item[][] {
  const calls: Item[][] = [];
  let left = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (size > bytes) throw new RangeError(`it has ${size} bytes, and ${bytes} are the most that can be sent`);
    const call = calls.at(-1);
    if (call === undefined || call.length === entries || size > left) {
      calls.push([item]);
      left = bytes - size;
    } else {
      call.push(item);
      left -= size;
    }
  }
  return calls;
}

/** How a call ends: for each entry, why it was not taken; undefined where it was. Rejects where none was. */
export type CarryCall<Item> = (items: readonly Item[]) => Promise<readonly (string | undefined)[]>;

export interface ResendOptions {
  readonly clock: Clock;
  /** Sends of an entry in all. @default 5 */
  readonly tries?: number;
  /** The first pause is up to this, each further one up to twice the one before. Milliseconds. @default 50 */
  readonly base?: number;
  /** In [0, 1): how long a pause is. @default Math.random */
  readonly random?: () => number;
}

/** Sends a call until all its entries are taken: again those only that were not. @throws Error with why, when the tries are used up */
export async function sendAll<Item>(
  items: readonly Item[],
  carry: CarryCall<Item>,
  { clock, tries = 5, base = 50, random = Math.random }: ResendOptions,
): Promise<void> {
  let left = items;
  for (let tried = 1; ; tried++) {
    const failures = await carry(left);
    const why = failures.find((failure) => failure !== undefined);
    if (why === undefined) return;
    left = left.filter((_, i) => failures[i] !== undefined);
    if (tried === tries) throw new Error(`${left.length} of ${items.length} events were not taken: ${why}`);
    const pause = milliseconds(Math.ceil(base * 2 ** (tried - 1) * random()));
    await new Promise<void>((resolve) => void clock.schedule(pause, resolve));
  }
}
