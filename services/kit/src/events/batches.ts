import type { Clock } from '../clock.ts';
import { NotTaken } from '../outbox/not-taken.ts';
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

/**
 * Sends items in calls, all of them at once: again those only that were not taken.
 * @throws NotTaken where some were not, when the tries are used up: it names them, those of calls that failed as a whole among them, and none where all calls did
 * @throws RangeError for one that no call takes
 */
export async function sendAll<Item>(
  items: readonly Item[],
  bytesOf: (item: Item) => number,
  carry: CarryCall<Item>,
  options: ResendOptions,
): Promise<void> {
  const placed = items.map((item, place) => ({ item, place }));
  const ends = await Promise.all(
    inCalls(placed, ({ item }) => bytesOf(item)).map((call) => sendCall(call, carry, options)),
  );
  const again = ends.flatMap(({ left }) => left).toSorted((a, b) => a - b);
  if (again.length === 0) return;
  const why = ends.find(({ left }) => left.length > 0)?.why;
  // Nobody is there, which is no fault of any item.
  const isAway = ends.every(({ failed }) => failed);
  throw new NotTaken(
    `${again.length} of ${items.length} events were not taken: ${why}`,
    undefined,
    isAway ? undefined : again,
  );
}

/** What came of a call: the places of the items that were not taken, and why the first was not. */
interface CallEnd {
  readonly left: readonly number[];
  readonly why: string | undefined;
  /** It failed as a whole. */
  readonly failed: boolean;
}

async function sendCall<Item>(
  call: readonly { readonly item: Item; readonly place: number }[],
  carry: CarryCall<Item>,
  { clock, tries = 5, base = 50, random = Math.random }: ResendOptions,
): Promise<CallEnd> {
  let left = call;
  const end = (why: string | undefined, failed = false) => ({ left: left.map(({ place }) => place), why, failed });
  for (let tried = 1; ; tried++) {
    let failures: readonly (string | undefined)[];
    try {
      failures = await carry(left.map(({ item }) => item));
    } catch (error) {
      return end(error instanceof Error ? `${error.name}: ${error.message}` : String(error), true);
    }
    left = left.filter((_, i) => failures[i] !== undefined);
    const why = failures.find((failure) => failure !== undefined);
    if (left.length === 0 || tried === tries) return end(why);
    const pause = milliseconds(Math.ceil(base * 2 ** (tried - 1) * random()));
    await new Promise<void>((resolve) => void clock.schedule(pause, resolve));
  }
}
