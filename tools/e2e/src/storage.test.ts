import { expect } from 'chai';
import { CARD_NODE, takesPods } from './capabilities.ts';
import type { Node, PersistentVolumeClaim } from './kube.ts';
import { nodeFor, volumeFor, waits } from './storage.ts';

const ready = [{ type: 'Ready', status: 'True' }];
const node = (name: string, spec: Node['spec'] = {}, labels: Record<string, string> = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': `host-${name}`, ...labels } },
  spec,
  status: { conditions: ready },
});
const cardTaint = { taints: [{ key: CARD_NODE, effect: 'NoSchedule' }] };
const claim = (more: Partial<PersistentVolumeClaim> = {}): PersistentVolumeClaim => ({
  metadata: { name: 'data-payment-0', namespace: 'mercato-card', uid: '12345678-90ab' },
  spec: { accessModes: ['ReadWriteOncePod'], resources: { requests: { storage: '10Gi' } } },
  status: { phase: 'Pending' },
  ...more,
});

describe('volumes of a cluster without a default StorageClass', () => {
  it('are made for claims that wait and that no provisioner serves', () => {
    expect(waits(claim())).to.equal(true);
    expect(waits(claim({ status: { phase: 'Bound' } }))).to.equal(false);
    expect(waits(claim({ spec: { volumeName: 'there' } }))).to.equal(false);
    expect(waits(claim({ spec: { storageClassName: 'gp3' } }))).to.equal(false);
    const going = { name: 'x', namespace: 'y', deletionTimestamp: '2026-01-01T00:00:00Z' };
    expect(waits(claim({ metadata: going }))).to.equal(false);
  });

  it('are directories of the node, for that claim and no other, as large as it asks', () => {
    const { spec } = volumeFor(claim(), node('a'), 'mercato-volumes') as { spec?: Record<string, unknown> };
    expect(spec).to.deep.include({
      capacity: { storage: '10Gi' },
      accessModes: ['ReadWriteOncePod'],
      storageClassName: '',
      local: { path: '/var/lib/mercato-volumes/12345678-90ab' },
    });
    expect(spec?.['claimRef']).to.include({ namespace: 'mercato-card', name: 'data-payment-0', uid: '12345678-90ab' });
    // By label: the scheduler does not look at the node's name.
    expect(JSON.stringify(spec?.['nodeAffinity'])).to.include('host-a').and.include('matchExpressions');
  });

  it('are on a node for card data where the claim is for it, and on no such node otherwise', () => {
    const all = [node('card', cardTaint, { [CARD_NODE]: 'true' }), node('other')];
    expect(nodeFor(all, true)?.metadata.name).to.equal('card');
    expect(nodeFor(all, false)?.metadata.name).to.equal('other');
  });

  it('are on the only node there is', () => {
    const all = [node('one', {}, { [CARD_NODE]: 'true' })];
    expect([nodeFor(all, true), nodeFor(all, false)].map((each) => each?.metadata.name)).to.deep.equal(['one', 'one']);
    expect(nodeFor([], true)).to.equal(undefined);
  });

  it('are on nodes that take pods: Ready, not cordoned, not a control plane', () => {
    const tainted = node('plane', { taints: [{ key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' }] });
    const down = { ...node('down'), status: { conditions: [{ type: 'Ready', status: 'Unknown' }] } };
    const seen = [node('fine'), node('card', cardTaint), node('cordoned', { unschedulable: true }), tainted, down];
    expect(seen.filter(takesPods).map(({ metadata }) => metadata.name)).to.deep.equal(['fine', 'card']);
  });
});
