import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, realpath, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import type { Violation } from '@mercato/demo/conservation.ts';
import { Phases } from '@mercato/demo/local/phases.ts';
import { localReach } from '@mercato/demo/local/reach.ts';
import { startTemporaryShop, type TemporaryShop } from '@mercato/demo/local/shop.ts';
import { checkSettled, SAGA, stockUp } from '@mercato/demo/play/day.ts';
import { atAddresses, openShop, readExamples } from '@mercato/demo/play/examples.ts';
import { Administration, observe } from '@mercato/demo/play/observe.ts';
import { orderBook } from '@mercato/demo/play/orderbook.ts';
import { Player } from '@mercato/demo/play/player.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { expect } from 'chai';
import { Killer } from './crash/killer.ts';
import { mustBeHeld } from './crash/oracle.ts';
import { killsOf, TARGETS } from './crash/schedule.ts';

const NAMESPACE = 'default';
const ORDERS = 512;
/** Sent at once. The rest is kept back and sent a few before each kill, so that every kill finds runs in flight. */
const AT_ONCE = 400;
/** `make faults` asks for as many kills of the operator as are promised. */
const OPERATOR_KILLS = Number(process.env['MERCATO_KILLS'] ?? 20);
const KILLS = { operator: OPERATOR_KILLS, inventory: 5, payment: 5, shipping: 5, 'kube-apiserver': 3 };
/** From the last kill to quiet. */
const QUIET_MS = 240_000;
/** The longest that services may take for what they finish after the runs. */
const SETTLE_MS = 60_000;
/** Until runs are in flight. */
const PATIENCE_MS = 180_000;

describe('a shop whose processes are killed', function () {
  this.timeout(900_000 + OPERATOR_KILLS * 20_000);
  before(() => requireBinaries());

  it(`loses nothing of ${ORDERS} orders`, async () => {
    const seed = process.env['MERCATO_CRASH_SEED'] ?? randomBytes(4).toString('hex');
    const began = performance.now();
    const folder = await realpath(await mkdtemp(join(tmpdir(), 'mercato-crash-')));
    const log: string[] = [];
    const phases = new Phases((line) => log.push(line));
    // Only a machine that crashes loses what etcd has not yet flushed; killed processes lose nothing. And a disk is shared by all.
    const shop = await startTemporaryShop(folder, phases, { etcdUnsafeNoFsync: true }, { 'lease-duration': '3s' });
    try {
      await play(shop, seed, began);
    } catch (error) {
      const kept = await keep(shop, [...log, String(error)]);
      throw new Error(
        `seed ${seed} (MERCATO_CRASH_SEED=${seed} plays it again; logs and data: ${kept}): ${String(error)}`,
        {
          cause: error,
        },
      );
    } finally {
      await shop.client.transport.close();
      await shop.stop();
    }
  });
});

async function play(shop: TemporaryShop, seed: string, began: number): Promise<void> {
  const examples = await readExamples();
  const orders = orderBook(seed, ORDERS);
  const kills = killsOf(seed, KILLS);
  const admin = new Administration(localReach(shop.site, shop.client));
  const killer = new Killer(shop);
  const stop = new AbortController();
  const gate = new Gate(AT_ONCE);
  const player = new Player({
    client: shop.client,
    namespace: NAMESPACE,
    saga: SAGA,
    orders,
    dayMs: 0,
    concurrency: 64,
    release: (nth) => gate.pass(nth),
  });
  const inFlight = () => {
    const { accepted, settled } = player.tally();
    return accepted - settled;
  };
  let [playing, sending]: [Promise<void>, Promise<void>] = [Promise.resolve(), Promise.resolve()];
  try {
    await openShop(shop.client, admin, atAddresses(examples, localReach(shop.site, shop.client)), NAMESPACE);
    const broughtIn = await stockUp({ seed, orders, warehouses: examples.warehouses }, admin);
    playing = player.watch(stop.signal);
    sending = player.send(stop.signal).catch(() => {});
    await until('most orders are in flight', PATIENCE_MS, () => player.tally().accepted >= AT_ONCE / 2);
    const startedMs = performance.now();
    await killer.run(kills, inFlight, async (nth) => {
      gate.openUntil(AT_ONCE + Math.ceil(((nth + 1) / kills.length) * (ORDERS - AT_ONCE)));
      await until('an order is in flight', PATIENCE_MS, () => inFlight() > 0);
    });
    const killedMs = performance.now();
    await until('all is quiet', QUIET_MS, () => player.isQuiet).catch(() => {});
    const quietMs = performance.now();
    const violations = await checkSettled(async () => {
      const seen = await observe(player, admin, shop.client, { namespace: NAMESPACE, saga: SAGA }, broughtIn);
      return { ...seen, mustBeHeld: mustBeHeld(seen) };
    }, SETTLE_MS);
    const { accepted, refused, phases } = player.tally();
    const seconds = (ms: number) => (ms / 1000).toFixed(0);
    const ranOut = [...player.played.values()].filter(({ run }) => reasonOf(run) === 'StepFailed').length;
    const hits = killer.killed.map((each) => each.inFlight).sort((a, b) => a - b);
    process.stdout.write(
      `      seed ${seed}: ${killer.killed.length} kills in ${seconds(killedMs - startedMs)} s, at each ${hits[0]} to ${hits.at(-1)} runs in flight; ` +
        `${accepted} orders: ${phases.Succeeded} completed, ${phases.Compensated} compensated (${ranOut} of them as a service was away for too long), ${phases.Held} held; ` +
        `quiet ${seconds(quietMs - killedMs)} s later; the operator gave up its lease ${killer.exits} times; ${seconds(performance.now() - began)} s in all\n`,
    );
    if (violations.length > 0)
      expect.fail(`${violations.length} violations, as ${violations.slice(0, 20).map(sentenceOf).join('; ')}`);
    expect({ accepted, refused }).to.deep.equal({ accepted: ORDERS, refused: 0 });
    for (const target of TARGETS)
      expect(
        killer.killed.filter((each) => each.target === target),
        target,
      ).to.have.length(KILLS[target]);
    expect(hits[0], 'runs in flight at a kill').to.be.at.least(1);
    expect(hits.at(-1), 'runs in flight at a kill').to.be.at.least(100);
    expect(phases.Succeeded).to.be.at.least(ORDERS / 2);
    expect(phases.Compensated).to.be.at.least(5);
  } finally {
    stop.abort(new Error('the test is over'));
    gate.openUntil(ORDERS);
    await killer.stop();
    await Promise.all([playing, sending]);
    await admin.close();
  }
}

/** Lets the first orders through at once and further ones when it is opened. */
class Gate {
  #open: number;
  #changed = Promise.withResolvers<void>();

  constructor(open: number) {
    this.#open = open;
  }

  /** Waits until the nth order (from 0) may pass. */
  async pass(nth: number): Promise<void> {
    while (nth >= this.#open) await this.#changed.promise;
  }

  openUntil(count: number): void {
    this.#open = Math.max(this.#open, count);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

/** Why a run ended as it did. */
function reasonOf(run: OrderSagaRun | undefined): string | undefined {
  return run?.status?.conditions?.find(({ type }) => type === 'Succeeded')?.reason;
}

function sentenceOf({ rule, observer, sentence }: Violation): string {
  return `${rule} (${observer}): ${sentence}`;
}

/** Copies what a person needs to find out what happened, before the shop goes. Answers where it is. */
async function keep(shop: TemporaryShop, log: readonly string[]): Promise<string> {
  const kept = await mkdtemp(join(tmpdir(), 'mercato-crash-kept-'));
  await cp(shop.site.folder, kept, { recursive: true, filter: (path) => !path.includes('/etcd') });
  await writeFile(join(kept, 'test.log'), `${log.join('\n')}\n`);
  const runs = await shop.plane.kubectl(['get', 'osr', '-A', '-o', 'json']).catch((error: unknown) => String(error));
  await writeFile(join(kept, 'runs.json'), runs);
  return kept;
}

async function until(what: string, timeoutMs: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`not so after ${timeoutMs / 1000} s: ${what}`);
    await pause(20);
  }
}
