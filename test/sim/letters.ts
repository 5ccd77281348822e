import type { WorkerJournal } from '@mercato/operator/journals/worker-journal.ts';
import { runKey } from '@mercato/operator/saga/command.ts';

/** What lay for a run when it went to another worker, by its receipts. */
type Legacy = readonly string[];

/**
 * What people left for runs, as the observers see it in the store. It goes with its run: once a worker was given a run that others had, each answer that it
 * gets to `mail` has what lay there, until that is taken away or the run is another's.
 */
export class Letters {
  /** By the run's key. */
  readonly #lying = new Map<string, readonly string[]>();
  readonly #legacies = new Map<string, Legacy>();
  readonly #fail: (text: string) => void;

  constructor(fail: (text: string) => void) {
    this.#fail = fail;
  }

  /** This, by its receipts, and nothing else lies for the run now. */
  lie(key: string, receipts: readonly string[]): void {
    this.#lying.set(key, receipts);
  }

  /** The run is another worker's from now on. */
  passOn(key: string): void {
    this.#legacies.set(key, this.#lying.get(key) ?? []);
  }

  /** One worker's journal, held to that. */
  watch(journal: WorkerJournal): WorkerJournal {
    const inherited = new Map<string, Legacy>();
    const watched: Pick<WorkerJournal, 'claim' | 'mail'> = {
      claim: async (limit) => {
        const claimed = await journal.claim(limit);
        for (const { run } of claimed) inherited.set(runKey(run.id), this.#legacies.get(runKey(run.id)) ?? []);
        return claimed;
      },
      mail: async () => {
        const before = [...inherited];
        const mail = await journal.mail();
        const given = new Set(mail.map(({ receipt }) => receipt));
        for (const [key, legacy] of before) this.#check(key, legacy, given);
        return mail;
      },
    };
    return new Proxy(journal, {
      get: (target, name) => {
        if (name === 'claim' || name === 'mail') return watched[name];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }

  #check(key: string, legacy: Legacy, given: ReadonlySet<string>): void {
    if (this.#legacies.get(key) !== legacy) return;
    const lying = this.#lying.get(key) ?? [];
    const missing = legacy.find((receipt) => lying.includes(receipt) && !given.has(receipt));
    if (missing !== undefined) this.#fail(`${key}: whoever took it over does not get what lay for it (${missing})`);
  }
}
