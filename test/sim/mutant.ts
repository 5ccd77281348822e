import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { MUTATIONS } from './mutations.ts';

/**
 * A process with one mutation in it: `node test/sim/mutant.ts NAME SEED...|--from A --count N`. Plays the seeds one after the other up to the first that
 * fails, and prints `{"seed":S,"problem":"..."}`, without a seed when all are well. Exits with 2 when the mutation does not fit its file.
 */
const ROOT = new URL('../../', import.meta.url);
const [name = '', from = '1', count = '1'] = process.argv.slice(2);
const mutation = MUTATIONS.find((one) => one.name === name);
if (mutation === undefined) fail(`there is no mutation "${name}"`);

const target = new URL(mutation.file, ROOT).href;
const occurrences = readFileSync(fileURLToPath(target), 'utf8').split(mutation.find).length - 1;
if (occurrences !== 1)
  fail(`${mutation.file} has what "${name}" replaces ${occurrences} times, not once: bring the list up to date`);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== target) return loaded;
    return { ...loaded, source: String(loaded.source).replace(mutation.find, () => mutation.replace) };
  },
});

const { World } = await import('./world.ts');
const { journalOf } = await import('./journals.ts');
const until = Number(from) + Number(count);
let found: { seed?: number; problem?: string } = {};
for (let seed = Number(from); seed < until && found.seed === undefined; seed++) {
  if (mutation.journal !== undefined && journalOf(seed) !== mutation.journal) continue;
  const { problems } = await new World(seed).play();
  if (problems[0] !== undefined) found = { seed, problem: problems[0] };
}
console.log(JSON.stringify(found));

function fail(why: string): never {
  console.error(why);
  process.exit(2);
}
