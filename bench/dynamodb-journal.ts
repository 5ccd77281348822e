import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { type Emulator, startDynamoDbLocal, startMiniStack } from '@mercato/aws-emulators';
import { createJournalTable } from '@mercato/operator/testing/journal-table.ts';
import type { Outcome, Task } from './dynamodb/messages.ts';
import { type Figure, median } from './figures.ts';

/** Runs a round, all workers together. */
const RUNS = Number(process.env['BENCH_RUNS'] ?? 3_000);
const ROUNDS = 3;
const WORKERS = [1, 2, 4];
/** All workers together. */
const IN_FLIGHT = 64;
const EMULATORS = { 'DynamoDB Local': startDynamoDbLocal, MiniStack: startMiniStack } as const;

/**
 * The dynamodb journal under 1, 2 and 4 worker processes, over what the same processes take from the same emulator with the very same calls in a bare
 * loop: create, pivot intent, end. Rounds of both alternate. The emulators are no DynamoDB: what counts are calls and shares, not rates.
 */
export async function dynamodbJournal(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [name, start] of Object.entries(EMULATORS)) {
    const emulator = await start();
    try {
      figures.push(...(await onEmulator(name, emulator)));
    } finally {
      await emulator.close();
    }
  }
  return figures;
}

async function onEmulator(emulator: string, { client, environment }: Emulator): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const workers of WORKERS) {
    const table = `journal-${workers}`;
    await createJournalTable(client, table);
    const crew = await Promise.all(Array.from({ length: workers }, () => launch(table, environment)));
    const of = `${emulator}, ${workers} ${workers === 1 ? 'worker' : 'workers'}`;
    try {
      figures.push(...(await measure(of, crew)));
    } finally {
      for (const worker of crew) worker.disconnect();
      await Promise.all(crew.map((worker) => worker.exitCode ?? once(worker, 'exit')));
    }
  }
  return figures;
}

async function measure(of: string, crew: readonly ChildProcess[]): Promise<Figure[]> {
  const raw: Round[] = [];
  const journal: Round[] = [];
  await round(crew, 'raw', 'w1', RUNS / 5);
  await round(crew, 'journal', 'w2', RUNS / 5);
  for (let n = 0; n < ROUNDS; n++) {
    raw.push(await round(crew, 'raw', `r${n}`, RUNS));
    journal.push(await round(crew, 'journal', `j${n}`, RUNS));
    process.stderr.write(
      `${of}: raw ${raw.at(-1)?.rate.toFixed(0)}, journal ${journal.at(-1)?.rate.toFixed(0)} runs/s\n`,
    );
  }
  const share = median(journal.map(({ rate }, n) => rate / (raw[n]?.rate ?? Number.NaN)));
  return [
    { name: `${of}: bare loop`, value: median(raw.map(({ rate }) => rate)), unit: 'runs/s' },
    { name: `${of}: journal`, value: median(journal.map(({ rate }) => rate)), unit: 'runs/s' },
    { name: `${of}: journal over bare loop`, value: share, unit: 'ratio', goal: '>= 0.7' },
    {
      name: `${of}: calls besides the create`,
      value: Math.max(...journal.map(({ writes }) => writes)),
      unit: 'calls a run',
      goal: '<= 2',
    },
    { name: `${of}: all calls`, value: median(journal.map(({ calls }) => calls)), unit: 'calls a run' },
    { name: `${of}: CPU of the workers`, value: median(journal.map(({ cpu }) => cpu)), unit: 'us a run' },
  ];
}

interface Round {
  /** Runs a second. */
  readonly rate: number;
  readonly calls: number;
  readonly writes: number;
  /** Microseconds. All three for a run. */
  readonly cpu: number;
}

async function round(crew: readonly ChildProcess[], mode: Task['mode'], prefix: string, total: number): Promise<Round> {
  const runs = Math.ceil(total / crew.length);
  const began = performance.now();
  const outcomes = await Promise.all(
    crew.map((worker, n) => ask(worker, { mode, prefix: `${prefix}-${n}-x`, runs, inFlight: IN_FLIGHT / crew.length })),
  );
  const count = runs * crew.length;
  const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((all, outcome) => all + of(outcome), 0);
  return {
    rate: count / ((performance.now() - began) / 1_000),
    calls: sum(({ calls }) => calls) / count,
    writes: sum(({ writes }) => writes) / count,
    cpu: (sum(({ cpu }) => cpu) * 1e6) / count,
  };
}

async function launch(table: string, environment: Readonly<Record<string, string>>): Promise<ChildProcess> {
  const worker = fork(new URL('./dynamodb/worker.ts', import.meta.url), [table], {
    env: { ...process.env, ...environment },
  });
  await answer(worker);
  return worker;
}

async function ask(worker: ChildProcess, task: Task): Promise<Outcome> {
  worker.send(task);
  return (await answer(worker)) as Outcome;
}

/** @throws Error when the worker ends instead; it has said why on stderr */
async function answer(worker: ChildProcess): Promise<unknown> {
  const settled = new AbortController();
  const { signal } = settled;
  try {
    return await Promise.race([
      once(worker, 'message', { signal }).then(([message]) => message as unknown),
      once(worker, 'exit', { signal }).then(([code]) => Promise.reject(new Error(`a worker ended with ${code}`))),
    ]);
  } finally {
    settled.abort();
  }
}
