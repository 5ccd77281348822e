import { setTimeout as pause } from 'node:timers/promises';
import { randomStream } from '@mercato/demo/play/random.ts';
import { shuffled } from '../crash/schedule.ts';
import { Kubelet } from './kubelet.ts';
import { type FaultStage, until } from './stage.ts';

/** Sent before the first kill. */
const AT_ONCE = 48;
/** Sent further before each kill, so that every kill finds orders in flight. */
const FOR_EACH = 6;
/** From when it works to its kill: its take-over, or the middle of its work. Now and then it is killed while it still starts. */
const MOST_DELAY_MS = 400;
const WHILE_IT_STARTS = 0.2;
const PATIENCE_MS = 180_000;

/** How many kills each journal gets: `make faults` asks for the 50 that are promised, `make test` for fewer. */
export const KILLS = Number(process.env['MERCATO_KILLS'] ?? 6);

/** How many orders so many kills need. */
export const ordersFor = (kills: number): number => AT_ONCE + kills * FOR_EACH;

/**
 * Kills programs of the shop, each so many times, one after another at random moments, while orders come in: all that follows from the seed. They are started
 * again; what they find is theirs to sort out.
 * @returns what happened, for the test's line
 */
export async function killAtRandom(
  stage: FaultStage,
  seed: string,
  kills: Readonly<Record<string, number>>,
): Promise<string> {
  const random = randomStream(`${seed}\nkills`);
  const targets = shuffled(
    Object.entries(kills).flatMap(([name, count]) => Array<string>(count).fill(name)),
    random,
  );
  const names = Object.keys(kills);
  const kubelet = new Kubelet(stage.shop.fleet, names);
  const hits: number[] = [];
  try {
    stage.customers.release(AT_ONCE);
    for (const [nth, target] of targets.entries()) {
      if (random() >= WHILE_IT_STARTS) await kubelet.untilAllWork([target]);
      stage.customers.release(AT_ONCE + (nth + 1) * FOR_EACH);
      const delayMs = random() * MOST_DELAY_MS;
      // They may have come to their ends while this process stood still.
      await until(
        'an order is in flight, or all have ended',
        PATIENCE_MS,
        async () => stage.inFlight > 0 || stage.customers.isAnswered,
      );
      await pause(delayMs);
      hits.push(stage.inFlight);
      await kubelet.kill(target);
    }
    await kubelet.untilAllWork(names);
  } finally {
    await kubelet.stop();
  }
  const exits = [...kubelet.exits].map(([name, count]) => `, ${name} ended by itself ${count} times`).join('');
  hits.sort((a, b) => a - b);
  const each = Object.entries(kills).map(([name, count]) => `${count} of ${name}`);
  return `${targets.length} kills (${each.join(', ')}), at each ${hits[0]} to ${hits.at(-1)} orders in flight${exits}`;
}
