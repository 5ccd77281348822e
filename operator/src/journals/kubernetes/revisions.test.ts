import type { ControlPlane } from '@mercato/controlplane';
import { sharedControlPlane, uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { expect } from 'chai';
import type { KubeClient } from '../../kube/client.ts';
import { controllerRevisions } from '../../kube/resource.ts';
import { clientOf } from '../../kube/testing.ts';
import { revision } from '../../saga/rehearsal.ts';
import { Revisions } from './revisions.ts';

const REVISION = revision();

describe('Revisions in Kubernetes', function () {
  this.timeout(60_000);
  let plane: ControlPlane;
  let client: KubeClient;
  let namespace: string;
  let now = Date.UTC(2026, 5, 1);
  let requests = 0;

  before(async () => {
    plane = await sharedControlPlane();
    client = await clientOf(plane, { observer: { requested: () => (requests += 1) } });
  });
  after(() => client.transport.close());
  beforeEach(async () => {
    namespace = await uniqueNamespace(plane, 'revisions');
  });

  const stored = async (): Promise<string[]> =>
    (await client.list(controllerRevisions, { namespace })).items.map(({ metadata }) => metadata.name);

  it('are stored once for many runs, and again in time where they were deleted: with their namespace, say', async () => {
    const revisions = new Revisions(client, () => now);
    await revisions.save(namespace, 'checkout', REVISION);
    requests = 0;
    for (let run = 0; run < 10; run++) await revisions.save(namespace, 'checkout', REVISION);
    expect(requests).to.equal(0);
    await client.delete(controllerRevisions, { namespace, name: `checkout-${REVISION.hash}` });
    now += 60_000;
    await revisions.save(namespace, 'checkout', REVISION);
    expect(await stored()).to.deep.equal([`checkout-${REVISION.hash}`]);
    expect(revisions.cached(namespace, 'checkout', REVISION.hash)).to.deep.equal(REVISION);
  });
});
