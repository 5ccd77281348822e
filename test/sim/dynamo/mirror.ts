import { type Item, idOf, LIVES, textOf } from '@mercato/operator/journals/dynamodb/keys.ts';
import { FENCE_MILLIS } from '@mercato/operator/journals/dynamodb/lives.ts';
import { newRunOf, outcomeOf, recordOf } from '@mercato/operator/journals/dynamodb/record.ts';
import { encode, type JournalledStatus } from '@mercato/operator/journals/kubernetes/codec.ts';
import type { Mail } from '@mercato/operator/journals/worker-journal.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { GivenUp, Revision } from '@mercato/operator/saga/types.ts';
import type { ApiServer } from '../api-server.ts';
import type { Books } from '../books.ts';

/**
 * Shows the observers what a simulated table has, after each call that changed it: they read it themselves, and ask nobody. What they look at has the form
 * that they know from the API server.
 */
export class DynamoMirror {
  readonly #api: ApiServer;
  readonly #books: Books;
  /** What was left for runs, by the run's key. */
  readonly #mail = new Map<string, readonly string[]>();
  readonly #now: () => number;
  /** Who has each run, by its key. */
  readonly #owners = new Map<string, string>();
  /** Who lives, and when it last said so. */
  readonly #alive = new Map<string, number>();
  /** Versions that were shown, by the run's key. */
  readonly #shown = new Map<string, string>();
  readonly #recorded = new Set<string>();

  constructor(api: ApiServer, books: Books, now: () => number) {
    this.#api = api;
    this.#books = books;
    this.#now = now;
  }

  /** These were changed together. */
  show(items: readonly Item[]): void {
    // What a run gave up on is on record with its end: the run says so first.
    for (const item of items) if (textOf(item, 'sk') === 'run') this.#showRun(item);
    for (const item of items) {
      if (textOf(item, 'pk') === LIVES) this.#showLife(textOf(item, 'sk') ?? '', textOf(item, 'standing'));
      const entry = textOf(item, 'entry');
      const content = textOf(item, 'content');
      if (entry !== undefined) this.#record(item, entry);
      if (content !== undefined) this.#api.revisions.set(textOf(item, 'sk') ?? '', JSON.parse(content) as Revision);
    }
  }

  #showRun(item: Item): void {
    const run = newRunOf(item);
    const key = runKey(run.id);
    this.#showMail(key, item);
    this.#showOwner(key, textOf(item, 'owner'));
    const record = recordOf(item);
    if (this.#shown.get(key) === record.version) return;
    this.#shown.set(key, record.version);
    this.#api.create(run.id, run.input);
    if (!('state' in record) || record.state === undefined) return;
    const { state } = record;
    this.#api.patch(key, () => ({ status: encode(run.id, state) as JournalledStatus }));
    const outcome = outcomeOf(item);
    if (outcome !== undefined) this.#api.finished.set(key, outcome);
  }

  #showLife(life: string, standing: string | undefined): void {
    const last = this.#alive.get(life);
    if (standing === 'Alive') this.#alive.set(life, this.#now());
    else this.#alive.delete(life);
    if (standing === 'Dead' && last !== undefined) this.#books.declaredDead(life, this.#now() - last, FENCE_MILLIS);
  }

  /** Runs are taken from the dead, and from those that handed over. */
  #showOwner(key: string, owner: string | undefined): void {
    const before = this.#owners.get(key);
    if (owner === before) return;
    if (owner === undefined) this.#owners.delete(key);
    else this.#owners.set(key, owner);
    if (owner === undefined || before === undefined) return;
    this.#books.letters.passOn(key);
    this.#books.taken(key, before, this.#alive.has(before));
  }

  /** Called before the state is shown: mail that goes with a state's write goes with an end, and that alone needs no other sign. */
  #showMail(key: string, item: Item): void {
    const kinds = ['decision', 'cancel'] as const;
    const before = this.#mail.get(key) ?? [];
    const now = kinds.map((kind) => textOf(item, kind) ?? '');
    this.#mail.set(key, now);
    const receipts = now.flatMap((letter, n) => (letter === '' ? [] : `${key}/${kinds[n]}/${letterIn(letter).id}`));
    this.#books.letters.lie(key, receipts);
    if (outcomeOf(item) !== undefined) return;
    for (const [n, letter] of before.entries())
      if (letter !== '' && now[n] === '') this.#books.settled(key, letterIn(letter).mail);
  }

  #record(item: Item, entry: string): void {
    const name = `${textOf(item, 'pk')} ${textOf(item, 'sk')}`;
    if (this.#recorded.has(name)) return;
    this.#recorded.add(name);
    this.#api.record(idOf(item), JSON.parse(entry) as GivenUp);
  }
}

/** As the journal's mailbox has it. */
function letterIn(text: string): { readonly id: string; readonly mail: Mail } {
  return JSON.parse(text);
}
