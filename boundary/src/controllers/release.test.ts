import { API_VERSION } from '@mercato/operator/api/kind.ts';
import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import { Fence } from '@mercato/operator/kube/fence.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import { expect } from 'chai';
import { CARD_DATA, YES } from '../labels.ts';
import { address, BOUNDARY_LABEL, declared } from '../policy/desired.ts';
import type { NetworkPolicy } from '../policy/types.ts';
import { boundaryOf, pods } from '../testing/boundary.ts';
import { FINALIZER, PolicyController, type PolicyControllerOptions } from './policies.ts';

const ingress = [{ name: 'shop', from: pods('shop', 'shop'), to: pods('card', 'payment'), ports: [], why: 'a test' }];
const { metadata, spec } = boundaryOf({ ingress });
const boundary: PciBoundary = {
  apiVersion: API_VERSION,
  kind: 'PciBoundary',
  spec,
  metadata: {
    ...metadata,
    uid: 'u',
    resourceVersion: '1',
    finalizers: [FINALIZER],
    deletionTimestamp: '2026-11-22T12:00:00Z',
  },
};

/** What was written, as a watch shows it: one policy after the other, from version 11 on. */
const written = declared(boundary).map((policy, index) => ({
  ...policy,
  metadata: { ...policy.metadata, uid: `u${index}`, resourceVersion: String(11 + index) },
}));

/** A controller that has just written all policies, beside a cache that a test fills; `done` is what it asked of the API server. */
function scene() {
  const shown = new Map<string, NetworkPolicy>();
  const done: string[] = [];
  const policyFence = new Fence();
  for (const policy of written) policyFence.wrote(policy);
  const options = {
    client: {
      delete: async (_: unknown, { name }: { name: string }) => void done.push(`delete ${name}`),
      patch: async () => {
        done.push('let go');
        return boundary;
      },
    },
    boundaries: { values: () => [boundary] },
    policies: {
      get: (namespace: string, name: string) => shown.get(`${namespace}/${name}`),
      byIndex: () => [...shown.values()].filter((policy) => policy.metadata.labels?.[BOUNDARY_LABEL] !== undefined),
    },
    namespaces: { get: (_: string, name: string) => ({ metadata: { name, labels: { [CARD_DATA]: YES } } }) },
    fence: new Fence(),
    policyFence,
    clock: systemClock,
    cleanUp: async () => {},
  };
  const controller = new PolicyController(options as unknown as PolicyControllerOptions);
  return { shown, done, reconcile: () => controller.reconcile(boundary) };
}

describe('A PciBoundary that is deleted', () => {
  it('is not let go before the cache shows each policy that was written for it: nobody would delete it then', async () => {
    const { shown, done, reconcile } = scene();
    for (const policy of written) {
      expect(await reconcile(), `before ${address(policy)} is shown`).to.have.property('kind', 'requeueAfter');
      expect(done).to.deep.equal([]);
      shown.set(address(policy), policy);
    }
    await reconcile();
    expect(done).to.deep.equal(['delete boundary.ingress.shop']);
    await reconcile();
    expect(done, 'the cache shows it still').to.have.length(1);
    shown.delete('card/boundary.ingress.shop');
    await reconcile();
    expect(done).to.deep.equal(['delete boundary.ingress.shop', 'let go']);
  });
});
