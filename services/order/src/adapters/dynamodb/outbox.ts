import type { TransactWriteItem } from '@aws-sdk/client-dynamodb';
import type { CloudEvent, OutboxSource, Subscriber, Swept, UnsentEvents, UnsentLimits } from '@mercato/kit';
import { entryItem, outboxPart, subjectOf } from './items.ts';
import type { Shards } from './shards.ts';
import { type Item, type Store, textOf } from './store.ts';
import { SHARDS } from './table.ts';

/** What other replicas wrote into this one's parts is looked for this often. Milliseconds. */
const LOOK_EVERY = 1_000;
/** A megabyte of events of each part is counted; beyond that the backlog is shown as too small, and long since an alert. */
const COUNTED_PAGES = 4;

export interface OutboxOptions {
  readonly store: Store;
  readonly shards: Shards;
  /** Who is told: each event waits once for each of them that wants its type. */
  readonly subscribers: readonly Subscriber[];
  /** @default performance.now */
  readonly monotonic?: () => number;
}

/** How far a subscriber's parts were looked through. */
interface Lane {
  /** Parts in which there is something, or may be. */
  readonly dirty: Set<number>;
  /** Parts of which the subscriber is being sent something. */
  readonly underWay: Set<number>;
  looked: number;
  /** Where to begin, so that no part waits for others for ever. */
  turn: number;
  /** Orders that are to be sent again, and their parts: so many items more are read of those. */
  waiting: ReadonlyMap<string, number>;
}

/** An event that waits, as it was read. */
interface Found {
  readonly shard: number;
  readonly item: Item;
}

/** What was read of a part. */
interface Page {
  readonly items: readonly Found[];
  readonly more: boolean;
}

/** Under which name the events of a subscriber wait. */
const audienceOf = ({ name, url }: Subscriber): string => name ?? url;

/**
 * Events that wait in the table, an item for each event and subscriber, deleted when it was sent: so nothing is read twice, and what waits is what there is.
 * Of each part one replica reads (see Shards), and an order's events are all in one part, in their sequence.
 */
export class DynamoOutbox implements OutboxSource {
  readonly #o: OutboxOptions;
  readonly #now: () => number;
  readonly #lanes = new Map<string, Lane>();
  readonly #watchers: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#o = options;
    this.#now = options.monotonic ?? (() => performance.now());
  }

  /** The parts of a transaction that let an event wait for all who are told of its type. @param expires seconds since 1970 */
  entries(shard: number, event: CloudEvent, expires?: number): TransactWriteItem[] {
    return this.#o.subscribers
      .filter(({ types }) => types === undefined || types.includes(event.type))
      .map((subscriber) => this.#o.store.put(entryItem(audienceOf(subscriber), shard, event, expires)));
  }

  /** To be called after a transaction with entries, so that they need not wait to be looked for. */
  written(shard: number): void {
    for (const lane of this.#lanes.values()) lane.dirty.add(shard);
    for (const wake of this.#watchers) wake();
  }

  /** Whether events of this part are being sent. */
  isBusy(shard: number): boolean {
    return [...this.#lanes.values()].some(({ underWay }) => underWay.has(shard));
  }

  /** What rests stays where it is, and is read past. */
  async unsent(
    subscriber: Subscriber,
    limits: UnsentLimits,
    resting: ReadonlySet<string> = new Set(),
  ): Promise<UnsentEvents | undefined> {
    const lane = this.#laneOf(subscriber);
    lane.underWay.clear();
    for (const [subject, shard] of lane.waiting) if (!resting.has(subject)) lane.dirty.add(shard);
    lane.waiting = new Map([...lane.waiting].filter(([subject]) => resting.has(subject)));
    await this.#o.shards.ready();
    const shards = this.#due(lane);
    if (shards.length === 0) return undefined;
    // Before they are read, so that none of them is handed over meanwhile.
    for (const shard of shards) lane.underWay.add(shard);
    try {
      return await this.#collect(subscriber, lane, shards, limits, resting);
    } catch (error) {
      lane.underWay.clear();
      throw error;
    }
  }

  async backlog(subscriber: Subscriber): Promise<number> {
    const counts = Array.from({ length: SHARDS }, (_, shard) =>
      this.#o.store.count(question(subscriber, shard), COUNTED_PAGES),
    );
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  }

  /** There is nothing to forget: what was sent is gone, and an order's sequence is its version. */
  async sweep(): Promise<Swept> {
    return { events: 0, more: false };
  }

  watch(wake: () => void): void {
    this.#watchers.push(wake);
  }

  #laneOf(subscriber: Subscriber): Lane {
    const audience = audienceOf(subscriber);
    let lane = this.#lanes.get(audience);
    if (lane === undefined) {
      lane = {
        dirty: new Set(),
        underWay: new Set(),
        looked: Number.NEGATIVE_INFINITY,
        turn: 0,
        waiting: new Map(),
      };
      this.#lanes.set(audience, lane);
    }
    return lane;
  }

  #due(lane: Lane): readonly number[] {
    const held = this.#o.shards.held();
    if (this.#now() - lane.looked < LOOK_EVERY)
      return this.#turned(
        lane,
        held.filter((shard) => lane.dirty.has(shard)),
      );
    lane.looked = this.#now();
    return this.#turned(lane, held);
  }

  #turned(lane: Lane, shards: readonly number[]): readonly number[] {
    lane.turn += 1;
    const from = shards.length === 0 ? 0 : lane.turn % shards.length;
    return [...shards.slice(from), ...shards.slice(0, from)];
  }

  async #collect(
    subscriber: Subscriber,
    lane: Lane,
    shards: readonly number[],
    limits: UnsentLimits,
    resting: ReadonlySet<string>,
  ): Promise<UnsentEvents | undefined> {
    const share = Math.ceil(limits.events / shards.length);
    const pages = await Promise.all(
      shards.map(async (shard) => {
        lane.dirty.delete(shard);
        const page = await this.#page(subscriber, lane, shard, share, resting);
        if (page.items.length > 0) lane.dirty.add(shard);
        return page;
      }),
    );
    const { chosen, events, isCut } = choose(
      pages.flatMap(({ items }) => items),
      limits,
    );
    const taken = new Set(chosen.map(({ shard }) => shard));
    for (const shard of shards) if (!taken.has(shard)) lane.underWay.delete(shard);
    if (events.length === 0) return undefined;
    const markSent = async (again: ReadonlySet<number> = new Set()) => {
      const had = chosen.filter((_, place) => !again.has(place));
      await this.#o.store.deleteAll(had.map(({ item }) => ({ pk: item['pk']!, sk: item['sk']! })));
      const waiting = chosen.filter((_, place) => again.has(place));
      lane.waiting = new Map([...lane.waiting, ...waiting.map(({ shard, item }) => [subjectOf(item), shard] as const)]);
      lane.underWay.clear();
    };
    return { events, more: isCut || pages.some(({ more }) => more), markSent };
  }

  /** The first `share` items of a part that do not rest, or fewer where there are no more. */
  async #page(
    subscriber: Subscriber,
    lane: Lane,
    shard: number,
    share: number,
    resting: ReadonlySet<string>,
  ): Promise<Page> {
    const asleep = [...lane.waiting.values()].filter((part) => part === shard).length;
    const items: Found[] = [];
    let start: Item | undefined;
    do {
      const { Items = [], LastEvaluatedKey } = await this.#o.store.query({
        ...question(subscriber, shard),
        ConsistentRead: true,
        Limit: share + asleep,
        ...(start === undefined ? {} : { ExclusiveStartKey: { ...start } }),
      });
      items.push(...Items.filter((item) => !resting.has(subjectOf(item))).map((item) => ({ shard, item })));
      start = LastEvaluatedKey;
    } while (start !== undefined && items.length < share);
    return { items: items.slice(0, share), more: start !== undefined || items.length > share };
  }
}

/** As many as the limits let through. */
function choose(found: readonly Found[], limits: UnsentLimits) {
  const chosen: Found[] = [];
  const events: CloudEvent[] = [];
  let bytes = 0;
  for (const each of found) {
    const text = textOf(each.item, 'event');
    bytes += Buffer.byteLength(text) + 1;
    if (events.length === limits.events || (events.length > 0 && bytes > limits.bytes))
      return { chosen, events, isCut: true };
    events.push(JSON.parse(text) as CloudEvent);
    chosen.push(each);
  }
  return { chosen, events, isCut: false };
}

const question = (subscriber: Subscriber, shard: number) => ({
  KeyConditionExpression: '#pk = :pk',
  ExpressionAttributeNames: { '#pk': 'pk' },
  ExpressionAttributeValues: { ':pk': { S: outboxPart(audienceOf(subscriber), shard) } },
});
