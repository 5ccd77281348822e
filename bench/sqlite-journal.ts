import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sqliteJournal } from '@mercato/operator/journals/sqlite/journal.ts';
import type { WorkerJournal } from '@mercato/operator/journals/worker-journal.ts';
import { INPUT, Rehearsal, revision, success } from '@mercato/operator/saga/rehearsal.ts';
import type { RunState } from '@mercato/operator/saga/types.ts';
import { sleep } from './cluster.ts';
import { type Figure, median } from './figures.ts';

const REVISION = revision();
const RUNS = Number(process.env['BENCH_RUNS'] ?? 20_000);
const ROUNDS = 3;
/** Runs at a time where as many writes as possible are wanted: each has one write under way. */
const CROWD = 1_000;
/** What the issue asks for: orders a second on the small machine. */
const PACE = 1_000;
const PACED_SECONDS = 10;

/** What a run that nothing disturbs writes after its create: the pivot's intent, and the end. */
interface Written {
  readonly intent: RunState;
  readonly end: RunState;
}

/**
 * The sqlite journal as a run that nothing disturbs uses it: create, pivot intent, end, its announcement told, and pruned. Once as fast as it takes them,
 * once at the pace of the issue, where the CPU time of all threads counts, less what the bench takes for itself: the journal's share of 2 ms an order.
 */
export async function sqliteJournalBench(): Promise<Figure[]> {
  const directory = await mkdtemp(join(tmpdir(), 'mercato-bench-'));
  const path = join(directory, 'journal.db');
  // What ended some seconds ago is pruned, so that the file must stay small.
  const journal = sqliteJournal(path, { retention: { ended: () => 2_000, remembered: 3_600_000 } });
  try {
    await journal.open();
    await journal.saveRevision('shop', 'checkout', REVISION);
    const written = rehearse();
    await crowd(journal, written, 'warm', RUNS / 4);
    const rates: number[] = [];
    const costs: number[] = [];
    for (let round = 0; round < ROUNDS; round++) rates.push(await crowd(journal, written, `crowd-${round}`, RUNS));
    for (let round = 0; round < ROUNDS; round++) {
      const idle = await paced(() => Promise.resolve());
      const stop = keepHouse(journal);
      costs.push((await paced((n) => drive(journal, written, `paced-${round}-${n}`))) - idle);
      await stop();
    }
    const { size } = await stat(path);
    return [
      { name: 'writes in groups', value: median(rates), unit: 'writes/s', goal: '>= 30000' },
      {
        name: `CPU of create, two writes, told, pruned, at ${PACE} runs/s`,
        value: median(costs),
        unit: 'us a run',
        goal: '< 60',
      },
      { name: 'file after all runs', value: size / 1e6, unit: 'MB' },
    ];
  } finally {
    await journal.close();
    await rm(directory, { recursive: true });
  }
}

function rehearse(): Written {
  const rehearsal = new Rehearsal(REVISION).runTo('capture');
  const intent = rehearsal.state;
  rehearsal.answer(success('capture'));
  return { intent, end: rehearsal.state };
}

async function drive(journal: WorkerJournal, { intent, end }: Written, orderId: string): Promise<void> {
  const id = { namespace: 'shop', saga: 'checkout', orderId };
  const made = await journal.create({ id, input: INPUT, revision: REVISION.hash, createdAt: Date.now() });
  if (made.type !== 'Created') throw new Error(`${orderId} is ${made.type}`);
  const version = await journal.write(id, intent, made.version);
  await journal.write(id, end, version);
}

async function tell(journal: WorkerJournal): Promise<void> {
  const news = await journal.unannounced(1_000);
  if (news.length > 0) await journal.announced(news.map(({ receipt }) => receipt));
}

/** What the operator does beside its runs. */
function keepHouse(journal: WorkerJournal): () => Promise<void> {
  let isOver = false;
  const kept = (async () => {
    while (!isOver) {
      await tell(journal);
      while (!isOver && (await journal.prune()));
      await sleep(50);
    }
  })();
  return () => {
    isOver = true;
    return kept;
  };
}

/** @returns writes per second */
async function crowd(journal: WorkerJournal, written: Written, prefix: string, count: number): Promise<number> {
  const stop = keepHouse(journal);
  let next = 0;
  const began = performance.now();
  await Promise.all(
    Array.from({ length: CROWD }, async () => {
      while (next < count) await drive(journal, written, `${prefix}-${next++}`);
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  await stop();
  return (3 * count) / seconds;
}

/** @returns CPU microseconds of the process per run, at {@link PACE} */
async function paced(run: (n: number) => Promise<void>): Promise<number> {
  const count = PACE * PACED_SECONDS;
  const underWay: Promise<void>[] = [];
  const before = process.cpuUsage();
  const began = performance.now();
  while (underWay.length < count) {
    const due = Math.min(count, Math.floor(((performance.now() - began) / 1_000) * PACE));
    while (underWay.length < due) underWay.push(run(underWay.length));
    await sleep(5);
  }
  await Promise.all(underWay);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / count;
}
