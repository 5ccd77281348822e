import type { PciBlock, PciBoundarySpec, PciEgress, PciPods, PciPort } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import fc from 'fast-check';
import { contains, parseAddress, parseCidr } from '../reach/cidr.ts';
import { matrixOf, telltales } from '../reach/matrix.ts';
import { includes } from '../reach/ports.ts';
import { type End, endName, isWorkload, OUTSIDE, type Workload } from '../reach/types.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { workloadOf } from '../testing/policies.ts';
import { address, declared } from './desired.ts';
import type { Boundary, Protocol } from './types.ts';

/** The law of a boundary: what is declared is open, and nothing else. Said here once more, in words of ways instead of policies. */

const NAMESPACES = ['card', 'vault', 'shop', 'kube-system'];
const APPS = ['a', 'b'];
const WORKLOADS = NAMESPACES.flatMap((namespace) => APPS.map((app) => workloadOf(namespace, app)));
const PORTS: readonly PciPort[] = [
  { port: 53, protocol: 'UDP' },
  { port: 53, protocol: 'TCP' },
  { port: 443, protocol: 'TCP' },
  { port: 8080, protocol: 'TCP' },
];

/** Those, and one that nothing declares. */
const ASKED: readonly PciPort[] = [...PORTS, { port: 80, protocol: 'TCP' }];

const somePods = (namespaces: readonly string[]): fc.Arbitrary<PciPods> =>
  fc.tuple(fc.constantFrom(...namespaces), fc.constantFrom(...APPS)).map(([namespace, app]) => pods(namespace, app));
const ports = fc.uniqueArray(fc.constantFrom(...PORTS), { minLength: 1, maxLength: 2 });
const block = fc.constantFrom<PciBlock[]>(
  { cidr: '203.0.113.0/24' },
  { cidr: '203.0.0.0/16', except: ['203.0.113.0/25'] },
  { cidr: '169.254.170.23/32' },
  { cidr: '2001:db8::/32' },
);
const cards = ['card', 'vault'];

type To = PciEgress['to'];
type Dns = NonNullable<PciBoundarySpec['dns']>;
const boundary: fc.Arbitrary<Boundary> = fc
  .record({
    ingress: fc.array(fc.record({ from: somePods(NAMESPACES), to: somePods(cards), ports }), { maxLength: 3 }),
    egress: fc.array(
      fc.record({
        from: somePods(cards),
        to: fc.oneof<fc.Arbitrary<To>[]>(
          somePods(NAMESPACES).map((to): To => ({ pods: to })),
          fc.array(block, { minLength: 1, maxLength: 2 }).map((cidrs): To => ({ cidrs })),
        ),
        ports,
        wide: fc.constant(false),
      }),
      { maxLength: 3 },
    ),
    dns: fc.option(fc.constantFrom<Dns[]>({ pods: pods('kube-system', 'a') }, { cidrs: ['169.254.20.10/32'] }), {
      nil: undefined,
    }),
    apiServer: fc.option(
      fc.record({
        cidrs: fc.constant<string[]>(['10.0.0.0/20']),
        ports: fc.constant<number[]>([443]),
        pods: fc.array(somePods(cards), { minLength: 1, maxLength: 2 }),
      }),
      { nil: undefined },
    ),
  })
  .map(({ ingress, egress, dns, apiServer }) =>
    boundaryOf({
      namespaces: cards,
      ingress: ingress.map((rule, index) => ({ ...rule, name: `in-${index}`, why: 'x' })),
      egress: egress.map((rule, index) => ({ ...rule, name: `out-${index}`, why: 'x' })),
      ...(dns && { dns }),
      ...(apiServer && { apiServer }),
    }),
  );

const isOf = (end: End, { namespace, podLabels }: PciPods) =>
  isWorkload(end) && end.namespace === namespace && end.labels['app'] === podLabels['app'];
const isIn = (end: End, { cidr, except = [] }: { cidr: string; except?: readonly string[] }) => {
  const holds = (range: string) => !isWorkload(end) && contains(parseCidr(range)!, parseAddress(end.address)!);
  return holds(cidr) && !except.some(holds);
};

/** Whether the boundary's page says that this way is open. */
function says({ spec }: Boundary, from: End, to: End, port: number, protocol: Protocol): boolean {
  const onPort = (list: readonly PciPort[]) => list.some((one) => one.port === port && one.protocol === protocol);
  const isCard = (end: End): end is Workload => isWorkload(end) && spec.namespaces.includes(end.namespace);
  const between =
    spec.ingress.some((rule) => isOf(from, rule.from) && isOf(to, rule.to) && onPort(rule.ports)) ||
    spec.egress.some(
      (rule) => isOf(from, rule.from) && rule.to.pods !== undefined && isOf(to, rule.to.pods) && onPort(rule.ports),
    );
  const out =
    spec.egress.some(
      (rule) => isOf(from, rule.from) && rule.to.cidrs?.some((one) => isIn(to, one)) && onPort(rule.ports),
    ) ||
    (port === 53 &&
      ((spec.dns?.pods !== undefined && isOf(to, spec.dns.pods)) ||
        spec.dns?.cidrs?.some((cidr) => isIn(to, { cidr })) === true)) ||
    (protocol === 'TCP' &&
      spec.apiServer?.pods.some((one) => isOf(from, one)) === true &&
      spec.apiServer.cidrs.some((cidr) => isIn(to, { cidr })) &&
      spec.apiServer.ports.includes(port));
  return (!isCard(to) || between) && (!isCard(from) || between || out);
}

describe('the law of a boundary', function () {
  this.timeout(120_000);

  it('is that what it declares is open, and nothing else: at every pod, every port and every edge of a block', () => {
    fc.assert(
      fc.property(boundary, (one) => {
        const policies = declared(one);
        const outside = [...OUTSIDE, ...telltales(policies)].filter(
          (end, index, all) => all.findIndex((other) => other.name === end.name) === index,
        );
        const ends: readonly End[] = [...WORKLOADS, ...outside];
        const matrix = matrixOf(WORKLOADS, policies, outside);
        const open = new Map(matrix.ways.map(({ from, to, ports: set }) => [`${from} ${to}`, set]));
        const wrong: string[] = [];
        for (const from of ends)
          for (const to of ends.filter((end) => isWorkload(from) || isWorkload(end))) {
            const ways = open.get(`${endName(from)} ${endName(to)}`) ?? [];
            for (const { port, protocol } of ASKED)
              if (includes(ways, port, protocol) !== says(one, from, to, port, protocol))
                wrong.push(`${endName(from)} -> ${endName(to)} ${port}/${protocol}`);
          }
        expect(wrong).to.deep.equal([]);
      }),
      { seed: 20261122, numRuns: 100 },
    );
  });

  it('is that no two of its policies share a name, and each has one of its namespaces', () => {
    fc.assert(
      fc.property(boundary, (one) => {
        const addresses = declared(one).map(address);
        expect(new Set(addresses).size).to.equal(addresses.length);
        for (const policy of declared(one)) expect(one.spec.namespaces).to.include(policy.metadata.namespace);
      }),
      { seed: 20261122 },
    );
  });
});
