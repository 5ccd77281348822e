import { runKey } from '../../saga/command.ts';
import type { RunId } from '../../saga/types.ts';
import type { Mail, ReceivedMail } from '../worker-journal.ts';
import type { Chance } from './chance.ts';
import { type Incarnation, type Item, idOf, N, numberOf, runItemKey, S, textOf } from './keys.ts';
import { isForgotten, outcomeOf } from './record.ts';
import type { Store } from './store.ts';
import { INDEX } from './table.ts';

/** The attribute of each kind of mail: a later one of a kind replaces an earlier one. */
const ATTRIBUTE = { Decision: 'decision', Cancel: 'cancel' } as const satisfies Record<Mail['type'], string>;
const KINDS = Object.values(ATTRIBUTE);

/** All that a run's item has of mail. */
export const MAIL_ATTRIBUTES: readonly string[] = [...KINDS, 'mailFor', 'mailAt'];

interface Letter {
  /** Tells it from the one that it replaces. */
  readonly id: string;
  readonly at: number;
  readonly mail: Mail;
}

/**
 * Mail lies in its run's item, so that whoever takes the run over has it, too. Posting copies the run's owner, in the same write, to the key of an index
 * that the owner asks.
 */
export class Mailbox {
  readonly #store: Store;
  readonly #wall: () => number;
  readonly #chance: Chance;
  /** Runs that came to this worker with mail: the index has it under their former owner. */
  readonly #inherited = new Map<string, RunId>();

  constructor(store: Store, wall: () => number, chance: Chance) {
    this.#store = store;
    this.#wall = wall;
    this.#chance = chance;
  }

  /** See WorkerJournal.post. */
  async post(id: RunId, mail: Mail): Promise<'Posted' | 'NotFound' | 'Ended'> {
    const at = this.#wall();
    const letter: Letter = { id: this.#chance.name(8), at, mail };
    const written = await this.#store.update(runItemKey(id), {
      update: `SET #${ATTRIBUTE[mail.type]} = :letter, #mailFor = #owner, #mailAt = if_not_exists(#mailAt, :at)`,
      when: 'attribute_exists(#owner)',
      values: { ':letter': S(JSON.stringify(letter)), ':at': N(at) },
    });
    if (written.done) return 'Posted';
    if (written.found === undefined || isForgotten(written.found, at)) return 'NotFound';
    return outcomeOf(written.found) === undefined ? 'NotFound' : 'Ended';
  }

  /** A run that this worker took over: its mail is this worker's. */
  inherit(item: Item): void {
    if (KINDS.some((kind) => item[kind] !== undefined)) this.#inherited.set(runKey(idOf(item)), idOf(item));
  }

  /** What is there for runs of this life, oldest first. The index may be late; what is there is read from the items themselves. */
  async read(own: Incarnation): Promise<ReceivedMail[]> {
    // What comes while it is asked for is not among it, and stays for the next time.
    const inherited = [...this.#inherited];
    const keys = new Map(inherited.map(([key, id]) => [key, runItemKey(id)]));
    for (let next: Item | undefined, first = true; first || next !== undefined; first = false) {
      const page = await this.#store.query({ index: INDEX.mail, of: ['mailFor', own], after: next });
      for (const item of page.items) keys.set(runKey(idOf(item)), runItemKey(idOf(item)));
      next = page.next;
    }
    const received: (ReceivedMail & { at: number })[] = [];
    const found = new Set<string>();
    for (const item of await this.#store.getAll([...keys.values()])) {
      const letters = lettersOf(item);
      if (letters.length > 0) found.add(runKey(idOf(item)));
      else await this.#unlist(item);
      // Another worker has taken the run, and the mail with it.
      if (textOf(item, 'owner') !== own) continue;
      for (const { kind, letter } of letters)
        received.push({
          id: idOf(item),
          mail: letter.mail,
          receipt: receiptOf(idOf(item), kind, letter),
          at: letter.at,
        });
    }
    for (const [key, id] of inherited)
      if (!found.has(key) && this.#inherited.get(key) === id) this.#inherited.delete(key);
    return received.sort((a, b) => a.at - b.at).map(({ at: _at, ...mail }) => mail);
  }

  /** See WorkerJournal.settleMail. What was replaced meanwhile stays. */
  async settle(receipts: readonly string[]): Promise<void> {
    await Promise.all(receipts.map((receipt) => this.#settle(receipt)));
  }

  async #settle(receipt: string): Promise<void> {
    const [namespace = '', saga = '', orderId = '', kind = '', letter = ''] = receipt.split('/');
    const key = runItemKey({ namespace, saga, orderId });
    const written = await this.#store.update(key, {
      update: `REMOVE #${kind}`,
      when: `contains(#${kind}, :letter)`,
      values: { ':letter': S(letter) },
      answer: true,
    });
    const left = written.done ? written.item : written.found;
    if (left !== undefined && lettersOf(left).length === 0) await this.#unlist(left);
  }

  /** Takes a run without mail out of the index, unless mail came meanwhile. */
  async #unlist(item: Item): Promise<void> {
    if (numberOf(item, 'mailAt') === undefined) return;
    const none = KINDS.map((kind) => `attribute_not_exists(#${kind})`).join(' AND ');
    await this.#store.update(runItemKey(idOf(item)), { update: 'REMOVE #mailFor, #mailAt', when: none, values: {} });
  }
}

function lettersOf(item: Item): { kind: string; letter: Letter }[] {
  return KINDS.flatMap((kind) => {
    const text = textOf(item, kind);
    return text === undefined ? [] : [{ kind, letter: JSON.parse(text) as Letter }];
  });
}

function receiptOf(id: RunId, kind: string, letter: Letter): string {
  return `${runKey(id)}/${kind}/${letter.id}`;
}
