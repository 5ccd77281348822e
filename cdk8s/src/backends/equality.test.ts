import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Static, Type } from '@sinclair/typebox';
import { expect } from 'chai';
import fc from 'fast-check';
import { defineChart } from '../charts/chart.ts';
import {
  boolean,
  choice,
  group,
  integer,
  list,
  namespaceList,
  optionalString,
  string,
  strings,
  verbatim,
} from '../charts/schema.ts';
import { k8s, kube } from '../constructs/kube.ts';
import {
  all,
  any,
  appended,
  choose,
  concatenated,
  equals,
  HoleError,
  isEmpty,
  isSet,
  joined,
  mergedUnder,
  not,
  onlyIf,
  optional,
  text,
} from '../holes/index.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { expectEqual, Helm, writeFiles } from '../testing/helm.ts';
import { chartFiles } from './charts.ts';
import { inequalities } from './equality.ts';
import { objectsOf } from './manifests.ts';
import type { Overrides } from './values.ts';

const schema = group('Everything that a chart can ask for', {
  enabled: boolean('A switch', true),
  mode: choice('One of three', ['a', 'b', 'c'], 'a'),
  name: string('Any text', 'x'),
  count: integer('A large number', 3, 0, 5_000_000),
  class: optionalString('Perhaps a text'),
  labels: strings('A map'),
  peers: list('A list', verbatim('An entry')),
  names: list('A list of texts', Type.String()),
  places: namespaceList('A list to go through'),
});

/** Uses every means that a construct has. */
const everything = defineChart({
  name: 'everything',
  description: 'Uses every means that a construct has',
  values: schema,
  render(scope, values: Static<typeof schema>) {
    kube(
      scope,
      k8s.KubeDeployment,
      {
        metadata: {
          name: 'one',
          labels: { literal: 'on', octal: '0o17', braces: '{{ $labels.x }}' },
          annotations: values.labels,
        },
        spec: {
          replicas: values.count,
          selector: { matchLabels: { app: 'one' } },
          template: {
            metadata: { labels: mergedUnder({ app: values.name, fixed: 'x' }, values.labels) },
            spec: {
              priorityClassName: values.class as string,
              tolerations: appended([{ key: 'own' }], values.peers) as never,
              containers: [
                {
                  name: 'main',
                  image: choose(
                    isSet(values.class),
                    text('r/', values.class ?? '', ':', values.count),
                    text(values.name, '%s'),
                  ),
                  resources: { limits: { memory: k8s.Quantity.fromString(values.name) } },
                  ports: [{ containerPort: values.count }],
                },
              ],
            },
          },
        },
      },
      {
        spec: {
          template: { spec: { containers: [{ lifecycle: { preStop: { sleep: { seconds: values.count } } } }] } },
        },
      },
    );
    scope.when(all(values.enabled, not(equals(values.mode, 'a'))), (inner) => {
      inner.add({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'two' },
        data: { rule: 'multi\n{{ line }}\n  text' },
      });
      inner.when(any(equals(values.mode, 'b'), equals(values.count, 7)), (innermost) =>
        innermost.add({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'three' },
          data: { name: values.name },
        }),
      );
    });
    scope.when(isEmpty(values.names), (inner) =>
      inner.add({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'four' },
        data: { names: joined(values.names, ',') },
      }),
    );
    scope.add({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: text('of-', values.name) } });
    scope.add({
      apiVersion: 'example.com/v1',
      kind: 'Lists',
      metadata: { name: 'seven' },
      map: optional(isSet(values.class), { class: values.class, of: [{ mode: values.mode, count: values.count }] }),
      list: concatenated(
        [{ peers: values.peers, text: 'a "b" {{ c }} \\' }],
        onlyIf(equals(values.mode, 'c'), [{ labels: values.labels, port: 8080, yes: true }]),
        values.peers,
        [],
      ),
    });
    scope.when(values.enabled, (outer) =>
      outer.each(values.places, (inner, place) => {
        inner.add({
          apiVersion: 'v1',
          kind: 'ConfigMap',
          metadata: { name: 'five', namespace: place },
          data: { place: text('in ', place), name: values.name },
        });
        inner.when(not(equals(place, 'a')), (innermost) =>
          innermost.each(values.places, (deepest, other) =>
            deepest.add({
              apiVersion: 'v1',
              kind: 'Secret',
              metadata: { name: 'six', namespace: text(place, '-', other), labels: values.labels },
              peers: appended([{ other }], values.peers),
              class: values.class,
            }),
          ),
        );
      }),
    );
    scope.when(not(values.enabled), (inner) =>
      inner.add({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: 'two', namespace: 'off' },
        data: values.labels,
      }),
    );
  },
});
const packaged = { definition: everything, dependencies: [] };

describe('the two back ends', () => {
  let folder: string;
  let helm: Helm;

  before(async function () {
    this.timeout(300_000);
    helm = await Helm.find();
    folder = await mkdtemp(join(tmpdir(), 'mercato-chart-'));
    await writeFiles(join(folder, 'everything'), chartFiles(packaged));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  async function compare(overrides: Overrides) {
    const file = join(folder, 'values.json');
    await writeFile(file, JSON.stringify(overrides));
    return inequalities(objectsOf(packaged, overrides), await helm.template(join(folder, 'everything'), file));
  }

  it('give the same for a chart that uses every means', async function () {
    this.timeout(120_000);
    await fc.assert(
      fc.asyncProperty(valuesArbitrary(schema), async (overrides) => {
        expectEqual(await compare(overrides as Overrides));
      }),
      { numRuns: 200, endOnFailure: true },
    );
  });

  it('refuse an unknown key, both', async () => {
    expect(() => objectsOf(packaged, { nam: 'x' })).to.throw('must NOT have additional properties (nam)');
    await compare({ mode: 'b' });
    await writeFile(join(folder, 'values.json'), JSON.stringify({ nam: 'x' }));
    const refusal = await helm.template(join(folder, 'everything'), join(folder, 'values.json')).then(
      () => 'no refusal',
      (error: Error) => error.message,
    );
    expect(refusal).to.include('nam');
  });
});

describe('a hole', () => {
  const looks: readonly [string, (values: Static<typeof schema>) => unknown][] = [
    ['put into a string', ({ name }) => `${name}`],
    ['added to', ({ count }) => count + 1],
    ['compared by size', ({ count }) => count > 1],
    ['spread', ({ labels }) => ({ ...labels })],
    ['iterated', ({ names }) => [...names]],
    ['mapped', ({ names }) => names.map(String)],
    ['measured', ({ name }) => name.length],
    ['written as JSON', ({ labels }) => JSON.stringify(labels)],
    ['used as a key', ({ name }) => ({ [name]: 1 })],
  ];
  for (const [how, look] of looks)
    it(`throws when it is ${how}`, () => {
      const chart = defineChart({ ...everything, render: (_, values) => void look(values as Static<typeof schema>) });
      expect(() => chartFiles({ definition: chart, dependencies: [] })).to.throw(
        HoleError,
        'is not known at synthesis',
      );
    });
});
