import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { chartFiles } from '../backends/charts.ts';
import { inequalities } from '../backends/equality.ts';
import { type KubernetesObject, renderHooks } from '../backends/render.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, objectsIn, writeFiles } from '../testing/helm.ts';
import { at, theOne } from '../testing/rendered.ts';
import { packagesOf } from './index.ts';

const RANDOM_VALUES = 50;
const packages = packagesOf(mercato).filter(({ definition }) => definition.hooks !== undefined);
const isHook = ({ metadata }: KubernetesObject): boolean =>
  'helm.sh/hook' in ((metadata['annotations'] as object | undefined) ?? {});

describe('the hooks of the charts', () => {
  let folder: string;
  let helm: Helm;
  before(async function () {
    this.timeout(300_000);
    helm = await Helm.find();
    folder = await mkdtemp(join(tmpdir(), 'mercato-hooks-'));
    for (const each of packages) await writeFiles(join(folder, each.definition.name), chartFiles(each));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it('are those of the controllers', () => {
    expect(packages.map(({ definition }) => definition.name)).to.deep.equal(['mercato-operator', 'mercato-boundary']);
  });

  for (const { definition } of packages) {
    it(`of ${definition.name} are with ${RANDOM_VALUES} random values what cdk8s gives, and nothing else is a hook`, async function () {
      this.timeout(120_000);
      const law = fc.asyncProperty(valuesArbitrary(definition.values), async (given) => {
        const file = join(folder, 'values.json');
        await writeFile(file, JSON.stringify(given));
        const { stdout } = await helm.command('template', 'release', join(folder, definition.name), '-f', file);
        const hooks = renderHooks(definition, valuesOf(definition, given as Overrides));
        expect(hooks.filter((object) => !isHook(object))).to.deep.equal([]);
        expectEqual(inequalities(hooks, objectsIn(stdout).filter(isHook)));
      });
      await fc.assert(law, { numRuns: RANDOM_VALUES, endOnFailure: true });
    });

    it(`of ${definition.name} run one program, with what it needs made before it and all taken away after it`, () => {
      const hooks = renderHooks(definition, valuesOf(definition));
      const weights = hooks.map((hook) => [
        hook.kind,
        Number(at(hook, ['metadata', 'annotations', 'helm.sh/hook-weight'])),
      ]);
      const job = theOne(hooks, 'Job');
      const last = Math.max(...weights.map(([, weight]) => weight as number));
      expect(weights.filter(([, weight]) => weight === last)).to.deep.equal([['Job', last]]);
      for (const hook of hooks) {
        const annotations = at(hook, 'metadata.annotations') as Record<string, string>;
        expect(annotations['helm.sh/hook']).to.equal('pre-delete');
        expect(annotations['helm.sh/hook-delete-policy']).to.equal('before-hook-creation,hook-succeeded');
      }
      expect(at(job, 'spec.backoffLimit')).to.equal(0);
      expect(at(job, 'spec.template.spec.restartPolicy')).to.equal('Never');
    });
  }

  it('run the drain before the boundary closes the way to payment', () => {
    const [drain, withdraw] = packages.map(({ definition }) =>
      Number(
        at(theOne(renderHooks(definition, valuesOf(definition)), 'Job'), [
          'metadata',
          'annotations',
          'helm.sh/hook-weight',
        ]),
      ),
    ) as [number, number];
    expect(withdraw).to.be.greaterThan(drain);
  });
});
