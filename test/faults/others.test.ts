import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { sharedElasticMq } from '@mercato/aws-emulators/testing.ts';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { sqsClient } from '@mercato/operator/aws/sqs.ts';
import { testQueueWithDeadLetters } from '@mercato/operator/aws/testing.ts';
import { expect } from 'chai';
import { request } from 'undici';
import { faultSeed, playFaults } from './play.ts';
import { QueueDoor } from './queue-door.ts';
import { type FaultStage, until } from './stage.ts';

const MINUTE_MS = 60_000;
const PATIENCE_MS = 180_000;
/** How long a participant says nothing. */
const SLOW_MS = 30_000;
/** Whose clock is off, by how much. Shipping's is put right on the way. */
const CLOCKS: Readonly<Record<string, number>> = {
  operator: -10 * MINUTE_MS,
  order: 10 * MINUTE_MS,
  payment: 10 * MINUTE_MS,
  shipping: -10 * MINUTE_MS,
};
/** Whose disk is full for a while, and what says so in its log. */
const DISKS = ['order', 'operator', 'inventory'] as const;

/** How often the order service is killed between the commit of an order and the relay of its event. */
const RELAY_KILLS = 3;

describe('a shop with wrong clocks, full disks, a relay that is killed, a slow participant, and a queue that delivers twice and out of order', function () {
  this.timeout(1_200_000);
  before(() => requireBinaries());

  it('refuses what it must, says so, and loses nothing', async () => {
    const seed = faultSeed();
    const folder = await mkdtemp(join(tmpdir(), 'mercato-switches-'));
    const { client, environment } = await sharedElasticMq();
    const sqs = sqsClient({ config: client });
    const { queue } = await testQueueWithDeadLetters(sqs, 'orders');
    const door = await QueueDoor.before(queue, seed);
    const switches = new Switches(folder);
    try {
      for (const [name, millis] of Object.entries(CLOCKS)) await switches.setClock(name, millis);
      const operator = { name: 'operator', takesIn: true };
      const journal = ['--journal=sqlite', `--journal-path=${join(folder, 'journal.sqlite')}`];
      await playFaults(
        {
          seed,
          orders: 150,
          intake: door.url,
          operators: [{ ...operator, args: [...journal, `--intake-queue=${queue.url}`] }],
          envOf: (name) => ({ ...(name === 'operator' ? environment : {}), ...switches.environmentOf(name) }),
        },
        async (stage) => {
          await putClockRight(stage, switches);
          const beganMs = performance.now();
          stage.shop.fleet.signal('shipping', 'SIGSTOP');
          let released = 30;
          for (let kill = 0; kill < RELAY_KILLS; kill++) {
            released += 5;
            await killBeforeRelay(stage, switches, released);
          }
          for (const name of DISKS) {
            released += 30;
            await fillDisk(stage, switches, name, released);
          }
          await until(
            'shipping was silent for long enough',
            SLOW_MS * 2,
            async () => performance.now() - beganMs > SLOW_MS,
          );
          const waiting = stage.inFlight;
          stage.shop.fleet.signal('shipping', 'SIGCONT');
          stage.customers.release(150);
          const silent = ((performance.now() - beganMs) / 1_000).toFixed(0);
          return `shipping silent for ${silent} s, with ${waiting} orders in flight; ${stage.customers.answers.get(503)} times 503; ${door.sent} messages so far`;
        },
      );
    } finally {
      await door.close();
      sqs.destroy();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** What is wrong with which program, switched from outside by files that are loaded or looked at by its preloads. */
class Switches {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Takes effect when the program starts. */
  async setClock(name: string, millis: number): Promise<void> {
    await writeFile(this.#clock(name), String(millis));
  }

  async setDiskFull(name: string, isFull: boolean): Promise<void> {
    if (isFull) await writeFile(this.#disk(name), '');
    else await rm(this.#disk(name));
  }

  /** The program ends when it is about to send its next event. */
  async killRelay(name: string): Promise<void> {
    await writeFile(this.#relay(name), '');
  }

  environmentOf(name: string): Record<string, string> {
    const relays = name === 'order';
    const isOff = name in CLOCKS;
    const isFilled = (DISKS as readonly string[]).includes(name);
    const preloads = [...(isOff ? ['clock'] : []), ...(isFilled ? ['disk'] : []), ...(relays ? ['relay'] : [])];
    const load = preloads.map(
      (file) => `--import=${pathToFileURL(join(import.meta.dirname, 'preload', `${file}.ts`))}`,
    );
    return {
      ...(isOff ? { MERCATO_FAULT_CLOCK: this.#clock(name) } : {}),
      ...(isFilled ? { MERCATO_FAULT_DISK: this.#disk(name) } : {}),
      ...(relays ? { MERCATO_FAULT_RELAY: this.#relay(name) } : {}),
      ...(load.length > 0 ? { NODE_OPTIONS: load.join(' ') } : {}),
    };
  }

  #clock(name: string): string {
    return join(this.#folder, `${name}.clock`);
  }

  #relay(name: string): string {
    return join(this.#folder, `${name}.relay`);
  }

  #disk(name: string): string {
    return join(this.#folder, `${name}.full`);
  }
}

/** Tokens are not valid yet by a clock that is slow: shipping refuses every call, and is forgiven once its clock is right. */
async function putClockRight({ shop, customers }: FaultStage, switches: Switches): Promise<void> {
  customers.release(30);
  await until('shipping refuses tokens of the future', PATIENCE_MS, async () => {
    const answer = await request(`${shop.urls.operator}/metrics`);
    const refused = /^mercato_participant_request_duration_seconds_count\{[^}]*participant="shipping"[^}]*\} [1-9]/m;
    return refused.test(await answer.body.text());
  });
  const booked = await request(`${shop.urls.carrier}/log?cursor=0&limit=1`);
  expect(((await booked.body.json()) as { entries: unknown[] }).entries, 'bookings').to.deep.equal([]);
  await switches.setClock('shipping', 0);
  await shop.fleet.kill('shipping');
  await shop.fleet.startAgain('shipping');
}

/** The order service ends with an order committed and nobody told, and is started again. */
async function killBeforeRelay({ shop, customers }: FaultStage, switches: Switches, released: number): Promise<void> {
  await switches.killRelay('order');
  customers.release(released);
  await until('the relay is killed', PATIENCE_MS, async () => shop.fleet.endOf('order') !== undefined);
  await shop.fleet.startAgain('order');
}

/** Fills a program's disk while orders come in, until its log says so; then makes room. */
async function fillDisk(stage: FaultStage, switches: Switches, name: string, released: number): Promise<void> {
  const log = join(stage.shop.fleet.directory, 'logs', `${name}.log`);
  const from = await stat(log).then(
    ({ size }) => size,
    () => 0,
  );
  const before = stage.customers.answers.get(503) ?? 0;
  await switches.setDiskFull(name, true);
  stage.customers.release(released);
  await until(`${name} says that its disk is full`, PATIENCE_MS, async () => {
    const said = (await readFile(log)).subarray(from).toString();
    // What the order service refuses it tells its customers, who come again.
    return name === 'order' ? (stage.customers.answers.get(503) ?? 0) > before : /full/.test(said);
  });
  await switches.setDiskFull(name, false);
  expect(stage.shop.fleet.endOf(name), name).to.equal(undefined);
}
