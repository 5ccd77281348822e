import { hash, type Shard } from './shard.ts';

/** Who holds a shard, as its Lease says; empty if nobody. */
export interface Holding {
  readonly shard: Shard;
  readonly holder: string;
}

/** What one replica knows of all when it decides. */
export interface Situation {
  /** Which replica decides. */
  readonly me: string;
  /** The replicas that live and mean to stay, with or without the one that decides. */
  readonly staying: ReadonlySet<string>;
  /** The replicas that live: those that leave hold what they have until they have handed it over. */
  readonly alive: ReadonlySet<string>;
  readonly shards: readonly Holding[];
}

/** What one replica does next. */
export interface Plan {
  /** Free shards to take, in the order to try them in. */
  readonly take: readonly Shard[];
  /** Shards of its own to hand over. */
  readonly give: readonly Shard[];
}

/**
 * Divides the shards: each replica aims at an equal share, rounded up. One with less takes what is free, one with more gives the rest. All decide by
 * themselves; that they see different moments costs a conflict on a Lease and another look, and as shares add up to all shards at least, none stays
 * free.
 */
export function plan({ me, staying, alive, shards }: Situation): Plan {
  const replicas = new Set([...staying, me]).size;
  const share = Math.ceil(shards.length / replicas);
  const mine = shards.filter(({ holder }) => holder === me).map((each) => each.shard);
  const free = shards.filter(({ holder }) => holder !== me && !alive.has(holder)).map((each) => each.shard);
  const room = Math.max(0, share - mine.length);
  // Two replicas that come at once begin at different ends, and seldom want the same one.
  const from = free.length === 0 ? 0 : hash(me) % free.length;
  return {
    take: [...free.slice(from), ...free.slice(0, from)].slice(0, room),
    give: mine.slice(share),
  };
}
