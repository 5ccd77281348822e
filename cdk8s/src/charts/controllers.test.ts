import { parseOptions as parseBoundaryOptions } from '@mercato/boundary/options.ts';
import type { PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import { type PolicyRule, rightsOf } from '@mercato/operator/api/rbac.ts';
import { parseDrainFlags } from '@mercato/operator/drain/options.ts';
import { parseOptions } from '@mercato/operator/options.ts';
import { CALLER, CLUSTER_WIDE, DRAIN, OPERATOR, ownRules, WATCHED } from '@mercato/operator/rights.ts';
import { expect } from 'chai';
import { type KubernetesObject, render, renderHooks } from '../backends/render.ts';
import { type Overrides, valuesOf } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { withSearch } from '../testing/added.ts';
import { at, ofKind, theOne } from '../testing/rendered.ts';
import { boundaryChart } from './boundary-chart.ts';
import type { ChartDefinition } from './chart.ts';
import { operatorChart } from './operator-chart.ts';

const objectsOf = (chart: ChartDefinition, overrides: Overrides = {}) => render(chart, valuesOf(chart, overrides));
const hooksOf = (chart: ChartDefinition, overrides: Overrides = {}) => renderHooks(chart, valuesOf(chart, overrides));

/** The arguments of a program, without its path. */
const argsOf = (workload: KubernetesObject): string[] =>
  (at(workload, 'spec.template.spec.containers.0.args') as string[]).slice(1);

/** What an account may do by these objects, as `where: verb group/resource`. */
function rightsIn(objects: readonly KubernetesObject[], account: string): string[] {
  const bound = objects
    .filter(({ kind }) => kind.endsWith('RoleBinding'))
    .filter((each) => at(each, 'subjects.0.name') === account && at(each, 'subjects.0.namespace') === 'mercato-system')
    .map((each) => ({
      kind: at(each, 'roleRef.kind'),
      name: at(each, 'roleRef.name'),
      place: each.metadata.namespace,
    }));
  return objects
    .filter(({ kind, metadata }) =>
      bound.some((each) => each.kind === kind && each.name === metadata.name && each.place === metadata.namespace),
    )
    .flatMap((role) => said(role['rules'] as PolicyRule[], role.metadata.namespace ?? 'everywhere'));
}

const said = (rules: readonly PolicyRule[], where: string): string[] =>
  rightsOf(rules).map(({ verb, group, resource, name = '' }) => `${where}: ${verb} ${group}/${resource} ${name}`);

describe("the operator's chart", () => {
  const chart = operatorChart(mercato);
  const own = said(ownRules(), 'mercato-system');

  it('gives it the rights that its tests hold it to, and no others', () => {
    const declared = [...own, ...said([...WATCHED, ...CLUSTER_WIDE], 'everywhere')];
    expect(rightsIn(objectsOf(chart), OPERATOR).sort()).to.deep.equal(declared.sort());
  });

  it('confines it to namespaces by Roles alone, and then holds nothing that is the whole cluster’s', () => {
    const objects = objectsOf(chart, {
      watchNamespaces: ['orders', 'mercato-system'],
      clusterWide: { roles: false, policies: false },
    });
    const declared = [...own, ...said(WATCHED, 'orders'), ...said(WATCHED, 'mercato-system')];
    expect(rightsIn(objects, OPERATOR).sort()).to.deep.equal(declared.sort());
    expect(objects.filter(({ metadata }) => metadata.namespace === undefined)).to.deep.equal([]);
    const hooks = hooksOf(chart, { watchNamespaces: ['orders'], drain: { force: true } });
    expect(hooks.filter(({ metadata }) => metadata.namespace === undefined)).to.deep.equal([]);
  });

  it('tells it by flags that it takes', () => {
    const deployment = (overrides: Overrides) => theOne(objectsOf(chart, overrides), 'Deployment');
    expect(parseOptions(argsOf(deployment({})), { POD_NAMESPACE: 'mercato-system' })).to.deep.include({
      namespace: 'mercato-system',
      watchNamespaces: [],
      serviceAccount: CALLER,
      leaseDurationMs: 15_000,
    });
    const told = { watchNamespaces: ['a', 'b'], leaseDuration: '30s', connections: 8 };
    expect(parseOptions(argsOf(deployment(told)), {})).to.deep.include({
      watchNamespaces: ['a', 'b'],
      leaseDurationMs: 30_000,
      connections: 8,
    });
  });

  it('tells its drain by flags that this takes, and lets it decide only with force', () => {
    const hooks = (force: boolean) => hooksOf(chart, { watchNamespaces: ['a'], drain: { force, timeout: '90s' } });
    for (const force of [true, false]) {
      expect(parseDrainFlags(argsOf(theOne(hooks(force), 'Job')), {})).to.deep.include({
        watchNamespaces: ['a'],
        timeoutMs: 90_000,
        force,
      });
      const decides = rightsIn(hooks(force), DRAIN).includes('a: decide mercato.dev/ordersagaruns ');
      expect(decides).to.equal(force);
    }
    expect(hooksOf(chart, { drain: { enabled: false } })).to.deep.equal([]);
  });
});

describe("the boundary's chart", () => {
  const chart = boundaryChart(mercato);
  const specOf = (overrides: Overrides = {}, of = chart) =>
    theOne(objectsOf(of, overrides), 'PciBoundary')['spec'] as unknown as PciBoundarySpec;
  const names = (ways: readonly { readonly name: string }[]) => ways.map(({ name }) => name);

  it('declares the calls of the model and nothing else', () => {
    const { ingress, egress, namespaces } = specOf();
    expect(namespaces).to.deep.equal(['mercato-card']);
    expect(names(ingress)).to.deep.equal(['mercato-operator-to-payment', 'mercato-worker-to-payment']);
    expect(names(egress)).to.deep.equal([]);
    expect(ingress[0]).to.deep.include({
      from: { namespace: 'mercato-system', podLabels: { 'app.kubernetes.io/name': 'mercato-operator' } },
      to: { namespace: 'mercato-card', podLabels: { 'app.kubernetes.io/name': 'payment' } },
      ports: [{ port: 8080, protocol: 'TCP' }],
    });
  });

  it('opens what settings and addresses of the installation call for', () => {
    const processor = { cidrs: [{ cidr: '192.0.2.0/24' }], wide: false };
    const cases: readonly [Overrides, { in?: string[]; out?: string[] }][] = [
      [{ global: { monitoring: { enabled: true } } }, { in: ['prometheus-to-payment'] }],
      [{ settings: { payment: { processor: 'simulated' } } }, { out: ['payment-to-acquirer'] }],
      [{ outside: { payment: { processor } } }, { out: ['payment-to-processor'] }],
      // Addresses of a company that is simulated are of no use.
      [
        { settings: { payment: { processor: 'simulated' } }, outside: { payment: { processor } } },
        { out: ['payment-to-acquirer'] },
      ],
      [{ global: { aws: { enabled: true, identity: 'pod-identity' } } }, { out: ['payment-to-pod-identity'] }],
      [{ global: { aws: { enabled: true } }, aws: { cidrs: [{ cidr: '10.0.1.0/24' }] } }, { out: ['payment-to-aws'] }],
    ];
    for (const [overrides, opened] of cases) {
      const { ingress, egress } = specOf(overrides);
      expect(names(ingress), JSON.stringify(overrides)).to.deep.equal([
        'mercato-operator-to-payment',
        'mercato-worker-to-payment',
        ...(opened.in ?? []),
      ]);
      expect(names(egress), JSON.stringify(overrides)).to.deep.equal(opened.out ?? []);
    }
  });

  it('lets card services ask for keys where the API server is said, and resolve names', () => {
    expect(specOf()).not.to.have.property('apiServer');
    const { apiServer, dns } = specOf({ apiServer: { cidrs: ['10.96.0.1/32'] } });
    expect(apiServer?.pods).to.deep.equal([
      { namespace: 'mercato-card', podLabels: { 'app.kubernetes.io/name': 'payment' } },
    ]);
    expect(dns?.pods).to.deep.equal({ namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' } });
  });

  it('is not touched by a service outside of the card zone that is added to the model', () => {
    expect(specOf({}, boundaryChart(withSearch))).to.deep.equal(specOf());
  });

  it('tells the controller by flags that it takes, its own image for probes among them', () => {
    const values = { image: { tag: 'v2' }, probes: { outsideAddress: '192.0.2.1:443' } };
    const deployment = theOne(objectsOf(chart, values), 'Deployment');
    expect(parseBoundaryOptions(argsOf(deployment), {})).to.deep.include({
      probeImage: 'localhost/mercato/boundary:v2',
      outside: { host: '192.0.2.1', port: 443 },
      leaseDurationMs: 15_000,
    });
  });

  it('leaves the card namespace and its deny policy to whoever makes them, where that is somebody else', () => {
    const objects = objectsOf(chart, { cardNamespace: { enabled: false } });
    for (const kind of ['Namespace', 'ResourceQuota', 'LimitRange'])
      expect(ofKind(objects, kind), kind).to.deep.equal([]);
    expect(ofKind(objects, 'NetworkPolicy').filter(({ metadata }) => metadata.namespace === 'mercato-card')).to.be
      .empty;
  });
});
