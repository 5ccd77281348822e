import { availableParallelism } from 'node:os';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Outcome, World } from './world.ts';

/** Which seeds to play: `count` of them from `from` on. */
export interface Campaign {
  readonly from: number;
  readonly count: number;
  /** Stop at the first seed that fails. @default false */
  readonly stopAtFailure?: boolean;
  /** Threads. @default 2, or fewer where there are fewer processors */
  readonly threads?: number;
  /** Told each seed's outcome as it comes; seeds of different threads come in any order. */
  readonly onOutcome?: (outcome: Outcome) => void;
}

/** One thread's share: every `stride`-th seed. */
interface Share {
  readonly from: number;
  readonly until: number;
  readonly stride: number;
}

/** Plays seeds on several threads. @returns what failed, the lowest seed first. */
export async function play(campaign: Campaign): Promise<Outcome[]> {
  const threads = campaign.threads ?? Math.min(2, availableParallelism());
  const failed: Outcome[] = [];
  const until = campaign.from + campaign.count;
  const shares = Array.from({ length: threads }, (_, i) => ({ from: campaign.from + i, until, stride: threads }));
  const workers = shares.map((share) => new Worker(new URL(import.meta.url), { workerData: share }));
  const ends = workers.map(
    (worker) =>
      new Promise<void>((resolve, reject) => {
        worker.on('message', (outcome: Outcome) => {
          campaign.onOutcome?.(outcome);
          if (outcome.problems.length === 0) return;
          failed.push(outcome);
          if (campaign.stopAtFailure) for (const each of workers) void each.terminate();
        });
        worker.on('error', reject);
        worker.on('exit', () => resolve());
      }),
  );
  await Promise.all(ends);
  return failed.sort((a, b) => a.seed - b.seed);
}

async function playShare({ from, until, stride }: Share): Promise<void> {
  for (let seed = from; seed < until; seed += stride) parentPort?.postMessage(await new World(seed).play());
}

if (!isMainThread && parentPort !== null) await playShare(workerData as Share);
