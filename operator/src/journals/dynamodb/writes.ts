import { runKey } from '../../saga/command.ts';
import type { GivenUp, RunId, RunState } from '../../saga/types.ts';
import { JournalUnavailable, type Version, VersionConflict } from '../journal.ts';
import { announcementOf, type Outcome, REMEMBERED_MILLIS, type Retention } from '../worker-journal.ts';
import type { Book, Outlook, OwnRun, OwnStanding } from './book.ts';
import {
  attentionShard,
  exceptionKey,
  type Incarnation,
  type Item,
  lifeShard,
  N,
  runItemKey,
  S,
  textOf,
} from './keys.ts';
import type { Ledger } from './ledger.ts';
import type { Lives } from './lives.ts';
import { MAIL_ATTRIBUTES } from './mailbox.ts';
import { announcementsItem, encode, encodedItem, exceptionItem, standingOf, versionOf } from './record.ts';
import { COMPANIONS, type Companion, NotDone, type Store } from './store.ts';

export interface WriterPorts {
  readonly store: Store;
  readonly lives: Lives;
  readonly book: Book;
  readonly ledger: Ledger;
  readonly retention: Retention;
  readonly wall: () => number;
}

/**
 * Writes the states of this life's runs: one UpdateItem each, conditional on version and owner, that also moves the run in and out of the sparse indexes
 * and carries what is to be announced. An end that gave up on something is a transaction, with its exception records.
 */
export class Writer {
  readonly #o: WriterPorts;

  constructor(ports: WriterPorts) {
    this.#o = ports;
  }

  /** See Journal.write. */
  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    const { store, lives, book } = this.#o;
    const life = lives.own;
    const own = book.find(id);
    if (own === undefined) throw new VersionConflict(`${runKey(id)} is not a run that ${life} drives`);
    if (!/^[0-9]+$/.test(version)) throw new VersionConflict(`${version} is no version that this journal gives`);
    const encoded = encode(id, state);
    const outlook = this.#outlook(own, state, encoded.sum);
    const next = Number(version) + 1;
    const set = { ...encodedItem(encoded), ...this.#beside(own, state, outlook, life), version: N(next) };
    try {
      const change = {
        update: updateOf(set, removed(own, outlook)),
        when: '#version = :was AND #owner = :me',
        values: { ...valuesOf(set), ':was': N(next - 1), ':me': S(life) },
      };
      const records = state.ended === undefined ? [] : exceptionsOf(id, state.givenUp, this.#o.wall());
      const written = await (records.length === 0
        ? store.update(runItemKey(id), change)
        : store.updateWith(runItemKey(id), change, records));
      if (!written.done) throw this.#refused(id, written.found, version);
    } catch (error) {
      // It may yet turn out to have happened: then what it announces is to be told.
      if (error instanceof JournalUnavailable && !(error instanceof NotDone))
        book.enter({ ...own, attempts: [...own.attempts, outlook] });
      else this.#discard(outlook);
      throw error;
    }
    this.#happened(own, outlook);
    return String(next);
  }

  /** A run was read: whether a write happened that was not answered is known now. */
  read(id: RunId, item: Item): void {
    const own = this.#o.book.find(id);
    const happened = own?.attempts.find(({ sum }) => sum === textOf(item, 'sum'));
    if (own !== undefined && happened !== undefined) this.#happened(own, happened);
  }

  /** Of several attempts at one version, one has happened: the others never will. */
  #happened({ run, attempts }: OwnRun, outlook: Outlook): void {
    const { book, ledger } = this.#o;
    for (const other of attempts) if (other !== outlook) this.#discard(other);
    const { ended, standing, telling } = outlook;
    if (telling !== undefined) ledger.written(telling.ticket, runKey(run.id), [telling.announcement]);
    if (ended) book.remove(run.id);
    else book.enter({ ...standing, run, attempts: [] });
  }

  #discard({ telling }: Outlook): void {
    if (telling !== undefined) this.#o.ledger.discard(telling.ticket);
  }

  #outlook(own: OwnRun, state: RunState, sum: string): Outlook {
    const { ledger, wall } = this.#o;
    const now = wall();
    const ended = state.ended !== undefined;
    const announcement = announcementOf(own.run.id, state, now, own.run.traceparent);
    const isNew = announcement !== undefined && announcement.sequence > own.announced;
    const standing: OwnStanding = {
      held: state.hold !== undefined,
      since: ended ? undefined : attentionSince(state, own, now),
      announced: announcement?.sequence ?? own.announced,
    };
    return { sum, ended, standing, telling: isNew ? { ticket: ledger.draw(), announcement } : undefined };
  }

  /** The attributes that a write sets beside the state. */
  #beside({ run: { id } }: OwnRun, state: RunState, { standing, telling }: Outlook, life: Incarnation): Item {
    const { ledger, retention, wall } = this.#o;
    const { since } = standing;
    // What is not told yet goes along: whoever takes the run over finds it in the item.
    const earlier = telling !== undefined && telling.announcement.sequence > 1 ? ledger.untoldOf(runKey(id)) : [];
    return {
      ...(state.ended === undefined ? { standing: S(standingOf(standing.held)) } : {}),
      ...(since === undefined ? {} : { attentionShard: S(attentionShard(id)), since: N(since) }),
      ...(telling === undefined
        ? {}
        : {
            ...announcementsItem([...earlier, telling.announcement]),
            teller: S(life),
            ticket: N(telling.ticket),
          }),
      ...(state.ended === undefined
        ? {}
        : { ...ending(id, state.ended, wall(), retention), endShard: S(lifeShard(life, id)) }),
    };
  }

  #refused(id: RunId, found: Item | undefined, version: Version): VersionConflict {
    const { lives, book } = this.#o;
    if (found === undefined) return new VersionConflict(`${runKey(id)} is not there any more`);
    const owner = textOf(found, 'owner');
    if (owner !== undefined && owner !== lives.mine) {
      // Runs are taken from the dead only.
      lives.lose(`${owner} has taken ${runKey(id)}`);
      book.remove(id);
      return new VersionConflict(`${owner} drives ${runKey(id)} now`);
    }
    return new VersionConflict(`${runKey(id)} has version ${versionOf(found)}, not ${version}`);
  }
}

/** Since when a run needs a person; the first of the reasons counts. */
export function attentionSince(state: RunState, before: Pick<OwnStanding, 'since'>, now: number): number | undefined {
  if (state.hold === undefined && !state.overdue) return undefined;
  return before.since ?? state.hold?.since ?? now;
}

function ending(id: RunId, outcome: Outcome, now: number, retention: Retention): Item {
  const visible = retention.ended(id, outcome);
  const kept = Math.max(visible, retention.remembered ?? REMEMBERED_MILLIS);
  return { ended: S(outcome), visibleUntil: N(now + visible), expires: N(Math.ceil((now + kept) / 1000)) };
}

/**
 * What an ended run gave up on: on record in the same transaction, since nobody takes up a run that has ended, so that nobody would write the records
 * that its worker died before. What was recorded before keeps its time. A run gives up on a few steps; more than a transaction takes are left to the
 * runner, which records each.
 */
function exceptionsOf(id: RunId, givenUp: readonly GivenUp[], at: number): readonly Companion[] {
  const records = new Map<string, Companion>();
  for (const entry of givenUp) {
    const key = exceptionKey(id, entry);
    records.set(textOf(key, 'sk') ?? '', { key, attributes: exceptionItem(entry, at) });
  }
  return [...records.values()].slice(0, COMPANIONS);
}

/** The attributes that a write takes away. An attempt that was not answered may have set any of them. */
function removed(own: OwnRun, { ended, standing }: Outlook): string[] {
  return [
    'doubted',
    ...(standing.since === undefined && (own.since !== undefined || own.attempts.length > 0)
      ? ['attentionShard', 'since']
      : []),
    // Nobody is left who could read its mail; the end says what came of it.
    ...(ended ? ['owner', 'ownerShard', 'standing', ...MAIL_ATTRIBUTES] : []),
  ];
}

function updateOf(set: Item, remove: readonly string[]): string {
  const sets = Object.keys(set).map((name) => `#${name} = :${name}`);
  return `SET ${sets.join(', ')} REMOVE ${remove.map((name) => `#${name}`).join(', ')}`;
}

function valuesOf(set: Item): Item {
  return Object.fromEntries(Object.entries(set).map(([name, value]) => [`:${name}`, value]));
}
