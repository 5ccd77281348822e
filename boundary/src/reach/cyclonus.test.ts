import { expect } from 'chai';
import fc from 'fast-check';
import { declared, NAMESPACE_NAME } from '../policy/desired.ts';
import type {
  LabelRequirement,
  LabelSelector,
  NetworkPolicy,
  PolicyPeer,
  PolicyPort,
  Protocol,
} from '../policy/types.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { askCyclonus, type Traffic } from '../testing/cyclonus.ts';
import { policyIn, workloadOf } from '../testing/policies.ts';
import { strangers, telltales } from './matrix.ts';
import { reachOf } from './reach.ts';
import { type End, endName, isWorkload, OUTSIDE, type Outside, type Workload } from './types.ts';

const SETS = 300;
/** Sets of one invocation: each has namespaces of its own, so none sees the policies of another. */
const BATCH = 100;

const NAMESPACES = ['card', 'shop', 'tools'] as const;
const PORTS: readonly (readonly [number, Protocol])[] = [
  [80, 'TCP'],
  [8080, 'TCP'],
  [8085, 'TCP'],
  [5353, 'UDP'],
  [5353, 'TCP'],
  [9000, 'SCTP'],
];
const WORLD: readonly Outside[] = [
  { name: 'internet', address: '203.0.113.7' },
  { name: 'metadata', address: '169.254.169.254' },
  { name: 'six', address: 'fd00:ec2::254' },
];

/** A set's own name of a namespace. */
const own = (set: number, namespace: string) => `s${set}-${namespace}`;

/** What cyclonus and the API agree on: every pod has `app` and `tier`, since the two read NotIn of an absent label differently (see below). */
function workloadsOf(set: number): Workload[] {
  const made = (namespace: string, app: string, tier: string, more: Partial<Workload>): Workload => ({
    ...workloadOf(own(set, namespace), app),
    labels: { app, tier, ...(tier === 'back' && { canary: 'yes' }) },
    namespaceLabels: { [NAMESPACE_NAME]: own(set, namespace), team: namespace === 'tools' ? 'platform' : 'product' },
    ...more,
  });
  return [
    made('card', 'a', 'front', { addresses: ['10.0.0.1'] }),
    made('card', 'b', 'back', { addresses: ['fd12::1'], ports: [{ name: 'http', port: 80 }] }),
    made('shop', 'a', 'back', { addresses: ['10.0.1.1'] }),
    made('tools', 'b', 'front', { addresses: ['10.1.0.1'], ports: [{ name: 'dns', port: 5353, protocol: 'UDP' }] }),
  ];
}

const VALUES = {
  app: ['a', 'b'],
  tier: ['front', 'back'],
  canary: ['yes', 'no'],
  team: ['platform', 'product'],
} as const;
type Key = keyof typeof VALUES;

const requirement = (keys: readonly Key[]): fc.Arbitrary<LabelRequirement> =>
  fc.constantFrom(...keys).chain((key) => {
    const operators = ['In', 'Exists', 'DoesNotExist', ...(key === 'canary' ? [] : ['NotIn' as const])] as const;
    return fc.constantFrom(...operators).chain((operator): fc.Arbitrary<LabelRequirement> => {
      if (operator === 'Exists' || operator === 'DoesNotExist') return fc.constant({ key, operator });
      return fc
        .uniqueArray(fc.constantFrom(...VALUES[key]), { minLength: 1, maxLength: 2 })
        .map((values) => ({ key, operator, values }));
    });
  });

const selector = (keys: readonly Key[]): fc.Arbitrary<LabelSelector> =>
  fc.oneof(
    fc.constant({}),
    fc
      .constantFrom(...keys)
      .chain((key) => fc.constantFrom(...VALUES[key]).map((value) => ({ matchLabels: { [key]: value } }))),
    fc.array(requirement(keys), { minLength: 1, maxLength: 2 }).map((matchExpressions) => ({ matchExpressions })),
  );
const podSelector = selector(['app', 'tier', 'canary']);

const peer = (set: number): fc.Arbitrary<PolicyPeer> => {
  const byName = fc
    .constantFrom(...NAMESPACES)
    .map((namespace): LabelSelector => ({ matchLabels: { [NAMESPACE_NAME]: own(set, namespace) } }));
  const namespaceSelector = fc.oneof(byName, selector(['team']));
  return fc.oneof(
    podSelector.map((pods) => ({ podSelector: pods })),
    namespaceSelector.map((namespaces) => ({ namespaceSelector: namespaces })),
    fc.record({ namespaceSelector, podSelector }),
    fc
      .constantFrom(
        { cidr: '0.0.0.0/0' },
        { cidr: '0.0.0.0/0', except: ['169.254.0.0/16', '10.0.1.0/24'] },
        { cidr: '10.0.0.0/16', except: ['10.0.0.0/24'] },
        { cidr: '10.0.0.0/8' },
        { cidr: '203.0.113.7/32' },
        { cidr: '::/0', except: ['fd00:ec2::/32'] },
        { cidr: 'fd00::/8' },
        { cidr: '::/0' },
      )
      .map((ipBlock) => ({ ipBlock })),
  );
};

const port: fc.Arbitrary<PolicyPort> = fc.constantFrom(
  {},
  { port: 80 },
  { port: 80, protocol: 'TCP' as const },
  { port: 'http' },
  { port: 'dns', protocol: 'UDP' as const },
  { port: 'dns', protocol: 'TCP' as const },
  { protocol: 'UDP' as const },
  { protocol: 'SCTP' as const, port: 9000 },
  { port: 8080, endPort: 8090 },
  { port: 5000, endPort: 6000, protocol: 'UDP' as const },
);
const ports = fc.option(fc.array(port, { maxLength: 2 }), { nil: undefined });

function policy(set: number): fc.Arbitrary<NetworkPolicy> {
  const peers = fc.option(fc.array(peer(set), { maxLength: 3 }), { nil: undefined });
  const ingress = fc.array(
    fc.tuple(peers, ports).map(([from, on]) => ({ ...(from && { from }), ...(on && { ports: on }) })),
    { maxLength: 2 },
  );
  const egress = fc.array(
    fc.tuple(peers, ports).map(([to, on]) => ({ ...(to && { to }), ...(on && { ports: on }) })),
    { maxLength: 2 },
  );
  const policyTypes = fc.constantFrom(
    undefined,
    ['Ingress'] as const,
    ['Egress'] as const,
    ['Ingress', 'Egress'] as const,
  );
  return fc
    .tuple(fc.constantFrom(...NAMESPACES), podSelector, ingress, egress, policyTypes)
    .map(([namespace, select, into, out, types]) =>
      policyIn(own(set, namespace), 'p', {
        podSelector: select,
        ingress: into,
        egress: out,
        ...(types && { policyTypes: types }),
      }),
    );
}

/** Cyclonus wants policyTypes spelled out: the API server does that when it stores a policy. */
function stored(policy: NetworkPolicy): NetworkPolicy {
  const { spec } = policy;
  const byDefault = (spec?.egress ?? []).length > 0 ? (['Ingress', 'Egress'] as const) : (['Ingress'] as const);
  return { ...policy, spec: { ...spec, policyTypes: spec?.policyTypes ?? byDefault } };
}

function questions(workloads: readonly Workload[], outside: readonly Outside[], on = PORTS): Traffic[] {
  const ends: End[] = [...workloads, ...outside];
  return ends.flatMap((from) =>
    ends
      .filter((to) => isWorkload(from) || isWorkload(to))
      .flatMap((to) => on.map(([number, protocol]) => ({ from, to, port: number, protocol }))),
  );
}

/** Compares every answer, and says the first difference with all that one needs to judge it. Returns how many ways were open. */
async function agree(policies: readonly NetworkPolicy[], asked: readonly Traffic[]): Promise<number> {
  const theirs = await askCyclonus(policies.map(stored), asked);
  const reach = reachOf(policies);
  let open = 0;
  for (const [index, { from, to, port: number, protocol }] of asked.entries()) {
    const ours = reach.ask(from, to, number, protocol);
    if (ours.allowed) open += 1;
    if (ours.allowed === theirs[index]) continue;
    const concerned = policies.filter(({ metadata }) =>
      [from, to].some((end) => isWorkload(end) && end.namespace === metadata.namespace),
    );
    expect.fail(
      `${endName(from)} -> ${endName(to)} ${number}/${protocol}: cyclonus says ${theirs[index]}, we ${ours.allowed} (${ours.why})\n${JSON.stringify(concerned, null, 1)}`,
    );
  }
  return open;
}

describe('cyclonus v0.5.6', function () {
  // Cyclonus may have to be built first.
  this.timeout(600_000);

  it(`gives the same answer for every way of ${SETS} random sets of policies`, async () => {
    const sets = Array.from({ length: SETS }, (_, set) => set);
    const policies = sets.map(
      (set) =>
        fc.sample(fc.array(policy(set), { minLength: 1, maxLength: 5 }), { numRuns: 1, seed: 41 + set })[0] ?? [],
    );
    let open = 0;
    let asked = 0;
    for (let first = 0; first < SETS; first += BATCH) {
      const batch = sets.slice(first, first + BATCH);
      const traffic = batch.flatMap((set) => questions(workloadsOf(set), WORLD));
      asked += traffic.length;
      open += await agree(policies.slice(first, first + BATCH).flat(), traffic);
    }
    // Sets whose ways are nearly all open or nearly all closed would agree with anything.
    expect(open / asked).to.be.within(0.2, 0.8);
  });

  it('gives the same matrix of a boundary, with a stranger in each namespace, and at the edges of every block', async () => {
    const tcp = (...numbers: number[]) => numbers.map((one) => ({ port: one, protocol: 'TCP' as const }));
    const policies = declared(
      boundaryOf({
        namespaces: ['card', 'vault'],
        ingress: [
          { name: 'operator', from: pods('shop', 'operator'), to: pods('card', 'payment'), ports: tcp(8080), why: 'x' },
          { name: 'vault', from: pods('card', 'payment'), to: pods('vault', 'vault'), ports: tcp(8080), why: 'x' },
        ],
        egress: [
          {
            name: 'bank',
            from: pods('card', 'payment'),
            to: { cidrs: [{ cidr: '203.0.113.0/24', except: ['203.0.113.128/25'] }] },
            ports: tcp(443),
            wide: false,
            why: 'x',
          },
          {
            name: 'agent',
            from: pods('card', 'payment'),
            to: { cidrs: [{ cidr: '169.254.170.23/32' }] },
            ports: tcp(80),
            wide: false,
            why: 'x',
          },
        ],
        dns: { pods: pods('kube-system', 'dns'), cidrs: ['169.254.20.10/32'] },
        apiServer: { cidrs: ['10.0.0.0/20'], ports: [443], pods: [pods('card', 'payment')] },
      }),
    );
    const workloads = [
      workloadOf('shop', 'operator'),
      workloadOf('shop', 'cart'),
      workloadOf('card', 'payment'),
      workloadOf('vault', 'vault'),
      workloadOf('kube-system', 'dns'),
      ...strangers(['card', 'vault', 'shop']),
    ].map((workload) => ({ ...workload, namespaceLabels: { [NAMESPACE_NAME]: workload.namespace } }));
    const asked = questions(
      workloads,
      [...OUTSIDE, ...telltales(policies)],
      [
        [53, 'UDP'],
        [53, 'TCP'],
        [80, 'TCP'],
        [443, 'TCP'],
        [8080, 'TCP'],
        [8081, 'TCP'],
      ],
    );
    expect(await agree(policies, asked)).to.be.above(0);
  });

  describe('is wrong, by the rules of the API, and we are not', () => {
    const caller = workloadOf('shop', 'cart');
    const called = workloadOf('card', 'payment');
    const asked: Traffic[] = [{ from: caller, to: called, port: 80, protocol: 'TCP' }];
    const lettingIn = (podSelector: LabelSelector) =>
      policyIn('card', 'p', {
        podSelector: {},
        policyTypes: ['Ingress'],
        ingress: [{ from: [{ namespaceSelector: {}, podSelector }] }],
      });

    // "tier notin (frontend, backend) selects all resources with key equal to tier and values distinct from frontend and backend, and all
    // resources with no labels with the tier key": https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
    it('about NotIn and objects without the label, which it selects', async () => {
      const policies = [lettingIn({ matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['front'] }] })];
      expect(await askCyclonus(policies, asked)).to.deep.equal([false]);
      expect(reachOf(policies).ask(caller, called, 80, 'TCP').allowed).to.equal(true);
    });

    // matchLabels is "equivalent to an element of matchExpressions, whose key field is key, the operator is In, and the values array contains
    // only value": and In needs the label. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/
    it('about matchLabels with an empty value and objects without the label, which it does not select', async () => {
      const policies = [lettingIn({ matchLabels: { tier: '' } })];
      expect(await askCyclonus(policies, asked)).to.deep.equal([true]);
      expect(reachOf(policies).ask(caller, called, 80, 'TCP').allowed).to.equal(false);
    });
  });
});
