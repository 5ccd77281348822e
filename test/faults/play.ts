import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FaultStage, type StageOptions } from './stage.ts';

/** From the last fault to quiet. A machine that does a dozen other things takes its time. */
const QUIET_MS = 300_000;

/** What orders, fates and faults of a test follow from; printed by {@link playFaults}. `MERCATO_FAULT_SEED` plays one again. */
export function faultSeed(): string {
  return process.env['MERCATO_FAULT_SEED'] ?? randomBytes(4).toString('hex');
}

/**
 * Plays faults on a whole shop and holds what all observers saw against each other. Its seed is printed; `MERCATO_FAULT_SEED` plays it again: the same
 * orders and kills, not the same interleaving. A failure keeps logs and stores, and says where.
 *
 * @param faults what happens while customers order; resolves when nothing more goes wrong @returns what is worth a line
 */
export async function playFaults(
  options: Omit<StageOptions, 'directory'>,
  faults: (stage: FaultStage) => Promise<string>,
): Promise<void> {
  const { seed } = options;
  const began = performance.now();
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'mercato-faults-')));
  const stage = await FaultStage.set({ ...options, directory });
  try {
    const line = await faults(stage);
    const faultless = performance.now();
    const { violations, ends, untold } = await stage.check(QUIET_MS);
    const now = performance.now();
    const seconds = (ms: number) => (ms / 1_000).toFixed(0);
    const told = [...ends].map(([state, count]) => `${count} ${state.toLowerCase()}`).join(', ');
    process.stdout.write(
      `      seed ${seed}: ${line}; ${stage.customers.accepted} orders: ${told}; quiet ${seconds(now - faultless)} s later; ${seconds(now - began)} s in all\n`,
    );
    if (violations.length > 0) {
      const all = violations.slice(0, 20).map(({ rule, observer, sentence }) => `${rule} (${observer}): ${sentence}`);
      expect.fail(`${violations.length} violations, as ${all.join('; ')}`);
    }
    expect(stage.customers.refused, 'orders refused').to.deep.equal([]);
    expect(untold, 'customers who were not told').to.deep.equal([]);
    expect(ends.get('Completed') ?? 0).to.be.at.least(stage.customers.accepted / 2);
  } catch (error) {
    const kept = await mkdtemp(join(tmpdir(), 'mercato-faults-kept-'));
    await cp(directory, kept, { recursive: true, filter: (path) => !path.includes('/etcd') });
    throw new Error(
      `seed ${seed} (MERCATO_FAULT_SEED=${seed} plays it again; logs and data: ${kept}): ${String(error)}`,
      {
        cause: error,
      },
    );
  } finally {
    await stage.stop();
  }
}
