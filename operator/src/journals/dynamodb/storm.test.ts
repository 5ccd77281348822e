import { sharedDynamoDbLocal } from '@mercato/aws-emulators/testing.ts';
import { expect } from 'chai';
import { VirtualClock } from '../../runtime/clock.ts';
import { fraction } from '../../saga/backoff.ts';
import { canonicalJson } from '../../saga/canonical.ts';
import { runKey } from '../../saga/command.ts';
import type { RunId, RunState } from '../../saga/types.ts';
import type { DynamoFault } from '../../testing/dynamo-faults.ts';
import { DynamoPlace } from '../../testing/dynamo-place.ts';
import { ended, held, INTENT, newRun, resumed } from '../../testing/dynamo-runs.ts';
import { JournalUnavailable, VersionConflict } from '../journal.ts';
import { type Announcement, IncarnationLost } from '../worker-journal.ts';
import type { DynamoJournal } from './journal.ts';

const ORDERS = 60;
const WORKERS = 3;
const FAULTS: readonly DynamoFault[] = ['conflict', 'throttled', 'throughput', 'internal', 'unsent', 'answer lost'];

/** Random numbers in [0, 1) that a seed gives again. */
function chance(seed: string): () => number {
  let drawn = 0;
  return () => fraction(`${seed}/${drawn++}`);
}

/** What everybody together did. */
class Records {
  /** Each version of each run, as whoever wrote it knows. */
  readonly #written = new Map<string, string>();
  readonly #ended = new Map<string, string>();
  readonly #told = new Map<string, Announcement>();
  readonly problems: string[] = [];

  wrote(id: RunId, version: string, state: RunState): void {
    const at = `${runKey(id)}@${version}`;
    const text = canonicalJson(state);
    if ((this.#written.get(at) ?? text) !== text) this.problems.push(`${at} was written twice`);
    this.#written.set(at, text);
    if (state.ended === undefined) return;
    if ((this.#ended.get(runKey(id)) ?? version) !== version) this.problems.push(`${runKey(id)} ended twice`);
    this.#ended.set(runKey(id), version);
  }

  heard(announcement: Announcement): void {
    this.#told.set(`${runKey(announcement.id)}/${announcement.sequence}`, announcement);
  }

  /** What was not told of a run that ended after `holds` holds. */
  untold(id: RunId, holds: number): number[] {
    const sequences = Array.from({ length: 2 * holds + 1 }, (_, n) => n + 1);
    return sequences.filter((sequence) => !this.#told.has(`${runKey(id)}/${sequence}`));
  }

  /** Whether the end of a run was told, and all that came before it. */
  isComplete(id: RunId): boolean {
    const last = [...this.#told.values()].find((told) => runKey(told.id) === runKey(id) && told.type === 'succeeded');
    return last !== undefined && this.untold(id, (last.sequence - 1) / 2).length === 0;
  }
}

/** Drives runs as the runner does: one event at a time, each write compared where it is not known what came of it. */
class Driver {
  readonly journal: DynamoJournal;
  readonly #records: Records;
  readonly #random: () => number;
  readonly #runs = new Map<string, { id: RunId; state: RunState | undefined; version: string }>();

  constructor(journal: DynamoJournal, records: Records, random: () => number) {
    this.journal = journal;
    this.#records = records;
    this.#random = random;
  }

  async take(orderId: string): Promise<boolean> {
    const run = newRun(orderId);
    const creation = await this.journal.create(run);
    if (creation.type === 'Created')
      this.#runs.set(orderId, { id: run.id, state: undefined, version: creation.version });
    return true;
  }

  /** Everything that a worker does, once. */
  async round(): Promise<void> {
    await this.#try(() => this.journal.beat());
    await this.#try(async () => {
      for (const { run, record } of await this.journal.claim(10)) {
        if (!('state' in record)) this.#records.problems.push(`${runKey(run.id)} is not readable`);
        else this.#runs.set(run.id.orderId, { id: run.id, state: record.state, version: record.version });
      }
    });
    await Promise.all([...this.#runs.keys()].map((order) => this.#try(() => this.#drive(order))));
    await this.#try(() => this.#tell());
  }

  async #drive(order: string): Promise<void> {
    const run = this.#runs.get(order);
    if (run === undefined || this.#random() < 0.3) return;
    const next = this.#after(run.state);
    try {
      const version = await this.journal.write(run.id, next, run.version);
      this.#done(order, next, version);
    } catch (error) {
      if (!(error instanceof VersionConflict || error instanceof JournalUnavailable)) throw error;
      const found = await this.journal.read(run.id);
      if (found === undefined || !('state' in found)) return void this.#runs.delete(order);
      if (canonicalJson(found.state ?? null) === canonicalJson(next)) this.#done(order, next, found.version);
      else if (canonicalJson(found.state ?? null) === canonicalJson(run.state ?? null)) run.version = found.version;
      else this.#runs.delete(order);
    }
  }

  #done(order: string, state: RunState, version: string): void {
    const run = this.#runs.get(order);
    if (run === undefined) return;
    this.#records.wrote(run.id, version, state);
    if (state.ended !== undefined) this.#runs.delete(order);
    else this.#runs.set(order, { id: run.id, state, version });
  }

  #after(state: RunState | undefined): RunState {
    if (state === undefined) return INTENT;
    if (state.hold !== undefined) return resumed(state.holds);
    return state.holds < 2 && this.#random() < 0.3 ? held(state.holds + 1) : ended(state.holds);
  }

  async #tell(): Promise<void> {
    const written = await this.journal.unannounced(5);
    for (const { announcement } of written) this.#records.heard(announcement);
    await this.journal.announced(written.map(({ receipt }) => receipt));
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    await work().catch((error: unknown) => {
      if (!(error instanceof JournalUnavailable || error instanceof VersionConflict)) throw error;
    });
  }
}

describe('Workers that share the dynamodb journal', function () {
  this.timeout(120_000);

  for (const seed of [`${Date.now()}`, 'a', 'b'])
    it(`lose no run and no announcement, and drive none twice, whatever fails (seed ${seed})`, async () => {
      const random = chance(seed);
      const clock = new VirtualClock();
      const place = await DynamoPlace.create((await sharedDynamoDbLocal()).client, clock);
      const records = new Records();
      let faulty = true;
      const start = async (): Promise<Driver> => {
        const journal = await place.start();
        const faults = place.faultsOf(journal);
        faults.plan = () => (faulty && random() < 0.06 ? FAULTS[Math.floor(random() * FAULTS.length)] : undefined);
        return new Driver(journal, records, random);
      };
      const drivers = await Promise.all(Array.from({ length: WORKERS }, start));
      /** What goes on although others have declared it dead. */
      const zombies: Driver[] = [];
      const orders = Array.from({ length: ORDERS }, (_, n) => `o-${n}`);
      const waiting = [...orders];

      const deadline = performance.now() + 100_000;
      for (let round = 0; !orders.every((order) => records.isComplete(newRun(order).id)); round++) {
        if (performance.now() > deadline) break;
        faulty = round < 60;
        clock.advance(700);
        for (let n = 0; n < 3 && waiting.length > 0; n++) {
          const driver = drivers[Math.floor(random() * WORKERS)] as Driver;
          const order = waiting[0] as string;
          if (await driver.take(order).catch(() => false)) waiting.shift();
        }
        await Promise.all(
          [...drivers.entries()].map(async ([n, driver]) => {
            const faults = place.faultsOf(driver.journal);
            if (random() < 0.1) faults.freezeIndexes();
            else if (!faulty || random() < 0.5) faults.thawIndexes();
            try {
              await driver.round();
            } catch (error) {
              if (!(error instanceof IncarnationLost)) throw error;
              drivers[n] = await start();
              return;
            }
            if (!faulty || random() > 0.03) return;
            const how = random();
            if (how < 0.3) await driver.journal.handOver().catch(() => undefined);
            else if (how < 0.7) zombies.push(driver);
            drivers[n] = await start();
          }),
        );
        // A zombie stood still for a while, and does not know.
        if (round % 20 === 19)
          await Promise.all(zombies.splice(0).map((zombie) => zombie.round().catch(() => undefined)));
      }

      expect(records.problems).to.deep.equal([]);
      for (const order of orders) {
        const item = await place.item(newRun(order).id);
        expect(item?.['ended']?.S, order).to.equal('Succeeded');
        const holds = (JSON.parse(item?.['state']?.S ?? '{}') as RunState).holds;
        expect(records.untold(newRun(order).id, holds), `${order}: not told`).to.deep.equal([]);
      }
      place.close();
    });
});
