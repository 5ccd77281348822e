import { denyAll } from '@mercato/boundary/policy/desired.ts';
import type { NetworkPolicy } from '@mercato/boundary/policy/types.ts';
import { reachOf } from '@mercato/boundary/reach/reach.ts';
import {
  type End,
  INTERNET,
  METADATA,
  type Outside,
  POD_IDENTITY,
  type Workload,
} from '@mercato/boundary/reach/types.ts';
import { expect } from 'chai';
import { type Overrides, valuesOf } from '../backends/values.ts';
import type { ServiceValues } from '../charts/service-values.ts';
import { isController, portOf, portsCalled, serviceOf } from '../model/derive.ts';
import type { Service } from '../model/types.ts';
import { withSearch } from '../testing/added.ts';
import { chartOf, ofKind, rendered } from '../testing/rendered.ts';
import { applies, labels, namespaceOf } from './context.ts';

const API_SERVER: Outside = { name: 'API server', address: '10.96.0.1' };
const PRIVATE: Outside = { name: 'another private address', address: '192.168.0.1' };

/** Values under which everything is on that the model has ways for. */
const ALL_ON: Readonly<Record<string, Overrides>> = {
  payment: { settings: { processor: 'simulated' } },
  shipping: { settings: { carrier: 'simulated' } },
  search: { settings: { ranking: 'delivery' } },
};
const GLOBAL = {
  cluster: { apiServerPeers: [{ ipBlock: { cidr: '10.96.0.1/32' } }], apiServerPorts: [443] },
};

const services = withSearch.services;
const valuesFor = (service: Service, overrides: Overrides): ServiceValues =>
  valuesOf(chartOf(withSearch, service.name), overrides) as unknown as ServiceValues;

function podsOf(service: Service): Workload {
  const { global } = valuesFor(service, {});
  return {
    namespace: namespaceOf(service.zone, global),
    name: service.name,
    labels: labels(service),
    namespaceLabels: {},
    ports: [{ name: 'http', port: portOf(service) }],
  };
}

/** The policies of all charts, and the denial that a card namespace has. */
function policies(change: (service: Service) => Overrides = ({ name }) => ALL_ON[name] ?? {}): NetworkPolicy[] {
  const own = services.flatMap((service) => {
    const given = change(service);
    const global = { ...GLOBAL, ...(given['global'] as object) };
    return ofKind(rendered(withSearch, service.name, { ...given, global }), 'NetworkPolicy');
  });
  return [...own, denyAll('mercato-card')] as unknown as NetworkPolicy[];
}

const pods = (name: string): Workload => podsOf(serviceOf(withSearch, name));
const stranger = (namespace: string, podLabels: Record<string, string> = {}): Workload => ({
  namespace,
  name: 'stranger',
  labels: podLabels,
  namespaceLabels: {},
});
const DNS: Workload = { ...stranger('kube-system', { 'k8s-app': 'kube-dns' }), name: 'dns' };
const PROMETHEUS: Workload = stranger('monitoring', { 'app.kubernetes.io/name': 'prometheus' });

describe('network policies', function () {
  this.timeout(60_000);
  const reach = reachOf(policies());
  const open = (from: End, to: End, port: number, protocol: 'TCP' | 'UDP' = 'TCP') =>
    reach.ask(from, to, port, protocol).allowed;

  it('govern every pod in both directions', () => {
    for (const service of services) {
      expect(reach.isIsolated(podsOf(service), 'Ingress'), service.name).to.equal(true);
      expect(reach.isIsolated(podsOf(service), 'Egress'), service.name).to.equal(true);
    }
  });

  it('let a service reach whom the model says it calls, on that port, and no other service at all', () => {
    for (const from of services)
      for (const to of services) {
        if (from === to) continue;
        // Ways from and to the card zone are the PciBoundary's.
        const card = from.zone === 'card' || to.zone === 'card';
        const call = from.calls.find((each) => each.to === to.name);
        const called = call !== undefined && !card && applies(call.when, valuesFor(from, ALL_ON[from.name] ?? {}));
        const found = reach.ports(podsOf(from), podsOf(to));
        expect(found.length > 0, `${from.name} to ${to.name}`).to.equal(called);
        if (!called) continue;
        const ports = portsCalled(from, to);
        for (const each of [portOf(to), portOf(to) + 1, ...(to.doors ?? []).map(({ port }) => port)])
          expect(open(podsOf(from), podsOf(to), each), `${from.name} to ${to.name} ${each}`).to.equal(
            ports.includes(each),
          );
      }
  });

  it('let nobody in who has only the namespace of a caller, or only its labels', () => {
    const { labels: callerLabels, namespace } = pods('shipping');
    expect(open(stranger(namespace, callerLabels), pods('inventory'), 8080)).to.equal(true);
    expect(open(stranger(namespace), pods('inventory'), 8080)).to.equal(false);
    expect(open(stranger('default', callerLabels), pods('inventory'), 8080)).to.equal(false);
  });

  it('let what opens connections ask cluster DNS, and what opens none not even that', () => {
    for (const service of services.filter(({ zone }) => zone !== 'card')) {
      const asks = service.component !== 'simulator';
      expect(open(podsOf(service), DNS, 53, 'UDP'), service.name).to.equal(asks);
      expect(open(podsOf(service), DNS, 53), service.name).to.equal(asks);
      expect(open(podsOf(service), DNS, 443), service.name).to.equal(false);
    }
  });

  it('let controllers and what checks tokens reach the API server, on its port', () => {
    for (const service of services.filter(({ zone }) => zone !== 'card')) {
      const asks = isController(service) || service.tokens !== undefined;
      expect(open(podsOf(service), API_SERVER, 443), service.name).to.equal(asks);
      expect(open(podsOf(service), API_SERVER, 6443), service.name).to.equal(false);
    }
  });

  it('let nobody out to the internet, other private addresses or instance metadata', () => {
    for (const service of services)
      for (const to of [INTERNET, PRIVATE, METADATA, POD_IDENTITY])
        expect(reach.ports(podsOf(service), to), `${service.name} to ${to.name}`).to.be.empty;
  });

  it('close a conditional way with its setting', () => {
    const closed = reachOf(policies(({ name }) => (name === 'search' ? { settings: { ranking: 'words' } } : {})));
    expect(closed.ports(pods('search'), pods('carrier'))).to.be.empty;
    expect(closed.ports(pods('search'), pods('inventory'))).not.to.be.empty;
  });

  it('open what is outside to the peers that an installation names, only under the setting, and never without peers', () => {
    const ask = (overrides: Overrides, port: number) =>
      reachOf(policies(({ name }) => (name === 'search' ? overrides : {}))).ask(pods('search'), PRIVATE, port, 'TCP')
        .allowed;
    const outsidePeers = [{ ipBlock: { cidr: '192.168.0.0/16' } }];
    expect(ask({ settings: { ranking: 'engine' }, outsidePeers }, 9200)).to.equal(true);
    expect(ask({ settings: { ranking: 'engine' }, outsidePeers }, 80)).to.equal(false);
    expect(ask({ settings: { ranking: 'words' }, outsidePeers }, 9200)).to.equal(false);
    expect(ask({ settings: { ranking: 'engine' } }, 9200)).to.equal(false);
  });

  it('open the way to those who are told what customers are told, on their ports, and none without them', () => {
    const crm = stranger('crm', { app: 'crm' });
    const peers = [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'crm' } },
        podSelector: { matchLabels: { app: 'crm' } },
      },
    ];
    const ask = (announceTo: object, to: Workload, port: number) =>
      reachOf(policies(({ name }) => (name === 'order' ? { announceTo } : {}))).ask(pods('order'), to, port, 'TCP')
        .allowed;
    expect(ask({ peers, ports: [8080] }, crm, 8080)).to.equal(true);
    expect(ask({ peers, ports: [8080] }, crm, 8081)).to.equal(false);
    expect(ask({ peers, ports: [8080] }, stranger('crm'), 8080)).to.equal(false);
    expect(ask({ peers, ports: [] }, crm, 8080), 'no ports are not all of them').to.equal(false);
    expect(ask({ peers: [], ports: [8080] }, crm, 8080), 'no peers are not everybody').to.equal(false);
  });

  it('open the way to the collector for who sends traces: its pods, its port, and nothing else', () => {
    const tracing = { enabled: true, namespace: 'traces', podLabels: { app: 'collector' }, port: 4319 };
    const collector = stranger('traces', { 'app.kubernetes.io/name': 'opentelemetry-collector', app: 'collector' });
    const ask = (name: string, to: Workload, port: number, enabled = true) =>
      reachOf(policies(() => ({ global: { tracing: { ...tracing, enabled } } }))).ask(pods(name), to, port, 'TCP')
        .allowed;
    for (const name of ['order', 'inventory', 'shipping', 'mercato-operator', 'mercato-worker']) {
      expect(ask(name, collector, 4319), name).to.equal(true);
      expect(ask(name, collector, 4318), name).to.equal(false);
      expect(ask(name, stranger('traces'), 4319), name).to.equal(false);
      expect(ask(name, stranger('other', collector.labels), 4319), name).to.equal(false);
      expect(ask(name, collector, 4319, false), name).to.equal(false);
    }
    for (const name of ['acquirer', 'carrier', 'mercato-boundary'])
      expect(ask(name, collector, 4319), name).to.equal(false);
  });

  it('close the ways of events where these go over the bus', () => {
    const ask = (eventBus: boolean) => reachOf(policies(() => ({ global: { aws: { enabled: true, eventBus } } })));
    const ways = [
      ['order', 'mercato-worker', 8090],
      ['order', 'mercato-operator', 8090],
      ['shipping', 'inventory', 8080],
      ['mercato-worker', 'order', 8080],
    ] as const;
    for (const [from, to, port] of ways) {
      expect(ask(false).ask(pods(from), pods(to), port, 'TCP').allowed, `${from} to ${to}`).to.equal(true);
      expect(ask(true).ask(pods(from), pods(to), port, 'TCP').allowed, `${from} to ${to}`).to.equal(false);
    }
    expect(ask(true).ask(pods('mercato-worker'), pods('inventory'), 8080, 'TCP').allowed).to.equal(true);
  });

  it('open AWS, and the Pod Identity agent, only where they are used', () => {
    const outsidePeers = [{ ipBlock: { cidr: '192.168.0.0/16' } }];
    const asked = (aws: object) => {
      const own = reachOf(policies(({ name }) => ({ global: { aws }, ...(name === 'search' && { outsidePeers }) })));
      return [
        own.ask(pods('search'), PRIVATE, 443, 'TCP'),
        own.ask(pods('search'), POD_IDENTITY, 80, 'TCP'),
        own.ask(pods('search'), METADATA, 80, 'TCP'),
      ].map(({ allowed }) => allowed);
    };
    expect(asked({ enabled: false, identity: 'pod-identity' })).to.deep.equal([false, false, false]);
    expect(asked({ enabled: true, identity: 'irsa' })).to.deep.equal([true, false, false]);
    expect(asked({ enabled: true, identity: 'pod-identity' })).to.deep.equal([true, true, false]);
  });

  it('let Prometheus in where there is one', () => {
    const inventory = pods('inventory');
    expect(open(PROMETHEUS, inventory, 8080)).to.equal(false);
    const watched = reachOf(policies(() => ({ global: { monitoring: { enabled: true } } })));
    expect(watched.ask(PROMETHEUS, inventory, 8080, 'TCP').allowed).to.equal(true);
    expect(watched.ask(stranger('monitoring'), inventory, 8080, 'TCP').allowed).to.equal(false);
  });

  it('let in whom an installation adds, and with an empty list nobody, where a policy would read it as everybody', () => {
    const gateway = stranger('gateway', { app: 'gateway' });
    const callers = [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'gateway' } },
        podSelector: { matchLabels: { app: 'gateway' } },
      },
    ];
    const added = reachOf(policies(({ name }) => (name === 'inventory' ? { callers } : {})));
    expect(added.ask(gateway, pods('inventory'), 8080, 'TCP').allowed).to.equal(true);
    expect(added.ask(gateway, pods('shipping'), 8080, 'TCP').allowed).to.equal(false);
    const nobody = { cluster: { dnsPeers: [], apiServerPeers: [], apiServerPorts: [] } };
    const empty = reachOf(
      policies(({ name }) => ({ global: nobody, ...(name === 'inventory' && { callers: [], outsidePeers: [] }) })),
    );
    expect(empty.ports(stranger('default'), pods('inventory'))).to.be.empty;
    expect(empty.ports(pods('inventory'), INTERNET)).to.be.empty;
    expect(empty.ports(pods('inventory'), DNS)).to.be.empty;
  });

  it('open one way each: without any of them, something could not be reached', () => {
    const all = policies();
    const ends: End[] = [...services.map(podsOf), DNS, API_SERVER];
    const matrix = (some: readonly NetworkPolicy[]) => {
      const { ports } = reachOf(some);
      return JSON.stringify(ends.map((from) => ends.map((to) => (from === to ? [] : ports(from, to)))));
    };
    const whole = matrix(all);
    // The other end of a way to or from a card pod is its PciBoundary's.
    const opens = all.filter(({ metadata: { name } }) => !/deny|payment/.test(name));
    const without = opens.filter((policy) => matrix(all.filter((each) => each !== policy)) === whole);
    expect(opens.length).to.be.greaterThan(15);
    expect(without.map(({ metadata }) => metadata.name)).to.be.empty;
  });

  it('leave a card namespace to its PciBoundary', () => {
    expect(ofKind(rendered(withSearch, 'payment'), 'NetworkPolicy')).to.be.empty;
  });
});
