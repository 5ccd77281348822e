import type { RunSight } from '../worker-journal.ts';
import { attentionShardAt, type Item, idOf, numberOf, runItemKey } from './keys.ts';
import { outcomeOf, sightOf } from './record.ts';
import type { Store } from './store.ts';
import { ATTENTION_SHARDS, INDEX } from './table.ts';

/** See WorkerJournal.attention. The index may be late by a second; what it names is read from the items themselves. */
export async function attention(
  store: Store,
  limit: number,
): Promise<{ readonly runs: readonly RunSight[]; readonly total: number }> {
  const shards = await Promise.all(
    Array.from({ length: ATTENTION_SHARDS }, (_, shard) => longest(store, shard, limit)),
  );
  const named = shards.flatMap(({ items }) => items);
  const first = named.sort((a, b) => since(a) - since(b)).slice(0, limit);
  const items = await store.getAll(first.map((item) => runItemKey(idOf(item))));
  const standing = items.filter((item) => numberOf(item, 'since') !== undefined && outcomeOf(item) === undefined);
  return {
    runs: standing.sort((a, b) => since(a) - since(b)).map(sightOf),
    total: shards.reduce((sum, { total }) => sum + total, 0) - (first.length - standing.length),
  };
}

/** The longest of one shard, and how many it has. */
async function longest(
  store: Store,
  shard: number,
  limit: number,
): Promise<{ readonly items: readonly Item[]; readonly total: number }> {
  const of = ['attentionShard', attentionShardAt(shard)] as const;
  const { items, next } = await store.query({ index: INDEX.attention, of, limit: Math.max(limit, 1) });
  const more = next === undefined ? 0 : await store.count(INDEX.attention, of, next);
  return { items, total: items.length + more };
}

const since = (item: Item): number => numberOf(item, 'since') ?? 0;
