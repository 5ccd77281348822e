import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { address, declared, policyHash } from './desired.ts';
import type { Boundary, NetworkPolicy } from './types.ts';

const tcp = (port: number) => [{ port, protocol: 'TCP' as const }];

/** A boundary with everything that it can say, around a namespace of the control plane. */
function around(namespace: string): Boundary {
  const payment = pods(namespace, 'payment');
  return boundaryOf({
    namespaces: [namespace],
    ingress: [
      { name: 'operator', from: pods('shop', 'operator'), to: payment, ports: tcp(8080), why: 'x' },
      { name: 'vault', from: payment, to: pods(namespace, 'vault'), ports: tcp(8080), why: 'x' },
    ],
    egress: [
      {
        name: 'acquirer',
        from: payment,
        to: { pods: pods('sim', 'acquirer') },
        ports: tcp(8080),
        wide: false,
        why: 'x',
      },
      {
        name: 'internet',
        from: payment,
        to: { cidrs: [{ cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] }, { cidr: '2001:db8::/32' }] },
        ports: [...tcp(443), { port: 443, protocol: 'UDP' }],
        wide: true,
        why: 'x',
      },
    ],
    dns: { pods: pods('kube-system', 'dns'), cidrs: ['169.254.20.10/32'] },
    apiServer: { cidrs: ['10.0.0.0/20'], ports: [443, 6443], pods: [payment] },
  });
}

describe('the policies of a boundary on an API server', function () {
  this.timeout(120_000);
  let plane: ControlPlane;
  before(async () => {
    plane = await sharedControlPlane();
  });

  it('are taken and stored as they are said, so that nothing that it fills in looks like drift', async () => {
    const namespace = await uniqueNamespace(plane, 'stored');
    const path = `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`;
    const policies = declared(around(namespace));
    for (const policy of policies) {
      const { status, body } = await plane.request(`${path}?fieldValidation=Strict`, { method: 'POST', body: policy });
      expect(status, `${address(policy)}: ${JSON.stringify(body)}`).to.equal(201);
    }
    const { items } = (await plane.request(path)).body as { items: NetworkPolicy[] };
    expect(items.map((policy) => [address(policy), policyHash(policy)])).to.have.deep.members(
      policies.map((policy) => [address(policy), policyHash(policy)]),
    );
  });
});
