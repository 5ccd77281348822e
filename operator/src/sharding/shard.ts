import { runKey } from '../saga/command.ts';
import type { RunId } from '../saga/types.ts';

declare const shard: unique symbol;

/** One of the equal parts that runs are divided into, from 0; each part is with one replica at a time. */
export type Shard = number & { readonly [shard]?: never };

/** Parts, unless told otherwise: enough for 16 replicas, few enough to be handed over in a moment. */
export const DEFAULT_SHARDS = 16;
/** Each is a Lease that every replica watches. */
export const MOST_SHARDS = 256;

/**
 * The part that a run belongs to, by namespace, saga and order id: the same on every replica and in every version of this program, or two would
 * drive one run. FNV-1a, 32 bits, over UTF-16 code units: names are ASCII, and order ids that differ in one digit come to different parts.
 * @param shards how many parts there are
 */
export function shardOf(id: RunId, shards: number): Shard {
  return hash(runKey(id)) % shards;
}

/** FNV-1a with a final mix, since its low bits alone repeat the pattern of the text's last characters. */
export function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193);
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  return (value ^ (value >>> 13)) >>> 0;
}
