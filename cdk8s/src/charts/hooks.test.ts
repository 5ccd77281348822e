import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import fc from 'fast-check';
import { chartFiles } from '../backends/charts.ts';
import { inequalities } from '../backends/equality.ts';
import { type KubernetesObject, renderHooks } from '../backends/render.ts';
import { valuesOf } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { overridesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, writeFiles } from '../testing/helm.ts';
import { at, theOne } from '../testing/rendered.ts';
import { packagesOf } from './index.ts';

const RANDOM_VALUES = 50;
/** Values in one run of Helm. */
const AT_ONCE = 10;
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
      const several = fc.array(overridesArbitrary(definition), { minLength: AT_ONCE, maxLength: AT_ONCE });
      const law = fc.asyncProperty(several, async (all) => {
        const given = await helm.templateMany(join(folder, definition.name), all);
        for (const [i, overrides] of all.entries()) {
          const hooks = renderHooks(definition, valuesOf(definition, overrides));
          expect(hooks.filter((object) => !isHook(object))).to.deep.equal([]);
          expectEqual(inequalities(hooks, (given[i] ?? []).filter(isHook)), overrides);
        }
      });
      await fc.assert(law, { numRuns: RANDOM_VALUES / AT_ONCE, endOnFailure: true });
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
