import type { PciBoundarySpec } from '@mercato/operator/api/pciboundary.ts';
import { expect } from 'chai';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { address, BOUNDARY_LABEL, DENY_ALL, declared, denyAll, desired, policyHash } from './desired.ts';
import type { DesiredPolicy } from './types.ts';

const one = (spec: Partial<PciBoundarySpec>): DesiredPolicy => {
  const policies = desired(boundaryOf(spec));
  expect(policies.map(address)).to.have.length(1);
  return policies[0]!;
};
const byName = (namespace: string) => ({ matchLabels: { 'kubernetes.io/metadata.name': namespace } });

describe('the policies of a boundary', () => {
  it('deny everything both ways where nothing is declared', () => {
    expect(desired(boundaryOf({ namespaces: ['a', 'b'] }))).to.deep.equal([]);
    expect(declared(boundaryOf({ namespaces: ['a', 'b'] }))).to.deep.equal([denyAll('a'), denyAll('b')]);
    expect(denyAll('a').spec).to.deep.equal({ podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  });

  it('let a caller in by namespace and pods in one peer', () => {
    const policy = one({
      ingress: [
        {
          name: 'operator',
          from: pods('shop', 'op'),
          to: pods('card', 'payment'),
          ports: [{ port: 8080, protocol: 'TCP' }],
          why: 'x',
        },
      ],
    });
    expect(address(policy)).to.equal('card/boundary.ingress.operator');
    expect(policy.metadata.labels[BOUNDARY_LABEL]).to.equal('boundary');
    expect(policy.spec).to.deep.equal({
      podSelector: { matchLabels: { app: 'payment' } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [{ namespaceSelector: byName('shop'), podSelector: { matchLabels: { app: 'op' } } }],
          ports: [{ protocol: 'TCP', port: 8080 }],
        },
      ],
    });
  });

  it('let card pods out to pods and to addresses without their exceptions', () => {
    const ports = [{ port: 443, protocol: 'TCP' as const }];
    const [first, second] = desired(
      boundaryOf({
        egress: [
          {
            name: 'acquirer',
            from: pods('card', 'payment'),
            to: { pods: pods('sim', 'acquirer') },
            ports,
            wide: false,
            why: 'x',
          },
          {
            name: 'bank',
            from: pods('card', 'payment'),
            to: { cidrs: [{ cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] }] },
            ports,
            wide: true,
            why: 'x',
          },
        ],
      }),
    );
    expect(first?.spec.egress).to.deep.equal([
      {
        to: [{ namespaceSelector: byName('sim'), podSelector: { matchLabels: { app: 'acquirer' } } }],
        ports: [{ protocol: 'TCP', port: 443 }],
      },
    ]);
    expect(second?.spec.egress?.[0]?.to).to.deep.equal([
      { ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } },
    ]);
    expect([first, second].map((policy) => policy?.spec.policyTypes)).to.deep.equal([['Egress'], ['Egress']]);
  });

  it('open a way between card pods at both ends, whichever list declares it', () => {
    const ports = [{ port: 1, protocol: 'TCP' as const }];
    const way = { name: 'vault', from: pods('card', 'a'), to: pods('card', 'b'), ports, why: 'x' };
    expect(desired(boundaryOf({ ingress: [way] })).map(address)).to.deep.equal([
      'card/boundary.ingress-egress.vault',
      'card/boundary.ingress.vault',
    ]);
    const out = { ...way, to: { pods: way.to }, wide: false };
    expect(desired(boundaryOf({ egress: [out] })).map(address)).to.deep.equal([
      'card/boundary.egress-ingress.vault',
      'card/boundary.egress.vault',
    ]);
  });

  it('reach DNS on port 53 alone, over UDP and TCP, from every pod of each card namespace', () => {
    const policies = desired(
      boundaryOf({ namespaces: ['a', 'b'], dns: { pods: pods('kube-system', 'dns'), cidrs: ['169.254.20.10/32'] } }),
    );
    expect(policies.map(address)).to.deep.equal(['a/boundary.dns', 'b/boundary.dns']);
    expect(policies[0]?.spec).to.deep.equal({
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [
        {
          to: [
            { namespaceSelector: byName('kube-system'), podSelector: { matchLabels: { app: 'dns' } } },
            { ipBlock: { cidr: '169.254.20.10/32' } },
          ],
          ports: [
            { protocol: 'UDP', port: 53 },
            { protocol: 'TCP', port: 53 },
          ],
        },
      ],
    });
  });

  it('reach the API server from the pods that need it', () => {
    const policy = one({
      apiServer: { cidrs: ['10.0.0.0/20', '172.20.0.1/32'], ports: [443, 6443], pods: [pods('card', 'payment')] },
    });
    expect(policy.spec.podSelector).to.deep.equal({ matchLabels: { app: 'payment' } });
    expect(policy.spec.egress).to.deep.equal([
      {
        to: [{ ipBlock: { cidr: '10.0.0.0/20' } }, { ipBlock: { cidr: '172.20.0.1/32' } }],
        ports: [
          { protocol: 'TCP', port: 443 },
          { protocol: 'TCP', port: 6443 },
        ],
      },
    ]);
  });

  it('are owned by the boundary once it has a uid, and the deny policy never is', () => {
    const dns = { cidrs: ['10.0.0.10/32'] };
    const owned = { metadata: { name: 'boundary', uid: 'u1' }, spec: boundaryOf({ dns }).spec };
    const [deny, policy] = declared(owned);
    expect(deny?.metadata.name).to.equal(DENY_ALL);
    expect(deny?.metadata.ownerReferences).to.equal(undefined);
    expect(policy?.metadata.ownerReferences).to.deep.equal([
      { apiVersion: 'mercato.dev/v1alpha1', kind: 'PciBoundary', name: 'boundary', uid: 'u1', controller: true },
    ]);
  });

  it('have a hash of what they allow, not of how it is written', () => {
    const policy = denyAll('a');
    const { podSelector, policyTypes } = policy.spec;
    expect(policyHash({ ...policy, spec: { policyTypes, podSelector } })).to.equal(policyHash(policy));
    expect(policyHash({ ...policy, spec: { podSelector, policyTypes: ['Ingress'] } })).not.to.equal(policyHash(policy));
    expect(policyHash(policy)).to.match(/^[0-9a-f]{16}$/);
  });
});
