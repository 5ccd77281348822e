import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Static } from '@sinclair/typebox';
import { expect } from 'chai';
import fc from 'fast-check';
import { chartFiles } from '../backends/charts.ts';
import { inequalities } from '../backends/equality.ts';
import { objectsOf } from '../backends/manifests.ts';
import type { Overrides } from '../backends/values.ts';
import { defineChart } from '../charts/chart.ts';
import { group, integer, string, strings } from '../charts/schema.ts';
import { HoleError, text } from '../holes/index.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, writeFiles } from '../testing/helm.ts';
import { at } from '../testing/rendered.ts';
import { type Json, members, policyJson } from './policy-json.ts';

const schema = group('What a policy takes', {
  one: string('A text', 'x'),
  two: string('Another', 'y'),
  number: integer('A number', 1, 0, 10),
  map: strings('A map'),
});
type Values = Static<typeof schema>;

const chartOf = (document: (values: Values) => Json) =>
  defineChart({
    name: 'policies',
    description: 'A policy',
    values: schema,
    render: (scope, values) =>
      void scope.add({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'policy' },
        data: { policy: policyJson(document(values as Values)) },
      }),
  });

const everything = chartOf(({ one, two, number }) => ({
  literal: '"%s" <&> {{ }} \\ %',
  [`%d`]: true,
  none: null,
  count: 17,
  list: [one, 'literal', text('a', two, 'b', number)],
  empty: [{}, []],
  keyed: members([text(one, ':aud'), two], ['literal', [one]]),
}));

const packaged = { definition: everything as never, dependencies: [] };

const policyIn = (overrides: Overrides): string => {
  const [object] = objectsOf(packaged, overrides);
  return at(object, 'data.policy') as string;
};

describe('a policy in JSON', () => {
  it('is what it was when it is read', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (document) => {
        expect(JSON.parse(policyJson(document as Json))).to.deep.equal(JSON.parse(JSON.stringify(document)));
      }),
    );
  });

  it('has the values of an installation in it, in keys as in values', () => {
    const { keyed, list, literal } = JSON.parse(policyIn({ one: 'q"\\', two: '{{ x }}', number: 3 }));
    expect(literal).to.equal('"%s" <&> {{ }} \\ %');
    expect(list).to.deep.equal(['q"\\', 'literal', 'a{{ x }}b3']);
    expect(keyed).to.deep.equal({ 'q"\\:aud': '{{ x }}', literal: ['q"\\'] });
  });

  it('keeps the order of its keys', () => {
    expect(policyJson({ Version: 'v', Statement: [{ Sid: 's', Effect: 'Allow', Action: [] }] })).to.equal(
      '{"Version":"v","Statement":[{"Sid":"s","Effect":"Allow","Action":[]}]}',
    );
  });

  it('takes no whole map and no number from values, which the back ends would write differently', () => {
    const chart = chartOf(({ map }) => ({ map }) as Json);
    expect(() => chartFiles({ definition: chart as never, dependencies: [] })).to.throw(HoleError, 'no string');
    const count = chartOf(({ number }) => ({ number }));
    expect(() => chartFiles({ definition: count as never, dependencies: [] })).to.throw(HoleError, 'no string');
  });

  describe('from Helm', () => {
    let folder: string;
    let helm: Helm;
    before(async function () {
      this.timeout(300_000);
      helm = await Helm.find();
      folder = await mkdtemp(join(tmpdir(), 'mercato-policy-'));
      await writeFiles(join(folder, 'policies'), chartFiles(packaged));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it('is the same text, whatever the values', async function () {
      this.timeout(120_000);
      const file = join(folder, 'values.json');
      const same = fc.asyncProperty(valuesArbitrary(schema), async (overrides) => {
        await writeFile(file, JSON.stringify(overrides));
        const made = await helm.template(join(folder, 'policies'), file);
        expectEqual(inequalities(objectsOf(packaged, overrides as Overrides), made));
        expect(() => JSON.parse(at(made[0], 'data.policy') as string)).not.to.throw();
      });
      await fc.assert(same, { numRuns: 100, endOnFailure: true });
    });
  });
});
