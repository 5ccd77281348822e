import { expect } from 'chai';
import fc from 'fast-check';
import { type KubernetesObject, render } from '../backends/render.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import { serviceChart } from '../charts/service-chart.ts';
import { search, withSearch } from '../testing/added.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { at, missing, rendered, theOne } from '../testing/rendered.ts';
import { k8s, manifestOf } from './kube.ts';
import { structuralCopy } from './scope.ts';

const RANDOM_VALUES = 60;

interface Kind {
  manifest(props: unknown): unknown;
}

/** The classes that make the kinds of a service's chart. Kinds of others have no class. */
const CLASSES: Readonly<Record<string, Kind>> = {
  ServiceAccount: k8s.KubeServiceAccount,
  NetworkPolicy: k8s.KubeNetworkPolicy,
  Deployment: k8s.KubeDeployment,
  StatefulSet: k8s.KubeStatefulSet,
  Service: k8s.KubeService,
  HorizontalPodAutoscaler: k8s.KubeHorizontalPodAutoscalerV2,
  PodDisruptionBudget: k8s.KubePodDisruptionBudget,
};
const OF_OTHERS = ['ScaledObject', 'TriggerAuthentication', 'ServiceMonitor', 'PrometheusRule'];

const classOf = ({ kind }: KubernetesObject): Kind => CLASSES[kind] as Kind;
const propsOf = ({ apiVersion: _, kind: __, ...props }: KubernetesObject) => props;
const ofClasses = (objects: readonly KubernetesObject[]) => objects.filter(({ kind }) => kind in CLASSES);

describe('kube', () => {
  const charts = withSearch.services
    .filter(({ component }) => component !== 'controller')
    .map((service) => serviceChart(withSearch, service));

  it('knows every kind that the charts make', () => {
    const kinds = charts.flatMap((chart) => render(chart, valuesOf(chart))).map(({ kind }) => kind);
    expect(kinds.filter((kind) => !(kind in CLASSES) && !OF_OTHERS.includes(kind))).to.be.empty;
  });

  for (const chart of charts)
    it(`loses nothing of what ${chart.name} gives, whatever the values`, function () {
      this.timeout(60_000);
      fc.assert(
        fc.property(valuesArbitrary(chart.values), (overrides) => {
          for (const object of ofClasses(render(chart, valuesOf(chart, overrides as Overrides)))) {
            const made = manifestOf(classOf(object), propsOf(object) as never);
            expect(made).to.deep.equal(object);
          }
        }),
        { numRuns: RANDOM_VALUES },
      );
    });

  it('loses nothing that a later Kubernetes adds anywhere', () => {
    const objects = ofClasses(rendered(withSearch, search.name));
    const name = fc.stringMatching(/^new[A-Z][a-z]{1,8}$/);
    fc.assert(
      fc.property(
        fc.constantFrom(...objects),
        name,
        // No manifest has a field that JavaScript itself sets prototypes by.
        fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('__proto__')),
        fc.nat(),
        (object, field, value, n) => {
          const { given, path } = withField(propsOf(object), field, value, n);
          const made = manifestOf(classOf(object), given as never);
          expect(at(made, [...path, field])).to.deep.equal(value);
          expect(missing(given, made)).to.be.empty;
        },
      ),
      { numRuns: 300 },
    );
  });

  it('gives what the library alone would drop: a sleep before the stop, and traffic that stays in its zone', () => {
    const objects = rendered(withSearch, search.name);
    const alone = ofClasses(objects).flatMap((object) => {
      const made = structuralCopy(classOf(object).manifest(wrapped(propsOf(object))));
      return missing(propsOf(object), made).map((path) => [object.kind, ...path].join('.'));
    });
    expect(alone).to.have.members([
      'Deployment.spec.template.spec.containers.0.lifecycle.preStop.sleep.seconds',
      'Service.spec.trafficDistribution',
    ]);
    expect(at(theOne(objects, 'Service'), 'spec.trafficDistribution')).to.equal('PreferClose');
    const template = at(theOne(objects, 'Deployment'), 'spec.template');
    expect(at(template, 'spec.containers.0.lifecycle.preStop')).to.deep.equal({ sleep: { seconds: 5 } });
    expect(at(template, 'spec.topologySpreadConstraints.0.matchLabelKeys')).to.deep.equal(['pod-template-hash']);
  });

  it('puts what is newer beside what was given, by position in lists', () => {
    const made = manifestOf(
      k8s.KubePod,
      { metadata: { name: 'one' }, spec: { containers: [{ name: 'a' }, { name: 'b' }] } },
      { spec: { containers: [{ added: 1 }, { name: 'c' }], other: true } },
    );
    expect(made).to.deep.equal({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'one' },
      spec: { containers: [{ name: 'a', added: 1 }, { name: 'c' }], other: true },
    });
  });
});

/** A copy with one field more, in the n-th of its maps below the top. */
function withField(props: object, field: string, value: unknown, n: number) {
  const given = structuredClone(props);
  const maps: { readonly map: Record<string, unknown>; readonly path: readonly string[] }[] = [];
  const collect = (node: unknown, path: readonly string[]): void => {
    if (typeof node !== 'object' || node === null) return;
    if (!Array.isArray(node) && path.length > 0) maps.push({ map: node as Record<string, unknown>, path });
    for (const [key, child] of Object.entries(node)) collect(child, [...path, key]);
  };
  collect(given, []);
  const { map, path } = maps[n % maps.length] as (typeof maps)[number];
  map[field] = value;
  return { given, path };
}

const QUANTITIES = ['cpu', 'memory', 'storage', 'sizeLimit'];
const NUMBERS_OR_NAMES = ['port', 'targetPort', 'maxSurge', 'maxUnavailable'];

/** As the library's classes want it: quantities, and numbers that may be names, in classes of their own. */
function wrapped(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(wrapped);
  if (typeof node !== 'object' || node === null) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (typeof value === 'object') return [key, wrapped(value)];
      if (QUANTITIES.includes(key)) return [key, k8s.Quantity.fromString(value)];
      // A Service's own port is a number.
      const either = NUMBERS_OR_NAMES.includes(key) && !(key === 'port' && 'targetPort' in node);
      return [key, either ? k8s.IntOrString.fromString(value) : value];
    }),
  );
}
