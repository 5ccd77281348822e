import { expect } from 'chai';
import { seenNode, seenPod, seenPolicy, seenRoleBinding, seenService } from './projections.ts';
import type { SeenPod } from './resources.ts';

/** A pod as the API server gives it, with all that nobody reads. */
const POD = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'payment-0',
    namespace: 'card',
    uid: 'u',
    resourceVersion: '7',
    labels: { app: 'payment' },
    annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'x'.repeat(5_000) },
    ownerReferences: [{ apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'payment', uid: 'o' }],
  },
  spec: {
    nodeName: 'n1',
    serviceAccountName: 'payment',
    automountServiceAccountToken: false,
    hostNetwork: true,
    hostPID: false,
    volumes: [{ name: 'data' }],
    tolerations: [
      { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
      { key: 'mercato.dev/card-data', operator: 'Exists' },
      { operator: 'Exists' },
    ],
    containers: [
      {
        name: 'payment',
        image: 'payment:1',
        command: ['node'],
        env: [{ name: 'A', value: 'B' }],
        ports: [{ name: 'http', containerPort: 8080, hostPort: 80, protocol: 'TCP' }],
      },
    ],
    ephemeralContainers: [{ name: 'debug', image: 'busybox' }],
  },
  status: {
    phase: 'Running',
    podIP: '10.0.0.1',
    podIPs: [{ ip: '10.0.0.1' }],
    message: 'long',
    conditions: [
      { type: 'Ready', status: 'True', message: 'x' },
      { type: 'Initialized', status: 'True' },
    ],
    containerStatuses: [{ state: { terminated: { message: 'report' } } }],
  },
} as unknown as SeenPod;

describe('What the caches keep', () => {
  it('of a pod is what rules and probes read', () => {
    const kept = seenPod(POD);
    expect(kept.metadata).to.have.all.keys('name', 'namespace', 'uid', 'resourceVersion', 'labels', 'ownerReferences');
    expect(kept.spec).to.deep.equal({
      nodeName: 'n1',
      serviceAccountName: 'payment',
      automountServiceAccountToken: false,
      hostNetwork: true,
      tolerations: [{ key: 'mercato.dev/card-data', operator: 'Exists' }, { operator: 'Exists' }],
      containers: [
        {
          name: 'payment',
          image: 'payment:1',
          ports: [{ name: 'http', containerPort: 8080, hostPort: 80, protocol: 'TCP' }],
        },
      ],
      ephemeralContainers: [{ name: 'debug', image: 'busybox' }],
    });
    expect(kept.status).to.deep.equal({
      phase: 'Running',
      podIP: '10.0.0.1',
      podIPs: [{ ip: '10.0.0.1' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    });
  });

  it('of a probe is what it reported, too', () => {
    const labels = { 'mercato.dev/boundary-probe': 'shop' };
    const { status } = seenPod({ ...POD, metadata: { ...POD.metadata, labels } });
    expect(status?.containerStatuses?.[0]?.state?.terminated?.message).to.equal('report');
    expect(status?.message).to.equal('long');
  });

  it('of other kinds is name, labels, owners, and the fields that rules read', () => {
    const metadata = { name: 'x', namespace: 'card', annotations: { a: 'b' } };
    const bare = { name: 'x', namespace: 'card' };
    expect(seenPolicy({ metadata, spec: { podSelector: {} } })).to.deep.equal({
      metadata: bare,
      spec: { podSelector: {} },
    });
    const taints = [{ key: 'a', effect: 'NoSchedule' }];
    const node = { metadata, spec: { taints, podCIDR: '10.0.0.0/24' } };
    expect(seenNode(node)).to.deep.equal({ metadata: bare, spec: { taints } });
    const service = { metadata, spec: { type: 'NodePort', externalIPs: ['192.0.2.1'], selector: { a: 'b' } } };
    expect(seenService(service)).to.deep.equal({
      metadata: bare,
      spec: { type: 'NodePort', externalIPs: ['192.0.2.1'] },
    });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' };
    const subjects = [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'eve' }];
    expect(seenRoleBinding({ metadata, roleRef, subjects })).to.deep.equal({
      metadata: bare,
      roleRef: { kind: 'Role', name: 'r' },
      subjects: [{ kind: 'User', name: 'eve' }],
    });
  });
});
