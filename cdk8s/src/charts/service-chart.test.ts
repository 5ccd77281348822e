import { expect } from 'chai';
import fc from 'fast-check';
import { chartFiles } from '../backends/charts.ts';
import { render } from '../backends/render.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import { scales, shared } from '../model/derive.ts';
import { mercato } from '../model/mercato.ts';
import { order } from '../model/services/order.ts';
import type { Service } from '../model/types.ts';
import { search, withSearch } from '../testing/added.ts';
import { valuesArbitrary } from '../testing/arbitrary.ts';
import { at, chartOf, ofKind, podTemplateOf, rendered, theOne } from '../testing/rendered.ts';
import { packagesOf } from './index.ts';

const RANDOM_VALUES = 20;
const EVERYTHING: Overrides = {
  global: { monitoring: { enabled: true }, aws: { enabled: true, identity: 'pod-identity' } },
};
const SCALERS = ['HorizontalPodAutoscaler', 'ScaledObject'];

const kindsOf = (objects: readonly { readonly kind: string }[]): string[] => [
  ...new Set(objects.map(({ kind }) => kind)),
];
const isWorkload = ({ kind }: { readonly kind: string }) => kind === 'Deployment' || kind === 'StatefulSet';

/** The shop's programs, by what runs them. */
const EMBEDDED = mercato.services.filter(({ state }) => state.kind === 'embedded');
/** Those of them that several pods can work for, under some settings. */
const SHARING = EMBEDDED.filter((service) => shared(service) !== undefined);
const CONTROLLERS = mercato.services.filter(({ component }) => component === 'controller');

describe("a service's chart", function () {
  this.timeout(180_000);

  describe('for an entry that is added to the model', () => {
    const objects = rendered(withSearch, search.name, EVERYTHING);

    it('has what runs, scales, guards, watches and backs it', () => {
      expect(kindsOf(objects)).to.include.members([
        'ServiceAccount',
        'Deployment',
        'Service',
        'HorizontalPodAutoscaler',
        'PodDisruptionBudget',
        'NetworkPolicy',
        'ServiceMonitor',
        'PrometheusRule',
        'ConfigMap',
        'Table',
        'Queue',
        'Role',
        'PodIdentityAssociation',
      ]);
    });

    it('alerts on its objectives', () => {
      const alerts = ofKind(objects, 'PrometheusRule').flatMap(
        (rule) => at(rule, 'spec.groups') as { rules: object[] }[],
      );
      expect(JSON.stringify(alerts)).to.contain('search');
      expect(alerts.flatMap(({ rules }) => rules)).not.to.be.empty;
    });

    it('is let in by those whom it calls', () => {
      const [policy] = ofKind(rendered(withSearch, 'inventory'), 'NetworkPolicy').filter(
        ({ metadata }) => metadata.name === 'inventory-from-search',
      );
      expect(at(policy, 'spec.ingress.0.from.0.podSelector.matchLabels')).to.deep.equal({
        'app.kubernetes.io/name': 'search',
      });
    });

    it('is a chart with a schema, values and templates', () => {
      const packaged = packagesOf(withSearch).find(({ definition }) => definition.name === search.name);
      expect(packaged).not.to.equal(undefined);
      const files = [...chartFiles(packaged as NonNullable<typeof packaged>).keys()];
      expect(files).to.include.members(['Chart.yaml', 'values.schema.json', 'templates/deployment.yaml']);
    });
  });

  for (const service of withSearch.services)
    it(`says of every object of ${service.name} where it is and whose, and gives it a name that stays`, () => {
      for (const { kind, metadata } of rendered(withSearch, service.name, EVERYTHING)) {
        const what = `${kind} ${metadata.name}`;
        expect(metadata.namespace, what).to.match(/^mercato-[a-z]+$/);
        expect(metadata['labels'], what).to.include({
          'app.kubernetes.io/name': service.name,
          'app.kubernetes.io/part-of': 'mercato',
        });
        expect(metadata.name, what).not.to.match(/-c8[0-9a-f]{6}/);
      }
    });

  it('runs a service with an embedded store as one pod with a volume, whatever the values, and scales it never', () => {
    for (const service of EMBEDDED.filter((each) => !SHARING.includes(each)))
      forAnyValues(service, (objects) => {
        const set = theOne(objects, 'StatefulSet');
        expect(at(set, 'spec.replicas')).to.equal(1);
        expect(at(set, 'spec.volumeClaimTemplates.0.metadata.name')).to.equal('data');
        expect(at(set, 'spec.persistentVolumeClaimRetentionPolicy.whenDeleted')).to.equal('Retain');
        for (const kind of ['Deployment', 'PodDisruptionBudget', ...SCALERS]) expect(ofKind(objects, kind)).to.be.empty;
      });
  });

  it('runs a service whose books pods share as many pods, and else as one, and never as both', () => {
    expect(SHARING.map(({ name }) => name)).to.deep.equal(['order']);
    const seen = new Set<string>();
    forAnyValues(order, (objects) => {
      const { kind } = objects.find(isWorkload) ?? {};
      expect(objects.filter(isWorkload)).to.have.length(1);
      seen.add(String(kind));
      const many = kind === 'Deployment';
      expect(objects.filter((each) => SCALERS.includes(each.kind))).to.have.length(many ? 1 : 0);
      expect(ofKind(objects, 'PodDisruptionBudget')).to.have.length(many ? 1 : 0);
      const { spec } = podTemplateOf(objects);
      expect(spec['topologySpreadConstraints'] !== undefined).to.equal(many);
      const mounts = at(spec, 'containers.0.volumeMounts') as { name: string }[];
      expect(mounts.some(({ name }) => name === 'data')).to.equal(!many);
      expect(at(theOne(objects, 'Service'), 'spec.trafficDistribution') ?? null).to.equal(many ? 'PreferClose' : null);
    });
    expect([...seen].sort()).to.deep.equal(['Deployment', 'StatefulSet']);
    const [one, other] = ['sqlite', 'dynamodb'].map((store) => rendered(mercato, 'order', { settings: { store } }));
    expect(one?.find(isWorkload)?.kind).to.equal('StatefulSet');
    expect(other?.find(isWorkload)?.kind).to.equal('Deployment');
    expect(at(theOne(other ?? [], 'HorizontalPodAutoscaler'), 'spec.minReplicas')).to.equal(order.scale.from);
  });

  it('has exactly one scaler where there is something to scale, and then no replicas of its own', () => {
    const seen = new Set<string>();
    forAnyValues(search, (objects) => {
      const scalers = objects.filter(({ kind }) => SCALERS.includes(kind));
      expect(scalers).to.have.lengthOf(1);
      seen.add(scalers[0]?.kind ?? '');
      expect(at(scalers[0], 'spec.scaleTargetRef.name')).to.equal(search.name);
      expect(at(theOne(objects, 'Deployment'), 'spec')).not.to.have.property('replicas');
    });
    expect([...seen]).to.have.members(SCALERS);
  });

  it('scales on its queue where KEDA and AWS are there', () => {
    const triggers = (global: object) =>
      (
        at(theOne(rendered(withSearch, search.name, { global }), 'ScaledObject'), 'spec.triggers') as { type: string }[]
      ).map(({ type }) => type);
    const aws = { enabled: true, eventBus: true };
    expect(triggers({ autoscaler: 'keda', aws })).to.deep.equal(['cpu', 'memory', 'aws-sqs-queue']);
    // What only the bus fills is always empty without it.
    expect(triggers({ autoscaler: 'keda', aws: { ...aws, eventBus: false } })).to.deep.equal(['cpu', 'memory']);
    expect(triggers({ autoscaler: 'keda', aws: { ...aws, enabled: false } })).to.deep.equal(['cpu', 'memory']);
  });

  it('gives controllers the pods that are asked for', () => {
    for (const { name } of CONTROLLERS.filter((each) => !scales(each))) {
      const objects = rendered(mercato, name, { replicas: 3 });
      expect(at(theOne(objects, 'Deployment'), 'spec.replicas')).to.equal(3);
      expect(objects.filter(({ kind }) => SCALERS.includes(kind))).to.be.empty;
    }
  });

  it('never stops a drain for ever: a budget says how many may be missing, which is one at least', () => {
    for (const service of [search, ...CONTROLLERS])
      forAnyValues(service, (objects) => {
        const budget = theOne(objects, 'PodDisruptionBudget');
        expect(budget['spec']).not.to.have.property('minAvailable');
        expect(at(budget, 'spec.maxUnavailable')).to.be.oneOf([1, '25%']);
        expect(at(budget, 'spec.unhealthyPodEvictionPolicy')).to.equal('AlwaysAllow');
      });
  });

  it('selects by the name alone, what its pods are labelled with', () => {
    for (const service of withSearch.services) {
      const objects = rendered(withSearch, service.name);
      const selector = { 'app.kubernetes.io/name': service.name };
      expect(at(objects.find(isWorkload), 'spec.selector.matchLabels')).to.deep.equal(selector);
      expect(at(theOne(objects, 'Service'), 'spec.selector')).to.deep.equal(selector);
      expect(podTemplateOf(objects).metadata.labels).to.include(selector);
    }
  });

  it('sleeps before it stops for less than the grace, whatever the values', () => {
    for (const service of withSearch.services)
      forAnyValues(service, (objects) => {
        const { spec } = podTemplateOf(objects);
        const seconds = at(spec, 'containers.0.lifecycle.preStop.sleep.seconds');
        expect(seconds).to.be.a('number').greaterThan(0).and.lessThan(Number(spec['terminationGracePeriodSeconds']));
      });
  });

  it('spreads pods over zones where there are several, and never waits for nodes', () => {
    const constraints = (zones: boolean) =>
      at(
        podTemplateOf(rendered(withSearch, search.name, { global: { cluster: { zones } } })),
        'spec.topologySpreadConstraints',
      );
    expect(at(constraints(true), '0.whenUnsatisfiable')).to.equal('DoNotSchedule');
    expect(at(constraints(false), '0.whenUnsatisfiable')).to.equal('ScheduleAnyway');
    expect(at(constraints(true), '1.whenUnsatisfiable')).to.equal('ScheduleAnyway');
  });

  it('keeps the pods of card data on their nodes, beside what an installation adds', () => {
    const extra = { key: 'dedicated', operator: 'Exists' };
    const overrides = { tolerations: [extra], nodeSelector: { disk: 'ssd', 'mercato.dev/card-data': 'false' } };
    const { spec } = podTemplateOf(rendered(mercato, 'payment', overrides));
    expect(spec['nodeSelector']).to.deep.equal({ 'mercato.dev/card-data': 'true', disk: 'ssd' });
    expect(spec['tolerations']).to.deep.equal([
      { key: 'mercato.dev/card-data', operator: 'Equal', value: 'true', effect: 'NoSchedule' },
      extra,
    ]);
    const { spec: elsewhere } = podTemplateOf(rendered(mercato, 'inventory'));
    expect(elsewhere['tolerations']).to.deep.equal([]);
    expect(elsewhere['nodeSelector']).to.deep.equal({});
  });

  it('takes the image by digest, else by its own tag, else by that of all', () => {
    const imageOf = (image: object) => {
      const overrides = { image, global: { image: { registry: 'registry.example/shop', tag: '1.2.3' } } };
      return podTemplateOf(rendered(mercato, 'acquirer', overrides)).spec.containers[0]?.['image'];
    };
    const digest = `sha256:${'a'.repeat(64)}`;
    expect(imageOf({})).to.equal('registry.example/shop/mercato/payment:1.2.3');
    expect(imageOf({ tag: '1.2.4' })).to.equal('registry.example/shop/mercato/payment:1.2.4');
    expect(imageOf({ tag: '1.2.4', digest })).to.equal(`registry.example/shop/mercato/payment@${digest}`);
  });

  it('gives the account a role under IRSA, where it has AWS permissions', () => {
    const annotations = (name: string, aws: object) =>
      theOne(rendered(mercato, name, { global: { aws } }), 'ServiceAccount').metadata['annotations'];
    const irsa = { enabled: true, identity: 'irsa', accountId: '123456789012', oidcProvider: 'oidc.example/id/1' };
    expect(annotations('inventory', irsa)).to.have.property('eks.amazonaws.com/role-arn').that.contains('123456789012');
    expect(annotations('inventory', { ...irsa, enabled: false })).to.equal(undefined);
    expect(annotations('acquirer', irsa)).to.equal(undefined);
  });

  it('lets no program but a controller have a token for the API server by itself', () => {
    for (const { name, component } of withSearch.services) {
      const objects = rendered(withSearch, name);
      expect(theOne(objects, 'ServiceAccount')['automountServiceAccountToken']).to.equal(false);
      expect(podTemplateOf(objects).spec['automountServiceAccountToken'], name).to.equal(component === 'controller');
    }
  });
});

function forAnyValues(service: Service, check: (objects: ReturnType<typeof rendered>) => void): void {
  const chart = chartOf(withSearch, service.name);
  fc.assert(
    fc.property(valuesArbitrary(chart.values), (overrides) =>
      check(render(chart, valuesOf(chart, overrides as Overrides))),
    ),
    { numRuns: RANDOM_VALUES },
  );
}
