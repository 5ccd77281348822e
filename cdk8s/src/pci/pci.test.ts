import type { NetworkPolicy, PolicyPeer } from '@mercato/boundary/policy/types.ts';
import { differences, matrixOf, telltales } from '@mercato/boundary/reach/matrix.ts';
import { includes } from '@mercato/boundary/reach/ports.ts';
import { reachOf } from '@mercato/boundary/reach/reach.ts';
import { type End, endName, FORBIDDEN, isWorkload, type Workload } from '@mercato/boundary/reach/types.ts';
import { askCyclonus, type Traffic } from '@mercato/boundary/testing/cyclonus.ts';
import { expect } from 'chai';
import { mercato } from '../model/mercato.ts';
import { ENVIRONMENTS } from '../model/types.ts';
import { networkOf } from './network.ts';

const CARD = 'mercato-card';
const PORTS: readonly (readonly [number, 'TCP' | 'UDP'])[] = [
  [8080, 'TCP'],
  [8081, 'TCP'],
  [443, 'TCP'],
  [80, 'TCP'],
  [53, 'UDP'],
  [53, 'TCP'],
];

describe('who reaches whom in the shop', () => {
  for (const environment of ENVIRONMENTS) {
    const { workloads, strangers, policies, outside } = networkOf(mercato, environment);
    const pods = [...workloads, ...strangers];
    const ends: readonly End[] = [...pods, ...outside, ...telltales(policies)];

    it(`is in ${environment} what cyclonus says`, async function () {
      this.timeout(300_000);
      const questions: Traffic[] = ends.flatMap((from) =>
        ends
          .filter((to) => isWorkload(from) || isWorkload(to))
          .flatMap((to) => PORTS.map(([port, protocol]) => ({ from, to, port, protocol }))),
      );
      const answers = await askCyclonus(policies, questions);
      const reach = reachOf(policies);
      const disagreed = questions.flatMap(({ from, to, port, protocol }, i) => {
        const ours = includes(reach.ports(from, to), port, protocol);
        return ours === answers[i] ? [] : [`${endName(from)} -> ${endName(to)} ${port}/${protocol}: we say ${ours}`];
      });
      expect(disagreed).to.deep.equal([]);
      expect(answers).to.include(true).and.to.include(false);
    });

    it(`lets nobody but the declared callers into the card namespace in ${environment}`, () => {
      const { ways } = matrixOf(pods, policies, outside);
      const into = ways.filter(({ to, from }) => to.startsWith(`${CARD}/`) && !from.startsWith(`${CARD}/`));
      const prometheus = environment === 'kind' ? [] : ['monitoring/prometheus'];
      const workers = environment === 'kind' ? [] : ['mercato-system/mercato-worker'];
      expect(new Set(into.map(({ from }) => from))).to.deep.equal(
        new Set([...prometheus, ...workers, 'mercato-system/mercato-operator']),
      );
      expect(new Set(into.map(({ to }) => to))).to.deep.equal(new Set([`${CARD}/payment`]));
    });

    it(`opens for a collector of traces the ways to it and no others in ${environment}`, () => {
      const collector: Workload = {
        namespace: 'monitoring',
        name: 'collector',
        labels: { 'app.kubernetes.io/name': 'opentelemetry-collector' },
        namespaceLabels: { 'kubernetes.io/metadata.name': 'monitoring' },
        ports: [{ port: 4318 }, { port: 8888 }],
      };
      const traced = networkOf(mercato, environment, { tracing: { enabled: true } });
      const all = [...pods, collector];
      const more = [...outside, ...telltales(policies, traced.policies)];
      const found = differences(matrixOf(all, policies, more), matrixOf(all, traced.policies, more));
      const workers = environment === 'kind' ? [] : ['mercato-system/mercato-worker'];
      const senders = [
        `${CARD}/payment`,
        'mercato-shop/inventory',
        'mercato-shop/order',
        'mercato-shop/shipping',
        'mercato-system/mercato-operator',
        ...workers,
      ];
      expect(found.map(({ from, to }) => `${from} -> ${to}`).sort()).to.deep.equal(
        senders.map((from) => `${from} -> monitoring/collector`).sort(),
      );
      const reach = reachOf(traced.policies);
      const payment = workloads.find(({ name }) => name === 'payment') as Workload;
      expect(includes(reach.ports(payment, collector), 4318, 'TCP')).to.equal(true);
      expect(includes(reach.ports(payment, collector), 8888, 'TCP')).to.equal(false);
    });

    it(`lets nothing of ours reach instance metadata in ${environment}`, () => {
      const { ways } = matrixOf(pods, policies, FORBIDDEN);
      const forbidden = new Set(FORBIDDEN.map(({ name }) => name));
      expect(
        ways.filter(
          ({ from, to }) => from.startsWith('mercato-') && !from.endsWith('(any other pod)') && forbidden.has(to),
        ),
      ).to.deep.equal([]);
    });

    const mutants: readonly [string, (policies: readonly NetworkPolicy[]) => readonly NetworkPolicy[]][] = [
      [
        'a denial is dropped',
        (all) => all.filter(({ metadata }) => !(metadata.namespace === CARD && metadata.name === 'default-deny')),
      ],
      ['a peer is split in two', (all) => withCard(all, 'ingress', splitPeer)],
      ['a block is widened', (all) => withCard(all, 'egress', widen)],
    ];
    for (const [what, mutate] of mutants)
      it(`differs when ${what} in ${environment}`, () => {
        const mutated = mutate(policies);
        expect(mutated).not.to.deep.equal(policies);
        const more = [...outside, ...telltales(policies, mutated)].filter(
          ({ name }, i, list) => list.findIndex((each) => each.name === name) === i,
        );
        const found = differences(matrixOf(pods, policies, more), matrixOf(pods, mutated, more));
        expect(found.map(({ from, to }) => `${from} -> ${to}`)).not.to.be.empty;
      });
  }
});

/** Policies with the peers of the card namespace's policies of one direction changed. */
function withCard(
  all: readonly NetworkPolicy[],
  direction: 'ingress' | 'egress',
  change: (peer: PolicyPeer) => readonly PolicyPeer[],
): readonly NetworkPolicy[] {
  const side = direction === 'ingress' ? 'from' : 'to';
  return all.map((policy) => {
    const rules = policy.spec?.[direction];
    if (policy.metadata.namespace !== CARD || rules === undefined) return policy;
    const changed = (rules as readonly Record<string, unknown>[]).map((rule) => ({
      ...rule,
      [side]: ((rule[side] ?? []) as readonly PolicyPeer[]).flatMap(change),
    }));
    return { ...policy, spec: { ...policy.spec, [direction]: changed } } as NetworkPolicy;
  });
}

/** The mistake that a known operator shipped: two entries of a list, each of which lets through what both together would. */
const splitPeer = ({ namespaceSelector, podSelector, ...rest }: PolicyPeer): PolicyPeer[] =>
  namespaceSelector === undefined || podSelector === undefined
    ? [{ ...rest, ...(namespaceSelector && { namespaceSelector }), ...(podSelector && { podSelector }) }]
    : [{ namespaceSelector }, { podSelector }];

const widen = (peer: PolicyPeer): PolicyPeer[] =>
  peer.ipBlock === undefined ? [peer] : [{ ipBlock: { cidr: '0.0.0.0/0' } }];
