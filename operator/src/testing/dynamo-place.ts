import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import {
  byWorkers,
  type JournalHarness,
  type JournalPlace,
  KEPT_MILLIS,
  type Leaving,
} from '../journals/conformance.ts';
import { type ClientOptions, type Connection, connect } from '../journals/dynamodb/calls.ts';
import { DynamoJournal } from '../journals/dynamodb/journal.ts';
import { type Item, N, runItemKey, S, textOf } from '../journals/dynamodb/keys.ts';
import { SILENCE_MILLIS } from '../journals/dynamodb/lives.ts';
import { recordOf } from '../journals/dynamodb/record.ts';
import { Store } from '../journals/dynamodb/store.ts';
import type { JournalRecord } from '../journals/journal.ts';
import type { ClaimedRun, Retention, WorkerJournal, WrittenAnnouncement } from '../journals/worker-journal.ts';
import type { VirtualClock } from '../runtime/clock.ts';
import { runKey } from '../saga/command.ts';
import type { GivenUp, RunId } from '../saga/types.ts';
import { FaultySend, isWrite } from './dynamo-faults.ts';
import { createJournalTable } from './journal-table.ts';
import type { Fault } from './memory-journal.ts';

export type Aws = NonNullable<ClientOptions['aws']>;

/** Ended runs can be looked at for a day, unless a test says otherwise. */
const DAY_MILLIS = 86_400_000;
const SHARED: Retention = { ended: () => DAY_MILLIS };

/** A table of its own in an emulator, with the workers that a test starts on it, each with faults of its own. */
export class DynamoPlace {
  readonly table: string;
  readonly store: Store;
  readonly #clock: VirtualClock;
  readonly #connection: Connection;
  readonly #retention: Retention;
  readonly #faults = new Map<WorkerJournal, FaultySend>();

  private constructor(aws: Aws, clock: VirtualClock, retention: Retention) {
    this.table = `journal-${randomBytes(6).toString('hex')}`;
    this.#clock = clock;
    this.#retention = retention;
    // A machine that does a dozen other things is slow, not away.
    this.#connection = connect({ aws, timeout: 30_000 });
    this.store = new Store(this.#connection.send, this.table);
  }

  static async create(aws: Aws, clock: VirtualClock, retention = SHARED): Promise<DynamoPlace> {
    const place = new DynamoPlace(aws, clock, retention);
    await createJournalTable(aws, place.table);
    return place;
  }

  /** A worker as another process would be: all workers of a place share its connections, and nothing else. */
  async start(name = 'worker', clock = this.#clock): Promise<DynamoJournal> {
    const journal = this.journal(name, clock);
    await journal.open();
    return journal;
  }

  /** A journal that has not been opened. */
  journal(name = 'worker', clock = this.#clock): DynamoJournal {
    const faults = new FaultySend(this.#connection.send);
    const connection = { send: faults.send, close: () => undefined };
    const { table } = this;
    const journal = new DynamoJournal({ connection, table, name, retention: this.#retention, clock });
    this.#faults.set(journal, faults);
    return journal;
  }

  faultsOf(journal: WorkerJournal): FaultySend {
    const faults = this.#faults.get(journal);
    if (faults === undefined) throw new Error('that journal was not started here');
    return faults;
  }

  /** `watchers` see for long enough that nobody else beats; they beat themselves. */
  async silence(...watchers: readonly WorkerJournal[]): Promise<void> {
    for (const watcher of watchers) await watcher.beat();
    this.#clock.advance(SILENCE_MILLIS);
    for (const watcher of watchers) await watcher.beat();
  }

  item(id: RunId): Promise<Item | undefined> {
    return this.store.get(runItemKey(id));
  }

  /** Changes an item as a person with a console would. */
  async edit(id: RunId, update: string, values: Item = {}): Promise<void> {
    const written = await this.store.update(runItemKey(id), { update, when: 'attribute_exists(#pk)', values });
    if (!written.done) throw new Error(`${runKey(id)} is not there`);
  }

  close(): void {
    this.#connection.close();
  }
}

/** The dynamodb journal for the conformance suite, in an emulator. */
export function dynamoHarness(name: string, emulator: () => Promise<Aws>): JournalHarness<WorkerJournal> {
  return {
    name,
    before: async () => void (await emulator()),
    async place(clock) {
      const place = await DynamoPlace.create(await emulator(), clock, { ended: (_, outcome) => KEPT_MILLIS[outcome] });
      return placeOf(place);
    },
  };
}

function placeOf(place: DynamoPlace): JournalPlace<WorkerJournal> {
  return {
    namespace: 'shop',
    start: () => place.start(),
    async succeed(last: WorkerJournal, leaving: Leaving) {
      if (leaving === 'handedOver') await last.handOver();
      const next = await place.start();
      if (leaving === 'died') await place.silence(next);
      return next;
    },
    ...byWorkers,
    async peek(id: RunId): Promise<JournalRecord | undefined> {
      const item = await place.item(id);
      return item && recordOf(item);
    },
    async damage(id: RunId) {
      const item = await place.item(id);
      const state = JSON.parse(textOf(item ?? {}, 'state') ?? '') as { clock: number };
      await place.edit(id, 'SET #state = :state', {
        ':state': S(JSON.stringify({ ...state, clock: state.clock + 1 })),
      });
    },
    renew: (id: RunId) => place.edit(id, 'SET #format = :format', { ':format': N(1_000) }),
    fail(worker: WorkerJournal, fault: Fault) {
      place.faultsOf(worker).failOnce(fault === 'refused' ? 'throttled' : 'answer lost', isWrite);
    },
    async exceptions(id: RunId): Promise<readonly GivenUp[]> {
      const { items } = await place.store.query({ of: ['pk', textOf(runItemKey(id), 'pk') ?? ''], consistent: true });
      return items.flatMap((item) => {
        const entry = textOf(item, 'entry');
        return entry === undefined ? [] : [JSON.parse(entry) as GivenUp];
      });
    },
    close: async () => place.close(),
  };
}

/** Asks until `count` runs were claimed in all: an index may be late. @throws Error after 30 s of real time */
export async function claimAll(
  worker: WorkerJournal,
  count: number,
  clock: VirtualClock,
): Promise<readonly ClaimedRun[]> {
  const claimed: ClaimedRun[] = [];
  await eventually(clock, `${count} runs to claim`, async () => {
    claimed.push(...(await worker.claim(100)));
    return claimed.length >= count;
  });
  return claimed;
}

/** Asks until a worker has `count` announcements to make. @throws Error after 30 s of real time */
export async function untoldAll(
  worker: WorkerJournal,
  count: number,
  clock: VirtualClock,
): Promise<readonly WrittenAnnouncement[]> {
  let untold: readonly WrittenAnnouncement[] = [];
  await eventually(clock, `${count} announcements`, async () => {
    untold = await worker.unannounced(1_000);
    return untold.length >= count;
  });
  return untold;
}

/** Each try is a second on the virtual clock, in which everybody that does not beat comes nearer to being declared dead. */
async function eventually(clock: VirtualClock, what: string, isSo: () => Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 30_000; !(await isSo()); ) {
    if (performance.now() > deadline) throw new Error(`not within 30 s: ${what}`);
    clock.advance(1_000);
    await delay(10);
  }
}
