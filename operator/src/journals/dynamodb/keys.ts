import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import { fraction } from '../../saga/backoff.ts';
import { canonicalJson, sha256 } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import type { GivenUp, RunId } from '../../saga/types.ts';
import { ATTENTION_SHARDS, LIFE_SHARDS } from './table.ts';

/** An item, or a part of one, as DynamoDB's low-level client has it. */
export type Item = Readonly<Record<string, AttributeValue>>;

/** A worker's life, from `open` on: `<name>-<random>`. Never used twice. */
export type Incarnation = string;

export const S = (text: string): AttributeValue => ({ S: text });
export const N = (number: number): AttributeValue => ({ N: String(number) });
export const TRUE: AttributeValue = { BOOL: true };

/** An item's text; undefined where it has none. */
export const textOf = (item: Item, attribute: string): string | undefined => item[attribute]?.S;
/** An item's number; undefined where it has none. */
export const numberOf = (item: Item, attribute: string): number | undefined =>
  item[attribute]?.N === undefined ? undefined : Number(item[attribute].N);

const RUN = 'run#';

/** A run's item. Names are DNS labels, so that `/` and `#` keep them apart. */
export const runItemKey = (id: RunId): Item => ({ pk: S(RUN + runKey(id)), sk: S('run') });

/** Which run an item is of. @throws TypeError for an item that is not a run's */
export function idOf(item: Item): RunId {
  const [namespace, saga, orderId] = (textOf(item, 'pk') ?? '').slice(RUN.length).split('/');
  if (namespace === undefined || saga === undefined || orderId === undefined)
    throw new TypeError(`${textOf(item, 'pk')} is not the key of a run: the table is not, or not only, this journal's`);
  return { namespace, saga, orderId };
}

/** What a run gave up on: the same entry has the same key. Beside the run, so that both are found together. */
export const exceptionKey = (id: RunId, entry: GivenUp): Item => ({
  pk: S(RUN + runKey(id)),
  sk: S(`exception#${sha256(canonicalJson(entry)).slice(0, 20)}`),
});

export const revisionKey = (namespace: string, saga: string, hash: string): Item => ({
  pk: S(`revision#${namespace}/${saga}`),
  sk: S(hash),
});

/** All lives are one item collection, so that they are found without a scan. */
export const LIVES = 'lives';
export const lifeKey = (incarnation: Incarnation): Item => ({ pk: S(LIVES), sk: S(incarnation) });

/** The part of a life's runs (and ends) that a run is in. */
export const lifeShard = (incarnation: Incarnation, id: RunId): string =>
  lifeShardAt(incarnation, part(id, LIFE_SHARDS));
export const lifeShardAt = (incarnation: Incarnation, shard: number): string => `${incarnation}#${shard}`;

export const attentionShard = (id: RunId): string => attentionShardAt(part(id, ATTENTION_SHARDS));
export const attentionShardAt = (shard: number): string => `attention#${shard}`;

function part(id: RunId, parts: number): number {
  return Math.floor(fraction(runKey(id)) * parts);
}
