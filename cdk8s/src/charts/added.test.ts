import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { chartFiles, type Packaged } from '../backends/charts.ts';
import { inequalities } from '../backends/equality.ts';
import { objectsOf } from '../backends/manifests.ts';
import type { Overrides } from '../backends/values.ts';
import { search, withSearch } from '../testing/added.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, writeFiles } from '../testing/helm.ts';
import { serviceChart } from './service-chart.ts';

const RANDOM_VALUES = 100;

/** No service of the shop scales yet, so what scales is only in a chart of one that is added. */
describe('the chart of an added service', function () {
  this.timeout(300_000);
  const packaged: Packaged = { definition: serviceChart(withSearch, search), dependencies: [] };
  let folder: string;
  let helm: Helm;

  before(async () => {
    helm = await Helm.find();
    folder = await mkdtemp(join(tmpdir(), 'mercato-added-'));
    await writeFiles(join(folder, search.name), chartFiles(packaged));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function compare(overrides: Overrides): Promise<void> {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(overrides));
    expectEqual(inequalities(objectsOf(packaged, overrides), await helm.template(join(folder, search.name), file)));
  }

  for (const autoscaler of ['hpa', 'keda'])
    for (const enabled of [false, true])
      it(`gives under ${autoscaler} ${enabled ? 'with' : 'without'} AWS what cdk8s gives`, () =>
        compare({ global: { autoscaler, aws: { enabled, identity: 'irsa', oidcProvider: 'oidc.example/id' } } }));

  it(`gives with ${RANDOM_VALUES} random values what cdk8s gives`, () =>
    fc.assert(fc.asyncProperty(valuesArbitrary(packaged.definition.values) as fc.Arbitrary<Overrides>, compare), {
      numRuns: RANDOM_VALUES,
    }));
});
