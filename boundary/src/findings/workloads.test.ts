import { expect } from 'chai';
import { APP_NAME } from '../labels.ts';
import { boundaryOf } from '../testing/boundary.ts';
import { observedOf, podOf } from '../testing/observed.ts';
import { policyIn } from '../testing/policies.ts';
import type { ObservedPod } from './types.ts';
import { workloadsOf } from './workloads.ts';

const of = (pods: readonly ObservedPod[], ...more: Parameters<typeof workloadsOf>[1] & object[]) =>
  workloadsOf(observedOf(boundaryOf(), pods), more);
const replica = (name: string, labels: Record<string, string>, more: ObservedPod['spec'] = {}): ObservedPod =>
  podOf('shop', 'cart', more, { name, labels: { [APP_NAME]: 'cart', ...labels } });
const asking = (key: string) =>
  policyIn('shop', 'p', { podSelector: { matchExpressions: [{ key, operator: 'Exists' }] } });

describe('workloads', () => {
  it('are the pods that no policy can tell apart, however many', () => {
    const pods = Array.from({ length: 50 }, (_, i) => replica(`cart-${i}`, { 'apps.kubernetes.io/pod-index': `${i}` }));
    const [workload, ...others] = of(pods);
    expect(others).to.deep.equal([]);
    expect(workload).to.deep.include({ namespace: 'shop', name: 'cart', labels: {}, hostNetwork: false });
    expect(workload?.ports).to.deep.equal([{ name: 'http', port: 8080, protocol: 'TCP' }]);
  });

  it('differ by labels that a policy asks for, by ports and by their network', () => {
    const pods = [replica('a', {}), replica('b', { canary: 'yes' })];
    expect(of(pods).map(({ name }) => name)).to.deep.equal(['cart']);
    expect(of(pods, asking('canary')).map(({ name }) => name)).to.have.members(['cart', 'cart canary=yes']);
    const host = replica('c', {}, { hostNetwork: true });
    expect(of([replica('a', {}), host]).map(({ name, hostNetwork }) => [name, hostNetwork])).to.have.deep.members([
      ['cart #1', false],
      ['cart #2', true],
    ]);
  });

  it('have names that outlast their pods', () => {
    const made = (name: string, hash: string) =>
      podOf(
        'kube-system',
        'dns',
        {},
        {
          name: `coredns-${hash}-${name}`,
          labels: { 'pod-template-hash': hash },
          ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `coredns-${hash}`, uid: 'u' }],
        },
      );
    expect(of([made('x', '5d78')]).map(({ name }) => name)).to.deep.equal(['coredns']);
    expect(of([made('y', '77b9')]).map(({ name }) => name)).to.deep.equal(['coredns']);
    expect(of([podOf('shop', 'x', {}, { name: 'alone', ownerReferences: [] })]).map(({ name }) => name)).to.deep.equal([
      'alone',
    ]);
  });

  it('have the addresses of all their pods, and none of those that have ended', () => {
    const at = (name: string, phase: string, ip: string): ObservedPod => ({
      ...replica(name, {}),
      status: { phase, podIPs: [{ ip }] },
    });
    const [workload] = of([
      at('a', 'Running', '10.0.0.1'),
      at('b', 'Pending', '10.0.0.2'),
      at('c', 'Failed', '10.0.0.3'),
    ]);
    expect(workload?.addresses).to.deep.equal(['10.0.0.1', '10.0.0.2']);
  });
});
