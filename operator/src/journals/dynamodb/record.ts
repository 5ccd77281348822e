import { sha256 } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import type { GivenUp, RunId, RunInput, RunState } from '../../saga/types.ts';
import type { JournalRecord, Version } from '../journal.ts';
import type { Announcement, NewRun, Outcome, RunSight } from '../worker-journal.ts';
import { type Item, idOf, N, numberOf, runItemKey, S, textOf } from './keys.ts';

/** Stands for what `state` holds; a newer operator reads older ones. */
const FORMAT = 1;

/** What a run begins with, as attributes. They never change. */
export function newRunItem({ id, input, revision, createdAt, traceparent }: NewRun): Item {
  return {
    ...runItemKey(id),
    input: S(JSON.stringify(input)),
    revision: S(revision),
    createdAt: N(createdAt),
    ...(traceparent === undefined ? {} : { traceparent: S(traceparent) }),
  };
}

/** @throws SyntaxError, TypeError for an item that this journal did not make */
export function newRunOf(item: Item): NewRun {
  const traceparent = textOf(item, 'traceparent');
  return {
    id: idOf(item),
    input: JSON.parse(textOf(item, 'input') ?? '') as RunInput,
    revision: textOf(item, 'revision') ?? '',
    createdAt: numberOf(item, 'createdAt') ?? 0,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** A state as it is stored. */
export interface Encoded {
  readonly state: string;
  /** Covers the run's name and the state: who edits either, or copies a state to another run, is noticed. */
  readonly sum: string;
}

export function encode(id: RunId, state: RunState): Encoded {
  const text = JSON.stringify(state);
  return { state: text, sum: sumOf(id, FORMAT, text) };
}

/** The attributes of an encoded state. */
export const encodedItem = ({ state, sum }: Encoded): Item => ({ state: S(state), sum: S(sum), format: N(FORMAT) });

function sumOf(id: RunId, format: number, text: string): string {
  return sha256(`${runKey(id)}\n${format}\n${text}`).slice(0, 32);
}

/** What the next write of a run depends on, beside its owner. */
export const versionOf = (item: Item): Version => item['version']?.N ?? '';

/** What a run's item says of its state. */
export function recordOf(item: Item): JournalRecord {
  const version = versionOf(item);
  const [text, sum, format] = [textOf(item, 'state'), textOf(item, 'sum'), numberOf(item, 'format')];
  if (text === undefined && sum === undefined && format === undefined) return { state: undefined, version };
  if (format !== undefined && format > FORMAT)
    return {
      newer: `the journal has format ${format}, this operator reads ${FORMAT}: run the newer operator again`,
      version,
    };
  if (text === undefined || format === undefined || sum !== sumOf(idOf(item), format, text))
    return { damaged: 'the item was edited: its checksum does not fit; a person decides how the run goes on', version };
  return { state: JSON.parse(text) as RunState, version };
}

export const sightOf = (item: Item): RunSight => ({ run: newRunOf(item), record: recordOf(item) });

/** In the owner index: so that the runs that a dead life left are counted without asking for them. */
export const standingOf = (held: boolean): 'active' | 'held' => (held ? 'held' : 'active');

/** How a run ended; undefined while it is open. */
export const outcomeOf = (item: Item): Outcome | undefined => textOf(item, 'ended') as Outcome | undefined;

/** Whether an ended run is kept no longer: DynamoDB deletes it, within days. @param wall Unix milliseconds */
export function isForgotten(item: Item, wall: number): boolean {
  const expires = numberOf(item, 'expires');
  return expires !== undefined && expires * 1000 <= wall;
}

/** Whether a run can be looked at: it is open, or ended not longer ago than its saga says. */
export function isVisible(item: Item, wall: number): boolean {
  return outcomeOf(item) === undefined || wall < (numberOf(item, 'visibleUntil') ?? 0);
}

/** The attributes of an exception record. @param at Unix milliseconds */
export const exceptionItem = (entry: GivenUp, at: number): Item => ({ entry: S(JSON.stringify(entry)), at: N(at) });

/** Announcements as they stand in their run's item: what the item itself says is left out. */
type Stored = Omit<Announcement, 'id' | 'traceparent'>;

export function announcementsItem(announcements: readonly Announcement[]): Item {
  const stored: Stored[] = announcements.map(({ id: _id, traceparent: _trace, ...rest }) => rest);
  return { announcements: S(JSON.stringify(stored)) };
}

/** Those that were not known to be told when the item was written. */
export function announcementsOf(item: Item): Announcement[] {
  const traceparent = textOf(item, 'traceparent');
  const stored = JSON.parse(textOf(item, 'announcements') ?? '[]') as Stored[];
  const more = traceparent === undefined ? {} : { traceparent };
  return stored.map((announcement) => ({ id: idOf(item), ...announcement, ...more }));
}
