import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { MUTATIONS, type Mutation } from './mutations.ts';

/** The seeds of `make test`. */
export const SEEDS = 2_000;

/** What became of one mutation: the first seed tried that noticed it, and what it noticed. */
export interface Verdict {
  readonly mutation: Mutation;
  readonly seed?: number;
  readonly problem?: string;
  /** The mutation does not fit its file, or the process died of something else. */
  readonly error?: string;
}

const run = promisify(execFile);
const MUTANT = fileURLToPath(new URL('mutant.ts', import.meta.url));
/** What all mutants have in common is compiled once: half of what a quick one costs. Node compares sources, so that a mutation is never served from it. */
const COMPILED = fileURLToPath(new URL('../../node_modules/.cache/mutants', import.meta.url));

async function play(mutation: Mutation, from: number, count: number): Promise<Verdict> {
  try {
    const { stdout } = await run(process.execPath, [MUTANT, mutation.name, String(from), String(count)], {
      maxBuffer: 2 ** 26,
      env: { ...process.env, NODE_COMPILE_CACHE: COMPILED },
    });
    return {
      mutation,
      ...(JSON.parse(stdout.trim().split('\n').at(-1) ?? '{}') as { seed?: number; problem?: string }),
    };
  } catch (error) {
    const { stderr = '', code } = error as { stderr?: string; code?: number };
    const last = stderr
      .trim()
      .split('\n')
      .filter((line) => line !== '');
    // A mutant that cannot even run is noticed too, but not by the simulation: that is a mutation to be put right.
    return {
      mutation,
      error: code === 2 ? (last.at(-1) ?? '') : (last.find((line) => /Error/.test(line)) ?? 'it died'),
    };
  }
}

/** Plays the seeds of `make test` with the mutation in place, the one that noticed it last time first. */
export async function judge(mutation: Mutation): Promise<Verdict> {
  if (mutation.seed !== undefined) {
    const quick = await play(mutation, mutation.seed, 1);
    if (quick.seed !== undefined || quick.error !== undefined) return quick;
  }
  return play(mutation, 1, SEEDS);
}

/** Judges all, two at a time. */
export async function judgeAll(
  mutations: readonly Mutation[],
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict[]> {
  const waiting = [...mutations];
  const verdicts: Verdict[] = [];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const verdict = await judge(next);
      verdicts.push(verdict);
      onVerdict(verdict);
    }
  };
  await Promise.all([work(), work()]);
  return verdicts;
}

/** One line of the gate's table. */
export function verdictLine({ mutation, seed, problem, error }: Verdict): string {
  const found = error !== undefined ? `ERROR ${error}` : seed === undefined ? 'SURVIVED' : `seed ${seed}`;
  return `${mutation.rule.padEnd(52)} ${mutation.name.padEnd(66)} ${found.padEnd(10)} ${problem?.slice(0, 110) ?? ''}`.trimEnd();
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
  const chosen = MUTATIONS.filter(({ name, rule }) => `${rule} ${name}`.includes(values.only));
  const verdicts = await judgeAll(chosen, (verdict) => console.log(verdictLine(verdict)));
  process.exitCode = verdicts.every(({ seed }) => seed !== undefined) ? 0 : 1;
}
