import { MAX_FINDING_MESSAGE, MAX_LISTED, type PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import { CARD_DATA, CARD_TAINT, NODE_AGENTS, YES } from '../labels.ts';
import { DENY_ALL, declared } from '../policy/desired.ts';
import type { NetworkPolicy, NetworkPolicySpec } from '../policy/types.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { objectOf, observedOf, podOf } from '../testing/observed.ts';
import { policyIn } from '../testing/policies.ts';
import { findings, RULES, since, summary } from './findings.ts';
import { fitsCardTaint } from './nodes.ts';
import type { Found, Observed, ObservedPod } from './types.ts';

const tcp = (port: number) => [{ port, protocol: 'TCP' as const }];
const SPEC: Partial<PciBoundarySpec> = {
  ingress: [
    { name: 'operator', from: pods('shop', 'operator'), to: pods('card', 'payment'), ports: tcp(8080), why: 'sagas' },
  ],
  egress: [
    {
      name: 'bank',
      from: pods('card', 'payment'),
      to: { cidrs: [{ cidr: '203.0.113.0/24', except: ['203.0.113.128/25'] }] },
      ports: tcp(443),
      wide: false,
      why: 'cards',
    },
  ],
  probes: { interval: '10m', namespaces: ['shop'] },
};
const boundary = boundaryOf(SPEC);
const PODS = [podOf('shop', 'operator'), podOf('shop', 'cart'), podOf('card', 'payment')];

/** The findings of a cluster in which only these things are not as they must be. */
function found(more: Partial<Observed>, of = boundary): readonly Found[] {
  return findings(of, observedOf(of, PODS, more));
}
const named = (list: readonly Found[]) => list.map(({ rule, object }) => `${rule}: ${object}`);
const withPod = (namespace: string, app: string, spec: ObservedPod['spec'] = {}, meta: object = {}) =>
  found({ pods: [...PODS, podOf(namespace, app, spec, meta)] });
const withPolicies = (...policies: NetworkPolicy[]) => found({ policies });
const foreign = (spec: NetworkPolicySpec) =>
  withPolicies(...declared(boundary), policyIn('card', 'mine', { podSelector: {}, ...spec }));
/** The declared policies, with the spec of one changed. */
const changed = (name: string, change: (spec: NetworkPolicySpec) => NetworkPolicySpec) =>
  withPolicies(
    ...declared(boundary).map((policy) =>
      policy.metadata.name === name ? { ...policy, spec: change(policy.spec) } : policy,
    ),
  );

describe('findings', () => {
  it('are none where all is as it must be', () => {
    expect(found({})).to.deep.equal([]);
  });

  describe('of policies that differ from the declared ones', () => {
    it('name a deny policy that was dropped, and the pods that stand open', () => {
      const stray = podOf('card', 'stray');
      const policies = declared(boundary).filter(({ metadata }) => metadata.name !== DENY_ALL);
      const list = found({ policies, pods: [...PODS, stray] });
      expect(named(list)).to.include.members([
        'deny-missing: NetworkPolicy card/default-deny',
        'pod-open: Pod card/stray',
        'metadata-reachable: Pod card/stray',
        'way-undeclared: Pod card/(any other pod)',
      ]);
    });

    it('name an allow policy that was dropped as a warning: it opens nothing', () => {
      const policies = declared(boundary).filter(({ metadata }) => metadata.name !== 'boundary.ingress.operator');
      const list = found({ policies });
      expect(named(list)).to.deep.equal(['policy-missing: NetworkPolicy card/boundary.ingress.operator']);
      expect(list[0]?.severity).to.equal('Warning');
    });

    it('name a peer that was split into two items, which opens the namespace', () => {
      const list = changed('boundary.ingress.operator', (spec) => {
        const [peer] = spec.ingress?.[0]?.from ?? [];
        const from = [{ namespaceSelector: peer?.namespaceSelector ?? {} }, { podSelector: peer?.podSelector ?? {} }];
        return { ...spec, ingress: [{ ...spec.ingress?.[0], from }] };
      });
      expect(named(list)).to.deep.equal([
        'policy-changed: NetworkPolicy card/boundary.ingress.operator',
        'way-undeclared: Pod card/payment',
      ]);
      expect(list[1]?.message).to.include('reached from shop/cart on 8080/TCP');
    });

    it('name a CIDR that was widened, or lost its exception', () => {
      for (const block of [{ cidr: '203.0.112.0/23' }, { cidr: '203.0.113.0/24' }]) {
        const list = changed('boundary.egress.bank', (spec) => ({
          ...spec,
          egress: [{ ...spec.egress?.[0], to: [{ ipBlock: block }] }],
        }));
        expect(named(list), block.cidr).to.deep.equal([
          'policy-changed: NetworkPolicy card/boundary.egress.bank',
          'way-undeclared: Pod card/payment',
        ]);
        expect(list[1]?.message).to.include('let out to 203.0.11').and.include('443/TCP');
      }
    });

    it('name a CIDR that was widened to instance metadata', () => {
      const list = changed('boundary.egress.bank', (spec) => ({
        ...spec,
        egress: [{ ...spec.egress?.[0], to: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }],
      }));
      expect(named(list)).to.include('metadata-reachable: Pod card/payment');
    });

    it('name a pod selector that was dropped, of a peer and of the policy', () => {
      const ofPeer = changed('boundary.ingress.operator', (spec) => {
        const [peer] = spec.ingress?.[0]?.from ?? [];
        const from = [{ namespaceSelector: peer?.namespaceSelector ?? {} }];
        return { ...spec, ingress: [{ ...spec.ingress?.[0], from }] };
      });
      expect(named(ofPeer)).to.include('way-undeclared: Pod card/payment');
      const ofPolicy = changed('boundary.ingress.operator', (spec) => ({ ...spec, podSelector: {} }));
      expect(named(ofPolicy)).to.include('way-undeclared: Pod card/(any other pod)');
    });

    it('name a deny policy that no longer governs egress', () => {
      const list = changed(DENY_ALL, (spec) => ({ ...spec, policyTypes: ['Ingress'] }));
      expect(named(list)).to.deep.equal([
        'policy-changed: NetworkPolicy card/default-deny',
        'way-undeclared: Pod card/(any other pod)',
      ]);
    });

    it('name a port that was widened', () => {
      const list = changed('boundary.ingress.operator', (spec) => ({
        ...spec,
        ingress: [{ ...spec.ingress?.[0], ports: [{ protocol: 'TCP', port: 8080, endPort: 8081 }] }],
      }));
      expect(list.find(({ rule }) => rule === 'way-undeclared')?.message).to.include('8081/TCP');
    });

    it('name a foreign policy that allows anything, and what it opens, in one finding for each pod', () => {
      const list = foreign({ policyTypes: ['Ingress'], ingress: [{}] });
      expect(named(list)).to.deep.equal([
        'policy-foreign: NetworkPolicy card/mine',
        'way-undeclared: Pod card/(any other pod)',
        'way-undeclared: Pod card/payment',
      ]);
      expect(list[2]?.message).to.match(/reached from .* on .* and \d+ others/);
    });

    it('know of a namespace in which nothing runs yet by its labels', () => {
      const { namespaces } = observedOf(boundary, PODS);
      const empty = { metadata: { name: 'batch', labels: { team: 'platform' } } };
      const from = [{ namespaceSelector: { matchLabels: { team: 'platform' } } }];
      const open = policyIn('card', 'mine', { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ from }] });
      const list = found({ namespaces: [...namespaces, empty], policies: [...declared(boundary), open] });
      expect(list.find(({ object }) => object === 'Pod card/payment')?.message).to.include(
        'reached from batch/(any other pod) on all',
      );
    });

    it('say nothing of a foreign policy that only denies', () => {
      expect(foreign({ policyTypes: ['Ingress', 'Egress'] })).to.deep.equal([]);
    });

    it('leave the policies of other namespaces to them', () => {
      const theirs = policyIn('shop', 'theirs', { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] });
      expect(withPolicies(...declared(boundary), theirs)).to.deep.equal([]);
    });

    it('do not mind in which order a policy’s fields come', () => {
      const reversed = (value: object): object => Object.fromEntries(Object.entries(value).toReversed());
      const policies = declared(boundary).map((policy) => ({
        ...policy,
        spec: reversed(policy.spec) as NetworkPolicySpec,
      }));
      expect(found({ policies })).to.deep.equal([]);
    });

    it('name policies of other kinds, in the namespace and for the whole cluster', () => {
      const otherPolicies = [
        objectOf('CiliumNetworkPolicy', 'card', 'open'),
        objectOf('CiliumNetworkPolicy', 'shop', 'open'),
        objectOf('AdminNetworkPolicy', undefined, 'all'),
      ];
      const list = found({ otherPolicies });
      expect(named(list)).to.deep.equal([
        'policy-other-kind: CiliumNetworkPolicy card/open',
        'policy-cluster-wide: AdminNetworkPolicy all',
      ]);
      expect(list.map(({ severity }) => severity)).to.deep.equal(['Violation', 'Warning']);
    });
  });

  describe('of card pods', () => {
    const one = (spec: ObservedPod['spec'], meta: object = {}) => {
      const list = found({ pods: [...PODS.slice(0, 2), podOf('card', 'payment', spec, meta)] });
      expect(named(list).filter((line) => !line.endsWith('Pod card/payment-0'))).to.deep.equal([]);
      return list.map(({ rule }) => rule);
    };
    const container = { name: 'payment', image: `mercato/payment@sha256:${'0'.repeat(64)}` };

    it('name the use of a node’s network, processes, memory and ports', () => {
      expect(one({ hostNetwork: true })).to.deep.equal(['host-access']);
      expect(one({ hostPID: true, hostIPC: true })).to.deep.equal(['host-access']);
      expect(one({ containers: [{ ...container, ports: [{ containerPort: 1, hostPort: 80 }] }] })).to.deep.equal([
        'host-access',
      ]);
    });

    it('name pods without an owner, debug containers and images named by tag', () => {
      expect(one({}, { ownerReferences: [] })).to.deep.equal(['pod-unowned']);
      expect(one({ ephemeralContainers: [{ name: 'debugger' }] })).to.deep.equal(['ephemeral-container']);
      expect(one({ containers: [{ ...container, image: 'mercato/payment:1.0' }] })).to.deep.equal([
        'image-without-digest',
      ]);
      expect(one({ initContainers: [{ name: 'i', image: 'busybox' }] })).to.deep.equal(['image-without-digest']);
    });

    it('name the default service account, and tokens that nothing needs', () => {
      expect(one({ serviceAccountName: 'default' })).to.deep.equal(['default-service-account']);
      expect(one({ automountServiceAccountToken: true })).to.deep.equal(['token-mounted']);
    });

    it('go by the service account where the pod does not say whether it wants a token', () => {
      const { automountServiceAccountToken: _, ...silent } = podOf('card', 'payment').spec ?? {};
      const pod = { ...podOf('card', 'payment'), spec: silent };
      const account = (automountServiceAccountToken?: boolean) => ({
        metadata: { namespace: 'card', name: 'payment' },
        ...(automountServiceAccountToken !== undefined && { automountServiceAccountToken }),
      });
      const rules = (serviceAccounts: Observed['serviceAccounts'] = []) =>
        found({ pods: [...PODS.slice(0, 2), pod], serviceAccounts }).map(({ rule }) => rule);
      expect(rules([account()])).to.deep.equal(['token-mounted']);
      expect(rules([account(true)])).to.deep.equal(['token-mounted']);
      expect(rules([account(false)])).to.deep.equal([]);
    });

    it('do not speak of pods that have ended', () => {
      const ended = { ...podOf('card', 'job', { hostNetwork: true }), status: { phase: 'Succeeded' } };
      expect(found({ pods: [...PODS, ended] })).to.deep.equal([]);
    });
  });

  describe('of nodes', () => {
    it('name card pods elsewhere, and card nodes that take any pod', () => {
      expect(named(withPod('card', 'vault', { nodeName: 'node' }))).to.deep.equal([
        'pod-off-card-nodes: Pod card/vault-0',
      ]);
      const node = { metadata: { name: 'card-node', labels: { [CARD_DATA]: YES } } };
      expect(named(found({ nodes: [node] }))).to.deep.equal(['node-untainted: Node card-node']);
      const soft = { ...node, spec: { taints: [{ ...CARD_TAINT, effect: 'PreferNoSchedule' }] } };
      expect(named(found({ nodes: [soft] }))).to.deep.equal(['node-untainted: Node card-node']);
    });

    it('name others on card nodes and who may come there, but no agents of the node', () => {
      const everything = { tolerations: [{ operator: 'Exists' }] };
      expect(named(withPod('shop', 'search', { nodeName: 'card-node' }))).to.deep.equal([
        'stranger-on-card-node: Pod shop/search-0',
      ]);
      expect(named(withPod('shop', 'search', everything))).to.deep.equal(['taint-tolerated: Pod shop/search-0']);
      expect(withPod('kube-system', 'aws-node', { ...everything, nodeName: 'card-node' })).to.deep.equal([]);
      const agent = podOf('monitoring', 'shipper', { ...everything, nodeName: 'card-node' });
      const { namespaces } = observedOf(boundary, PODS);
      const monitoring = { metadata: { name: 'monitoring', labels: { [NODE_AGENTS]: YES } } };
      expect(found({ pods: [...PODS, agent], namespaces: [...namespaces, monitoring] })).to.deep.equal([]);
    });

    it('go by Kubernetes’ rules of which toleration fits a taint', () => {
      for (const [toleration, fits] of [
        [{ operator: 'Exists' }, true],
        [{ operator: 'Exists', effect: 'NoExecute' }, false],
        [{ key: CARD_TAINT.key, operator: 'Exists' }, true],
        [{ key: CARD_TAINT.key, value: YES, effect: 'NoSchedule' }, true],
        [{ key: CARD_TAINT.key, value: 'false' }, false],
        [{ key: 'other', operator: 'Exists' }, false],
        [{ value: YES }, false],
      ] as const)
        expect(fitsCardTaint(toleration), JSON.stringify(toleration)).to.equal(fits);
    });
  });

  describe('of namespaces and rights', () => {
    it('name card namespaces without label, Pod Security or quota', () => {
      const shop = { metadata: { name: 'shop' } };
      const card = (labels: Record<string, string>) =>
        found({ namespaces: [{ metadata: { name: 'card', labels } }, shop], quotas: [] });
      expect(named(card({}))).to.deep.equal([
        'namespace-unlabelled: Namespace card',
        'pod-security: Namespace card',
        'quota-missing: Namespace card',
      ]);
      expect(named(card({ [CARD_DATA]: YES, 'pod-security.kubernetes.io/enforce': 'baseline' }))).to.deep.equal([
        'pod-security: Namespace card',
        'quota-missing: Namespace card',
      ]);
    });

    it('name a namespace for card data that is none of the boundary’s', () => {
      const { namespaces } = observedOf(boundary, PODS);
      const other = { metadata: { name: 'vault', labels: { [CARD_DATA]: YES } } };
      expect(named(found({ namespaces: [...namespaces, other] }))).to.deep.equal([
        'namespace-undeclared: Namespace vault',
      ]);
    });

    it('name subjects from outside, but those that the boundary lists', () => {
      const binding = (kind: string, name: string, namespace?: string) => ({
        metadata: { namespace: 'card', name: `${kind}-${name}` },
        roleRef: { kind: 'Role', name: 'deployer' },
        subjects: [{ kind, name, ...(namespace !== undefined && { namespace }) }],
      });
      const roleBindings = [
        binding('ServiceAccount', 'payment', 'card'),
        binding('Group', 'system:serviceaccounts:card'),
        binding('ServiceAccount', 'argocd', 'argocd'),
        binding('ServiceAccount', 'payment', 'shop'),
        binding('Group', 'developers'),
        { ...binding('Group', 'developers'), metadata: { namespace: 'shop', name: 'theirs' } },
      ];
      const access = [{ kind: 'ServiceAccount' as const, name: 'argocd', namespace: 'argocd', why: 'syncs' }];
      const list = found({ roleBindings }, boundaryOf({ ...SPEC, access }));
      expect(named(list)).to.deep.equal([
        'outside-subject: RoleBinding card/Group-developers',
        'outside-subject: RoleBinding card/ServiceAccount-payment',
      ]);
      expect(list[1]?.message).to.include('it gives deployer to ServiceAccount shop/payment');
    });

    it('name services that let the outside in', () => {
      const service = (name: string, spec: object) => ({ metadata: { namespace: 'card', name }, spec });
      const services = [
        service('fine', { type: 'ClusterIP' }),
        service('lb', { type: 'LoadBalancer' }),
        service('node', { type: 'NodePort' }),
        service('out', { type: 'ExternalName' }),
        service('ips', { externalIPs: ['10.0.0.1'] }),
      ];
      expect(named(found({ services }))).to.deep.equal([
        'service-exposed: Service card/ips',
        'service-exposed: Service card/lb',
        'service-exposed: Service card/node',
        'service-exposed: Service card/out',
      ]);
    });
  });

  describe('of the declaration itself', () => {
    it('name blocks of addresses that hold pods', () => {
      const cart = { ...podOf('shop', 'cart'), status: { phase: 'Running', podIPs: [{ ip: '203.0.113.9' }] } };
      const list = found({ pods: [PODS[0]!, cart, PODS[2]!] });
      expect(named(list)).to.deep.equal(['cidr-covers-pods: PciBoundary boundary']);
      expect(list[0]?.message).to.include('spec.egress bank').and.include('shop/cart-0');
      const excepted = { ...cart, status: { phase: 'Running', podIPs: [{ ip: '203.0.113.200' }] } };
      expect(found({ pods: [PODS[0]!, excepted, PODS[2]!] })).to.deep.equal([]);
    });

    it('name ways that nobody uses', () => {
      const list = found({ pods: PODS.slice(1) });
      expect(named(list)).to.deep.equal(['way-unused: PciBoundary boundary']);
      expect(list[0]?.message).to.include('spec.ingress operator: no pod of shop has the labels app=operator');
    });

    it('name probes that are off', () => {
      const quiet = boundaryOf({ ...SPEC, probes: { interval: '10m', namespaces: [] } });
      expect(named(found({}, quiet))).to.deep.equal(['probes-off: PciBoundary boundary']);
    });
  });

  it('put violations first, say what to do, and fit a status', () => {
    const long = 'x'.repeat(200);
    const list = found({
      quotas: [],
      roleBindings: [
        {
          metadata: { namespace: 'card', name: long },
          roleRef: { kind: 'Role', name: long },
          subjects: [{ kind: 'User', name: long }],
        },
      ],
    });
    expect(list.map(({ severity }) => severity)).to.deep.equal(['Violation', 'Warning']);
    for (const { object, message } of list) {
      expect(object.length).to.be.at.most(192);
      expect(message.length).to.be.at.most(MAX_FINDING_MESSAGE);
    }
  });

  it('are known since they were first seen, and counted beyond those that a status names', () => {
    const list = found({ quotas: [], policies: [] });
    const first = since(list, [], '2026-11-22T12:00:00Z');
    expect(first.map((finding) => finding.since)).to.deep.equal(list.map(() => '2026-11-22T12:00:00Z'));
    const later = since(list, first.slice(1), '2026-11-22T13:00:00Z');
    expect(later[0]?.since).to.equal('2026-11-22T13:00:00Z');
    expect(later.slice(1)).to.deep.equal(first.slice(1));
    const many = Array.from({ length: 30 }, () => first[0]!);
    expect(summary(many)).to.deep.include({ findingCount: 30, violationCount: 30 });
    expect(summary(many).findings).to.have.length(MAX_LISTED);
  });

  it('come of rules with names and requirement numbers of their form', () => {
    expect(new Set(RULES.map(({ name }) => name)).size).to.equal(RULES.length);
    for (const { name, requirement } of RULES) {
      expect(name)
        .to.match(/^[a-z]+(-[a-z]+)*$/)
        .and.have.length.at.most(40);
      expect(requirement)
        .to.match(/^\d+\.\d+\.\d+(, \d+\.\d+\.\d+)*$/)
        .and.have.length.at.most(40);
    }
  });
});
