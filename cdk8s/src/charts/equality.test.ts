import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TSchema } from '@sinclair/typebox';
import { expect } from 'chai';
import fc from 'fast-check';
import { chartFiles, type Packaged } from '../backends/charts.ts';
import { overridesOf } from '../backends/environments.ts';
import { inequalities } from '../backends/equality.ts';
import { objectsOf } from '../backends/manifests.ts';
import type { Overrides } from '../backends/values.ts';
import { environments } from '../model/environments.ts';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { isTaken, overridesArbitrary, valuesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, writeFiles } from '../testing/helm.ts';
import { packagesOf } from './index.ts';

const RANDOM_VALUES = 200;
/** Values in one run of Helm. */
const AT_ONCE = 20;

/** What is off in every environment. */
const ALL_ON: Overrides = {
  callers: [{ podSelector: {} }],
  outsidePeers: [{ ipBlock: { cidr: '192.168.0.0/16' } }],
  allowedSubjects: ['ada'],
  global: {
    monitoring: { enabled: true },
    autoscaler: 'keda',
    tracing: { enabled: true },
    aws: { enabled: true, identity: 'irsa', oidcProvider: 'oidc.example/id', eventBus: true, commandQueues: true },
  },
};

/** Random values of a chart, and of those that it brings along under their names, that all of them take together. */
function arbitraryOf(packaged: Packaged): fc.Arbitrary<Overrides> {
  const { definition, dependencies } = packaged;
  if (dependencies.length === 0) return overridesArbitrary(definition);
  const own = valuesArbitrary(definition.values) as fc.Arbitrary<Overrides>;
  const theirs = fc.record(
    Object.fromEntries(dependencies.map(({ name, values }) => [name, valuesArbitrary(withoutGlobal(values))])),
    { requiredKeys: [] },
  );
  return fc
    .tuple(own, theirs)
    .map(([mine, others]): Overrides => ({ ...mine, ...(others as Overrides) }))
    .filter((overrides) => isTaken(() => objectsOf(packaged, overrides)));
}

/** What a parent chart says of all is its own to say. */
function withoutGlobal(schema: TSchema): TSchema {
  const { global: _, ...properties } = schema['properties'] as Record<string, TSchema>;
  return { ...schema, properties };
}

describe('the charts', () => {
  const packages = packagesOf(mercato);
  let folder: string;
  let helm: Helm;

  before(async function () {
    this.timeout(300_000);
    helm = await Helm.find();
    folder = await mkdtemp(join(tmpdir(), 'mercato-charts-'));
    for (const each of packages) {
      const own = join(folder, each.definition.name);
      await writeFiles(own, chartFiles(each));
      for (const { name } of each.dependencies)
        await cp(join(folder, name), join(own, 'charts', name), { recursive: true });
    }
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function compare(packaged: Packaged, overrides: Overrides, chart = join(folder, packaged.definition.name)) {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(overrides));
    return inequalities(objectsOf(packaged, overrides), await helm.template(chart, file));
  }

  /** That the two back ends give the same, asked of many values at once. Helm starts once for all of them, where it can. */
  function lawOf(packaged: Packaged) {
    const { definition, dependencies } = packaged;
    const several = fc.array(arbitraryOf(packaged), { minLength: AT_ONCE, maxLength: AT_ONCE });
    // Helm tells every chart that another brings along what `global` is, and one that takes no such value refuses it.
    const together = dependencies.length === 0 && 'global' in definition.values.properties;
    return fc.asyncProperty(several, async (values) => {
      const all = [...new Map(values.map((each) => [JSON.stringify(each), each])).values()];
      if (!together) {
        for (const overrides of all) expectEqual(await compare(packaged, overrides), overrides);
        return;
      }
      const given = await helm.templateMany(join(folder, definition.name), all, '--no-hooks');
      for (const [i, overrides] of all.entries())
        expectEqual(inequalities(objectsOf(packaged, overrides), given[i] ?? []), overrides);
    });
  }

  for (const packaged of packages) {
    const { name } = packaged.definition;
    for (const environment of ENVIRONMENTS)
      it(`${name} gives in ${environment} what cdk8s gives`, async function () {
        this.timeout(60_000);
        const overrides = overridesOf(packaged, environments[environment]);
        if (overrides['enabled'] !== false) expect(objectsOf(packaged, overrides)).not.to.be.empty;
        expectEqual(await compare(packaged, overrides));
      });

    it(`${name} gives with ${RANDOM_VALUES} random values what cdk8s gives`, async function () {
      // The umbrella needs half a minute on a quiet machine.
      this.timeout(900_000);
      // Those who have the same to say, as a chart without values, say it once.
      await fc.assert(lawOf(packaged), {
        numRuns: RANDOM_VALUES / AT_ONCE,
        endOnFailure: true,
        ignoreEqualValues: true,
      });
    });
  }

  it('are seen to differ after any one change to a template', async function () {
    this.timeout(300_000);
    const packaged = packages.find(({ definition }) => definition.name === 'inventory') as Packaged;
    // Some objects are there for some values only.
    const several = [
      ...ENVIRONMENTS.map((environment) => overridesOf(packaged, environments[environment])),
      ALL_ON,
      ...fc.sample(arbitraryOf(packaged), { seed: 1, numRuns: 20 }),
    ];
    const copy = join(folder, 'mutant');
    const templates = [...chartFiles(packaged)].filter(([path]) => path.startsWith('templates/'));
    let mutants = 0;
    for (const [path, text] of templates)
      for (const mutant of mutantsOf(text)) {
        await cp(join(folder, 'inventory'), copy, { recursive: true });
        await writeFile(join(copy, path), mutant);
        let seen = false;
        for (let i = 0; i < several.length && !seen; i++)
          seen = await compare(packaged, several[i] as Overrides, copy).then(
            (found) => found.length > 0,
            () => true,
          );
        expect(seen, `${path} was changed and nothing noticed:\n${mutant}`).to.equal(true);
        mutants += 1;
      }
    expect(mutants).to.be.greaterThan(20);
    expect(await readFile(join(folder, 'inventory', 'values.yaml'), 'utf8')).not.to.be.empty;
  });
});

/** A template with one line changed: a value gone, a hole filled, a condition turned round. A few of each, spread over the file. */
function* mutantsOf(text: string): Iterable<string> {
  const lines = text.split('\n');
  const change = (i: number, line: string | undefined) =>
    [...lines.slice(0, i), ...(line === undefined ? [] : [line]), ...lines.slice(i + 1)].join('\n');
  const choose = (wanted: (line: string) => boolean) => {
    const found = lines.flatMap((line, i) => (wanted(line) ? [i] : []));
    return found.filter((_, i) => i % Math.ceil(found.length / 3) === 0);
  };
  for (const i of choose((line) => /^ +\w+: [^{|]+$/.test(line))) yield change(i, `${lines[i]}x`);
  for (const i of choose((line) => /^ +\w+: \{\{ .*toJson \}\}$/.test(line)))
    yield change(i, lines[i]?.replace(/\{\{.*\}\}/, 'mutant'));
  for (const i of choose((line) => line.startsWith('{{- if '))) yield change(i, '{{- if false }}');
}
