import { parseArgs } from 'node:util';
import { World } from './world.ts';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '200' },
    seed: { type: 'string' },
    from: { type: 'string', default: '1' },
    trace: { type: 'boolean', default: false },
  },
});

const from = Number(values.seed ?? values.from);
const count = values.seed === undefined ? Number(values.seeds) : 1;
const started = performance.now();
const ends = new Map<string, number>();
let failed = 0;
let steps = 0;
for (let seed = from; seed < from + count; seed++) {
  const outcome = await new World(seed, values.trace ? console.log : undefined).play();
  steps += outcome.steps;
  for (const end of outcome.ends) ends.set(end, (ends.get(end) ?? 0) + 1);
  if (outcome.problems.length > 0) {
    failed += 1;
    console.log(`seed ${seed}: ${outcome.problems.slice(0, 3).join('\n    ')}\n  faults: ${outcome.faults}`);
  }
}
const seconds = (performance.now() - started) / 1000;
console.log(
  `${count} seeds, ${failed} failed, ${seconds.toFixed(1)} s, ${(count / seconds).toFixed(1)} seeds/s, ${Math.round(steps / count)} steps each`,
);
console.log(JSON.stringify(Object.fromEntries([...ends].sort())));
