import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { expect } from 'chai';
import { BROKEN, eventually, TestCluster } from '../testing/cluster.ts';
import { OrderRelay } from '../testing/order-relay.ts';

/** A Lease that is not renewed for longer than this would be lost. */
const LEASE_MILLIS = 3_000;

describe('An operator with the sqlite journal, while the API server is away', function () {
  this.timeout(240_000);
  let plane: ControlPlane;
  let cluster: TestCluster;
  let directory: string;

  before(async () => {
    plane = await startControlPlane({ etcdUnsafeNoFsync: true });
    cluster = await TestCluster.create({ plane, lease: `${LEASE_MILLIS / 1000}s` });
    directory = await mkdtemp(join(tmpdir(), 'mercato-outage-'));
  });
  after(async () => {
    await cluster.close();
    await plane.stop();
    await rm(directory, { recursive: true, force: true });
  });

  it('takes orders and brings them to their end; what people want reaches its runs afterwards', async () => {
    const relay = await OrderRelay.of(cluster);
    await cluster.applySaga({ onStepFailure: 'Hold', deadline: '10m' });
    cluster.allWell();
    cluster.shop.on('book', BROKEN);
    const operator = await cluster.startProcess(
      '--journal=sqlite',
      `--journal-path=${join(directory, 'journal.db')}`,
      ...relay.flags,
    );
    await relay.deliver(['h-1', 'h-2'].map((order) => relay.placed(order)));
    await cluster.untilPhase('h-1', 'Held');
    const holdId = (await cluster.untilPhase('h-2', 'Held')).status?.holdId;
    cluster.allWell();
    await plane.killApiServer();
    const away = performance.now();
    for (let n = 0; performance.now() - away < 2 * LEASE_MILLIS; n++) {
      expect(await relay.deliver([relay.placed(`n-${n}`)])).to.include({ Begun: 1 });
      await eventually(
        async () => cluster.shop.commandsOf(`n-${n}`).includes('capture'),
        () => `n-${n} goes no further than ${cluster.shop.commandsOf(`n-${n}`)}: ${operator.output}`,
      );
    }
    await plane.startApiServer();
    await cluster.decide('h-2', { holdId, do: 'Retry' });
    await cluster.untilPhase('h-2', 'Succeeded');
    expect(cluster.shop.commandsOf('h-2').filter((command) => command === 'capture')).to.have.length(1);
    await cluster.stopOperator();
  });
});
