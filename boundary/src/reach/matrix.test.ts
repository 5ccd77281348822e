import type { PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import { declared, denyAll } from '../policy/desired.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { policyIn, workloadOf } from '../testing/policies.ts';
import { differences, digestOf, matrixOf, renderMatrix, strangers, telltales } from './matrix.ts';
import { INTERNET, METADATA } from './types.ts';

const tcp = (port: number) => [{ port, protocol: 'TCP' as const }];
const spec: Partial<PciBoundarySpec> = {
  ingress: [
    { name: 'operator', from: pods('shop', 'operator'), to: pods('card', 'payment'), ports: tcp(8080), why: 'sagas' },
  ],
  egress: [
    {
      name: 'bank',
      from: pods('card', 'payment'),
      to: { cidrs: [{ cidr: '203.0.113.0/24' }] },
      ports: tcp(443),
      wide: false,
      why: 'cards',
    },
  ],
};
const workloads = [workloadOf('shop', 'operator'), workloadOf('shop', 'cart'), workloadOf('card', 'payment')];
const matrix = matrixOf(workloads, declared(boundaryOf(spec)), [INTERNET, METADATA]);

describe('the matrix', () => {
  it('shows every workload, every other and the outside, in one order', () => {
    expect(matrix.ends).to.deep.equal(['card/payment', 'shop/cart', 'shop/operator', 'internet', 'metadata']);
    expect(matrixOf(workloads.toReversed(), declared(boundaryOf(spec)), [INTERNET, METADATA])).to.deep.equal(matrix);
  });

  it('names the open ways, and among card pods those that are declared', () => {
    expect(renderMatrix(matrix, 'text')).to.equal(
      [
        'card/payment -> internet: 443/TCP',
        'shop/cart -> shop/cart: all',
        'shop/cart -> shop/operator: all',
        'shop/cart -> internet: all',
        'shop/cart -> metadata: all',
        'shop/operator -> card/payment: 8080/TCP',
        'shop/operator -> shop/cart: all',
        'shop/operator -> shop/operator: all',
        'shop/operator -> internet: all',
        'shop/operator -> metadata: all',
        'internet -> shop/cart: all',
        'internet -> shop/operator: all',
        'metadata -> shop/cart: all',
        'metadata -> shop/operator: all',
        '',
      ].join('\n'),
    );
  });

  it('is a table for people, empty where nobody asks', () => {
    expect(renderMatrix(matrix).split('\n').slice(0, 3)).to.deep.equal([
      '| from \\ to | card/payment | shop/cart | shop/operator | internet | metadata |',
      '| --- | --- | --- | --- | --- | --- |',
      '| card/payment | - | - | - | 443/TCP | - |',
    ]);
    expect(renderMatrix(matrix)).to.include('| internet | - | all | all |  |  |');
  });

  it('has a digest that changes with it', () => {
    const policies = declared(boundaryOf(spec));
    expect(digestOf(matrix)).to.match(/^[0-9a-f]{16}$/);
    expect(digestOf(matrixOf(workloads, policies.toReversed(), [INTERNET, METADATA]))).to.equal(digestOf(matrix));
    expect(digestOf(matrixOf(workloads, policies.slice(0, -1), [INTERNET, METADATA]))).not.to.equal(digestOf(matrix));
  });

  it('refuses two ends of one name', () => {
    expect(() => matrixOf([...workloads, workloadOf('shop', 'cart')], [])).to.throw(RangeError, 'shop/cart');
  });

  it('differs where another does', () => {
    const open = policyIn('card', 'open', {
      podSelector: {},
      policyTypes: ['Ingress'],
      ingress: [{ ports: [{ port: 1 }] }],
    });
    const after = matrixOf(workloads, [...declared(boundaryOf(spec)), open], [INTERNET]);
    expect(
      differences(matrixOf(workloads, declared(boundaryOf(spec)), [INTERNET]), after).map(
        ({ from, to }) => `${from} ${to}`,
      ),
    ).to.deep.equal(['shop/cart card/payment', 'shop/operator card/payment', 'internet card/payment']);
    expect(differences(matrix, matrix)).to.deep.equal([]);
    expect(() => differences(matrix, after)).to.throw(RangeError, 'different ends');
  });

  it('shows with a stranger what a deny policy does beside policies that select the same pods', () => {
    const policies = declared(boundaryOf(spec));
    const without = policies.filter(({ metadata }) => metadata.name !== 'default-deny');
    expect(differences(matrixOf(workloads, policies), matrixOf(workloads, without))).to.deep.equal([]);
    const all = [...workloads, ...strangers(['card'])];
    const changed = differences(matrixOf(all, policies), matrixOf(all, without));
    expect(changed.map(({ from, to }) => `${from} ${to}`)).to.include('internet card/(any other pod)');
  });

  it('tells blocks apart by their edges', () => {
    const policy = (cidr: string, except?: string[]) =>
      policyIn('card', 'p', {
        podSelector: {},
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr, ...(except && { except }) } }] }],
      });
    for (const [a, b] of [
      [policy('10.0.0.0/24'), policy('10.0.0.0/23')],
      [policy('10.0.0.0/24'), policy('10.0.0.0/24', ['10.0.0.9/32'])],
      [policy('0.0.0.0/0', ['169.254.0.0/16']), policy('0.0.0.0/0', ['169.254.0.0/17'])],
      [policy('fd00::/8'), policy('::/0')],
      [policy('10.0.0.0/24'), denyAll('card')],
    ] as const) {
      const outside = telltales([a], [b]);
      const [before, after] = [[a], [b]].map((policies) => matrixOf(workloads, policies, outside));
      expect(differences(before!, after!), JSON.stringify([a.spec, b.spec])).not.to.deep.equal([]);
    }
  });
});
