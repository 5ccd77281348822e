import { randomBytes } from 'node:crypto';
import { type Cancel, type Clock, every, type Milliseconds, seconds } from '@mercato/kit';
import { type Item, N, S, type Store, textOf } from './store.ts';
import { SHARDS } from './table.ts';

/** How often a replica says that it lives. */
export const BEAT: Milliseconds = seconds(2);
/** After so long without having said so, by its own timer, a replica relays nothing. */
export const FENCE: Milliseconds = seconds(6);
/** A replica that others have not heard of for so long, by their own timers, is dead to them. Longer than the fence by more than a call takes. */
export const SILENCE: Milliseconds = seconds(10);

const RELAY = S('relay');
const replicaKey = (id: string): Item => ({ pk: RELAY, sk: S(`replica#${id}`) });
const shardKey = (shard: number): Item => ({ pk: RELAY, sk: S(`shard#${String(shard).padStart(2, '0')}`) });
/** What a replica that died leaves behind goes by TTL. */
const REMEMBERED_SECONDS = 86_400;

export interface ShardsOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Milliseconds that only ever grow. @default performance.now: a clock that is set must not end or prolong anything */
  readonly monotonic?: () => number;
  /** Whether something of a part is under way: then it is not handed over yet. */
  readonly isBusy: (shard: number) => boolean;
  readonly onError: (error: unknown) => void;
}

/** What the table says of who relays. */
interface Sight {
  readonly beats: ReadonlyMap<string, number>;
  readonly owners: ReadonlyMap<number, string>;
}

/**
 * Which replica of the service relays which part of the outbox: each part has one, so that an order's events keep their sequence, and the replicas that
 * live share them evenly. A replica lives while its counter in the table moves; nobody's clock is compared with another's. One that stalls stops by its own
 * timer before others take its parts.
 */
export class Shards {
  readonly #o: ShardsOptions;
  readonly #id = randomBytes(8).toString('hex');
  readonly #now: () => number;
  /** When a replica's counter was last seen to move. */
  readonly #seen = new Map<string, { readonly beat: number; readonly at: number }>();
  #held: readonly number[] = [];
  #said = Number.NEGATIVE_INFINITY;
  #beat = 0;
  #stop: Cancel | undefined;
  #turn: Promise<void> | undefined;
  #closed = false;

  constructor(options: ShardsOptions) {
    this.#o = options;
    this.#now = options.monotonic ?? (() => performance.now());
  }

  /** The parts that this replica relays now. */
  held(): readonly number[] {
    return this.#now() - this.#said < FENCE ? this.#held : [];
  }

  /** Begins to take part, when first called. @throws OrdersUnavailable where that fails; the next call tries again */
  async ready(): Promise<void> {
    if (this.#stop !== undefined || this.#closed) return;
    await this.refresh();
    this.#stop ??= every(this.#o.clock, BEAT, () => this.refresh(), this.#o.onError);
  }

  /** Says that this replica lives, looks who else does, and takes or hands over parts. One at a time. */
  refresh(): Promise<void> {
    this.#turn ??= this.#refresh().finally(() => {
      this.#turn = undefined;
    });
    return this.#turn;
  }

  /** Hands everything over. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stop?.();
    await this.#turn?.catch(() => undefined);
    const mine = this.#held;
    this.#held = [];
    if (this.#said === Number.NEGATIVE_INFINITY) return;
    await Promise.all(mine.map((shard) => this.#release(shard)));
    await this.#o.store.deleteOne(replicaKey(this.#id), { when: 'attribute_exists(#pk)' });
  }

  async #refresh(): Promise<void> {
    if (this.#closed) return;
    const began = this.#now();
    this.#beat += 1;
    const expires = N(Math.ceil(this.#o.clock.now() / 1000) + REMEMBERED_SECONDS);
    await this.#o.store.putOne({ ...replicaKey(this.#id), beat: N(this.#beat), expires });
    const { beats, owners } = await this.#look();
    const alive = this.#alive(beats);
    const wanted = (shard: number) => alive[shard % alive.length] === this.#id;
    const held: number[] = [];
    await Promise.all(
      Array.from({ length: SHARDS }, async (_, shard) => {
        const owner = owners.get(shard);
        if (owner === this.#id) {
          if (wanted(shard) || this.#o.isBusy(shard)) held.push(shard);
          else {
            this.#held = this.#held.filter((other) => other !== shard);
            await this.#release(shard);
          }
        } else if (wanted(shard) && (owner === undefined || !alive.includes(owner))) {
          if (await this.#take(shard, owner)) held.push(shard);
        }
      }),
    );
    this.#held = held.sort((a, b) => a - b);
    this.#said = began;
  }

  async #look(): Promise<Sight> {
    const beats = new Map<string, number>();
    const owners = new Map<number, string>();
    let start: Item | undefined;
    do {
      const { Items = [], LastEvaluatedKey } = await this.#o.store.query({
        KeyConditionExpression: '#pk = :pk',
        ExpressionAttributeNames: { '#pk': 'pk' },
        ExpressionAttributeValues: { ':pk': RELAY },
        ConsistentRead: true,
        ...(start === undefined ? {} : { ExclusiveStartKey: { ...start } }),
      });
      for (const item of Items) {
        const [kind, name = ''] = textOf(item, 'sk').split('#');
        if (kind === 'replica') beats.set(name, Number(item['beat']?.N));
        else owners.set(Number(name), textOf(item, 'owner'));
      }
      start = LastEvaluatedKey;
    } while (start !== undefined);
    return { beats, owners };
  }

  /** Sorted, so that all see the same shares. */
  #alive(beats: ReadonlyMap<string, number>): readonly string[] {
    const now = this.#now();
    for (const [id, beat] of beats) if (this.#seen.get(id)?.beat !== beat) this.#seen.set(id, { beat, at: now });
    // One that never moves is remembered as dead for as long as its item is there.
    for (const id of this.#seen.keys()) if (!beats.has(id)) this.#seen.delete(id);
    const lives = [...this.#seen].filter(([, { at }]) => now - at < SILENCE).map(([id]) => id);
    return [...new Set([...lives, this.#id])].sort();
  }

  async #take(shard: number, owner: string | undefined): Promise<boolean> {
    const item = { ...shardKey(shard), owner: S(this.#id) };
    // The second: a repeat after a time-out finds that it was done.
    const when = 'attribute_not_exists(#pk) OR #owner = :me';
    return owner === undefined
      ? this.#o.store.putOne(item, { when, values: { ':me': S(this.#id) } })
      : this.#o.store.putOne(item, {
          when: `${when} OR #owner = :dead`,
          values: { ':me': S(this.#id), ':dead': S(owner) },
        });
  }

  async #release(shard: number): Promise<void> {
    await this.#o.store.deleteOne(shardKey(shard), { when: '#owner = :me', values: { ':me': S(this.#id) } });
  }
}
