import type { Clock } from '../../runtime/clock.ts';
import { runKey } from '../../saga/command.ts';
import type { RunId } from '../../saga/types.ts';
import { JournalUnavailable } from '../journal.ts';
import { announcementOf, type ClaimedRun, type Creation, type NewRun } from '../worker-journal.ts';
import type { Book } from './book.ts';
import type { Chance } from './chance.ts';
import { type Incarnation, type Item, idOf, lifeShard, N, numberOf, runItemKey, S, TRUE, textOf } from './keys.ts';
import type { Ledger, Ticket } from './ledger.ts';
import type { Life, Lives } from './lives.ts';
import type { Mailbox } from './mailbox.ts';
import { announcementsOf, newRunOf, recordOf } from './record.ts';
import type { Store } from './store.ts';
import { Sweeps } from './sweeps.ts';
import { INDEX } from './table.ts';
import { attentionSince } from './writes.ts';

export interface ClaimsPorts {
  readonly store: Store;
  readonly lives: Lives;
  readonly book: Book;
  readonly ledger: Ledger;
  readonly mailbox: Mailbox;
  readonly clock: Clock;
  readonly chance: Chance;
  readonly create: (run: NewRun) => Promise<Creation>;
}

/**
 * Makes this life's what others left: open runs, and announcements of ended ones. Each by a write that depends on the former owner, so that of several
 * workers one gets it.
 */
export class Claims {
  readonly #o: ClaimsPorts;
  readonly #runs: Sweeps;
  readonly #ends: Sweeps;
  /** Creations that were not answered. The caller may not come again, and others take the run for ours. */
  readonly #doubtful = new Map<string, NewRun>();
  /** Runs that no index leads to any more, with the owner that they had: claims that were not answered, runs of lives that were struck. */
  readonly #strays = new Map<string, { readonly id: RunId; readonly from: Incarnation }>();
  /** Ends whose claims were not answered, with the tickets that are kept for them. */
  readonly #openEnds = new Map<string, { readonly key: Item; readonly from: string; readonly ticket: Ticket }>();

  constructor(ports: ClaimsPorts) {
    this.#o = ports;
    const { store, clock, chance } = ports;
    this.#runs = new Sweeps(store, clock, chance, { name: INDEX.owner, key: 'ownerShard' });
    const from = ({ watermark }: Life): readonly [string, number] => ['ticket', watermark];
    this.#ends = new Sweeps(store, clock, chance, { name: INDEX.end, key: 'endShard', from });
  }

  /** It is not known whether the run was created: this life sees to it that it is, and drives it. */
  doubtCreation(run: NewRun): void {
    this.#doubtful.set(runKey(run.id), run);
  }

  /** It is known now what came of the creation. */
  knowCreation(id: RunId): void {
    this.#doubtful.delete(runKey(id));
  }

  /** A run whose owner is none of the lives. */
  stray(id: RunId, from: Incarnation): void {
    this.#strays.set(runKey(id), { id, from });
  }

  /** Up to `limit` open runs that nobody alive drives. @throws JournalUnavailable when none was got before it failed */
  async runs(own: Incarnation, lives: readonly Life[], limit: number): Promise<ClaimedRun[]> {
    const claimed: ClaimedRun[] = [];
    try {
      await this.#resolveCreations(claimed, limit);
      await this.#resolveStrays(own, claimed, limit);
      const dead = lives.filter(({ standing }) => standing !== 'Alive');
      const swept = await this.#runs.run(dead, limit - claimed.length, (item, life) =>
        this.#claim(own, idOf(item), life.incarnation, life.standing === 'Dead'),
      );
      claimed.push(...swept);
      await this.#strike(dead);
    } catch (error) {
      // What was claimed must reach the runner, whatever failed after it.
      if (claimed.length === 0) throw error;
    }
    return claimed;
  }

  /** Takes over announcements of up to `limit` ended runs; they are in the ledger then. */
  async ends(own: Incarnation, lives: readonly Life[], limit: number): Promise<void> {
    for (const [name, { key, from, ticket }] of [...this.#openEnds]) {
      await this.#claimEnd(own, key, from, ticket);
      this.#openEnds.delete(name);
    }
    const dead = lives.filter(({ standing }) => standing !== 'Alive');
    await this.#ends.run(dead, limit, (item) => this.#takeEnd(own, item));
  }

  async #resolveCreations(claimed: ClaimedRun[], limit: number): Promise<void> {
    for (const run of [...this.#doubtful.values()]) {
      if (claimed.length >= limit) return;
      const creation = await this.#o.create(run);
      if (creation.type === 'Created')
        claimed.push({ run, record: { state: undefined, version: creation.version }, died: false });
    }
  }

  async #resolveStrays(own: Incarnation, claimed: ClaimedRun[], limit: number): Promise<void> {
    for (const [key, { id, from }] of [...this.#strays]) {
      if (claimed.length >= limit) return;
      const found = await this.#claim(own, id, from, true);
      this.#strays.delete(key);
      if (found !== undefined) claimed.push(found);
    }
  }

  /** A life of which nothing was found for long enough is no longer looked after. */
  async #strike(dead: readonly Life[]): Promise<void> {
    for (const { incarnation } of dead) {
      if (!this.#runs.isOver(incarnation) || !this.#ends.isOver(incarnation)) continue;
      await this.#o.lives.strike(incarnation);
      this.#runs.forget(incarnation);
      this.#ends.forget(incarnation);
    }
  }

  async #claim(own: Incarnation, id: RunId, from: Incarnation, died: boolean): Promise<ClaimedRun | undefined> {
    try {
      const written = await this.#o.store.update(runItemKey(id), {
        update: `SET #owner = :me, #ownerShard = :shard, #version = #version + :one${died ? ', #doubted = :true' : ''}`,
        when: '#owner = :from',
        values: {
          ':me': S(own),
          ':shard': S(lifeShard(own, id)),
          ':one': N(1),
          ':from': S(from),
          ...(died ? { ':true': TRUE } : {}),
        },
        answer: true,
      });
      if (written.done) return this.#claimed(written.item);
      const { found } = written;
      // A claim of ours whose answer was lost.
      const isOurs = found !== undefined && textOf(found, 'owner') === own && this.#o.book.find(id) === undefined;
      return isOurs ? this.#claimed(found) : undefined;
    } catch (error) {
      if (error instanceof JournalUnavailable) this.stray(id, from);
      throw error;
    }
  }

  #claimed(item: Item): ClaimedRun {
    const { book, mailbox, clock } = this.#o;
    const run = newRunOf(item);
    const record = recordOf(item);
    const state = 'state' in record ? record.state : undefined;
    book.enter({
      run,
      held: state?.hold !== undefined,
      since: numberOf(item, 'since') ?? (state && attentionSince(state, { since: undefined }, clock.wall())),
      announced: (state && announcementOf(run.id, state, 0)?.sequence) ?? 0,
      attempts: [],
    });
    mailbox.inherit(item);
    this.#inheritAnnouncements(item);
    return { run, record, died: item['doubted']?.BOOL === true };
  }

  /** Of an open run: what the teller's watermark does not cover, or of a teller that nobody knows any more. Whoever hears it twice drops it. */
  #inheritAnnouncements(item: Item): void {
    const teller = textOf(item, 'teller');
    if (teller === undefined) return;
    const watermark = this.#o.lives.known(teller)?.watermark ?? 0;
    if ((numberOf(item, 'ticket') ?? 0) < watermark) return;
    const { ledger } = this.#o;
    ledger.written(ledger.draw(), runKey(idOf(item)), announcementsOf(item));
  }

  /** @returns true when the end is this life's to announce now */
  async #takeEnd(own: Incarnation, { pk, sk, endShard }: Item): Promise<true | undefined> {
    const key = { pk: pk as Item[string], sk: sk as Item[string] };
    return this.#claimEnd(own, key, endShard?.S ?? '', this.#o.ledger.draw());
  }

  /** The ticket is drawn before, since it is written: until it is known what came of that, the watermark stays below it. */
  async #claimEnd(own: Incarnation, key: Item, from: string, ticket: Ticket): Promise<true | undefined> {
    const { store, ledger } = this.#o;
    const shard = lifeShard(own, idOf(key));
    try {
      const written = await store.update(key, {
        update: 'SET #endShard = :shard, #teller = :me, #ticket = :ticket',
        when: '#endShard = :from',
        values: { ':shard': S(shard), ':me': S(own), ':ticket': N(ticket), ':from': S(from) },
        answer: true,
      });
      const item = written.done ? written.item : written.found;
      // Also a claim of ours whose answer was lost.
      const isOurs = item !== undefined && textOf(item, 'endShard') === shard && numberOf(item, 'ticket') === ticket;
      if (isOurs) ledger.written(ticket, runKey(idOf(item)), announcementsOf(item));
      else ledger.discard(ticket);
      return isOurs ? true : undefined;
    } catch (error) {
      if (error instanceof JournalUnavailable) this.#openEnds.set(runKey(idOf(key)), { key, from, ticket });
      throw error;
    }
  }
}
