import { parseArgs } from 'node:util';
import { play } from './campaign.ts';
import { failureReport, Tally } from './report.ts';
import { World } from './world.ts';

/**
 * Plays seeds of the simulation: `--seeds N` of them, `--from A` on; or one alone, `--seed S`, with `--trace` to see everything that happens in it. Exits
 * with 1 when a seed failed.
 */
const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});

/** Of more failing seeds than this only the number is told. */
const REPORTED = 5;

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`--${name}: a whole number from 1, not ${text}`);
  return value;
}

async function playOne(seed: number): Promise<boolean> {
  const outcome = await new World(seed, values.trace ? console.log : undefined).play();
  console.log(
    outcome.problems.length > 0
      ? failureReport(outcome)
      : `seed ${seed} is well: ${outcome.ends.join(', ')}; faults: ${outcome.faults}`,
  );
  return outcome.problems.length === 0;
}

async function playMany(from: number, count: number): Promise<boolean> {
  const tally = new Tally();
  let failures = 0;
  const isTerminal = process.stderr.isTTY === true;
  const show = (every: number) => {
    if (tally.seeds % every === 0) process.stderr.write(`${tally.progress(count)}${isTerminal ? '\r' : '\n'}`);
  };
  const failed = await play({
    from,
    count,
    onOutcome: (outcome) => {
      tally.add(outcome);
      if (outcome.problems.length > 0 && ++failures <= REPORTED) console.log(failureReport(outcome));
      show(isTerminal ? 10 : 200);
    },
  });
  console.log(`${tally.progress(count)}; ${tally.summary()}`);
  return failed.length === 0;
}

const isWell =
  values.seed === undefined
    ? await playMany(wholeNumber('from', values.from), wholeNumber('seeds', values.seeds))
    : await playOne(wholeNumber('seed', values.seed));
process.exitCode = isWell ? 0 : 1;
