import type { PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import type { SeenPod } from '../kube/resources.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { type Plan, type PlannedProbe, planOf, type Surroundings } from './plan.ts';
import { MAX_WAYS } from './way.ts';

const ports = [{ port: 8080, protocol: 'TCP' as const }];
const why = 'a test';
const SPEC: Partial<PciBoundarySpec> = {
  ingress: [{ name: 'shipping', from: pods('shop', 'shipping'), to: pods('card', 'payment'), ports, why }],
  egress: [
    {
      name: 'acquirer',
      from: pods('card', 'payment'),
      to: { pods: pods('world', 'acquirer') },
      ports,
      wide: false,
      why,
    },
  ],
  dns: { pods: pods('kube-system', 'dns') },
  probes: { interval: '10m', namespaces: ['shop'] },
};

/** A pod that runs and is ready, with the label `app`. */
function podOf(namespace: string, app: string, ip: string, more: Partial<SeenPod> = {}): SeenPod {
  return {
    metadata: { namespace, name: `${app}-0`, labels: { app } },
    spec: { containers: [{ name: app, ports: [{ containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
    ...more,
  };
}

const PODS = [
  podOf('card', 'payment', '10.0.0.1'),
  podOf('world', 'acquirer', '10.0.0.2'),
  podOf('kube-system', 'dns', '10.0.0.3'),
  podOf('shop', 'inventory', '10.0.0.4'),
];

function plan(spec: Partial<PciBoundarySpec> = SPEC, around: Partial<Surroundings> = {}): Plan {
  return planOf(boundaryOf(spec).spec, {
    pods: PODS,
    hasNamespace: () => true,
    outside: { host: '192.0.2.1', port: 443 },
    apiServer: { host: '10.96.0.1', port: 443 },
    ...around,
  });
}

/** `expected host:port/protocol` of each way of a probe. */
const ways = (probe: PlannedProbe | undefined): string[] =>
  (probe?.ways ?? []).map(({ expected, host, port, protocol }) => `${expected} ${host}:${port}/${protocol}`);
const from = ({ probes }: Plan, namespace: string, app?: string): PlannedProbe | undefined =>
  probes.find((probe) => probe.namespace === namespace && probe.labels['app'] === app);

describe('A plan of probes', () => {
  it('tries what is declared between pods, with the labels of who is declared', () => {
    const made = plan();
    expect(ways(from(made, 'shop', 'shipping'))).to.deep.equal(['Open 10.0.0.1:8080/TCP']);
    expect(ways(from(made, 'card', 'payment'))).to.deep.equal(['Open 10.0.0.2:8080/TCP']);
    expect(from(made, 'card', 'payment')).to.include({ card: true });
    expect(from(made, 'shop', 'shipping')).to.include({ card: false });
  });

  it('tries card pods from each listed namespace, by a pod that nobody declared', () => {
    const made = plan({ ...SPEC, probes: { interval: '10m', namespaces: ['shop', 'world'] } });
    for (const namespace of ['shop', 'world'])
      expect(ways(from(made, namespace))).to.deep.equal(['Closed 10.0.0.1:8080/TCP']);
  });

  it('tries every way out of a card namespace that nobody may take, and DNS, which everybody may', () => {
    expect(ways(from(plan(), 'card'))).to.have.members([
      'Closed 10.0.0.1:8080/TCP',
      'Open 10.0.0.3:53/UDP',
      'Open 10.0.0.3:53/TCP',
      'Closed 192.0.2.1:443/TCP',
      'Closed 169.254.169.254:80/TCP',
      'Closed 10.96.0.1:443/TCP',
      'Closed 10.0.0.4:8080/TCP',
    ]);
  });

  it('gives a pod that nobody declared no label that a boundary could know it by', () => {
    const stranger = from(plan(), 'card');
    expect(Object.keys(stranger?.labels ?? {})).to.deep.equal(['app.kubernetes.io/name']);
    expect(stranger?.labels['app.kubernetes.io/name']).to.equal('mercato-boundary-probe');
  });

  it('leaves the API server out where nobody knows its address', () => {
    expect(ways(from(plan(SPEC, { apiServer: undefined }), 'card')).join()).to.not.include('10.96.0.1');
  });

  it('leaves out callers whose namespace does not exist: nobody could call', () => {
    const made = plan(SPEC, { hasNamespace: (name) => name === 'card' });
    expect(made.probes.map(({ namespace }) => namespace)).to.deep.equal(['card', 'card']);
    expect(made.untried).to.deep.equal([]);
  });

  for (const [what, pod] of Object.entries({
    'is not ready': podOf('card', 'payment', '10.0.0.1', {
      status: { phase: 'Running', podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'False' }] },
    }),
    'has no address': podOf('card', 'payment', '', { status: { phase: 'Pending' } }),
    'shares its node’s network': podOf('card', 'payment', '10.0.0.1', { spec: { hostNetwork: true } }),
    'is a probe': podOf('card', 'payment', '10.0.0.1', {
      metadata: { namespace: 'card', name: 'p', labels: { app: 'payment', 'mercato.dev/boundary-probe': 'b' } },
    }),
    'is being deleted': podOf('card', 'payment', '10.0.0.1', {
      metadata: { namespace: 'card', name: 'p', labels: { app: 'payment' }, deletionTimestamp: '2026-01-01T00:00:00Z' },
    }),
  })) {
    it(`says that it cannot try a pod that ${what}`, () => {
      const made = plan(SPEC, { pods: [pod, ...PODS.slice(1)] });
      expect(made.untried.map((way) => `${way.expected} ${way.from}`)).to.have.members([
        'Open shop app=shipping',
        'Closed shop, a pod that nobody declared',
        'Closed card, a pod that nobody declared',
      ]);
      expect(from(made, 'shop', 'shipping')).to.equal(undefined);
    });
  }

  it('does not try UDP but to DNS servers: nothing else would answer', () => {
    const udp = [{ port: 4317, protocol: 'UDP' as const }];
    const made = plan({
      ingress: [{ name: 'x', from: pods('shop', 'shipping'), to: pods('card', 'payment'), ports: udp, why }],
    });
    expect(ways(from(made, 'shop', 'shipping'))).to.deep.equal([]);
  });

  it('splits what one report has no room for', () => {
    const many = Array.from({ length: 5 }, (_, index) => ({
      name: `r${index}`,
      from: pods('shop', 'shipping'),
      to: pods('card', `c${index}`),
      ports: Array.from({ length: 8 }, (_, port) => ({ port: port + 1, protocol: 'TCP' as const })),
      why,
    }));
    const targets = many.map(({ to }, index) => podOf('card', to.podLabels['app'] ?? '', `10.0.1.${index}`));
    const probes = plan({ ingress: many }, { pods: targets }).probes.filter(
      ({ labels }) => labels['app'] === 'shipping',
    );
    expect(probes.map((probe) => probe.ways.length)).to.deep.equal([MAX_WAYS, 8]);
  });
});
