import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { attachControlPlane } from '@mercato/controlplane';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import type { AcquirerNote } from '@mercato/demo/conservation.ts';
import { applyManifest, ROOT, readManifests } from '@mercato/demo/local/install.ts';
import { localReach } from '@mercato/demo/local/reach.ts';
import { clientOf, freePorts } from '@mercato/demo/local/shop.ts';
import { livingPrograms } from '@mercato/demo/local/state.ts';
import { Administration } from '@mercato/demo/play/observe.ts';
import { down, type Home, JournalFixedError, PortsTakenError, up } from '@mercato/demo/up.ts';
import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { orderSagaRuns } from '@mercato/operator/journals/kubernetes/journal.ts';
import { eventually } from '@mercato/operator/testing/cluster.ts';
import { expect } from 'chai';

/** What a command wrote. */
class Paper {
  text = '';
  write(text: string): void {
    this.text += text;
  }
}

const PATIENCE_MS = 60_000;

describe('a shop that stays', function () {
  // Half a minute on a quiet machine.
  this.timeout(480_000);
  let folder: string;
  let home: Home;

  before(async () => {
    requireBinaries();
    folder = await realpath(await mkdtemp(join(tmpdir(), 'mercato-up-')));
    home = {
      controlPlane: join(folder, 'controlplane'),
      site: { folder: join(folder, 'shop'), ports: await freePorts() },
    };
  });
  after(async () => {
    await down(new Paper(), home);
    await rm(folder, { recursive: true, force: true });
  });

  const said = async (command: (screen: Paper, home: Home) => Promise<void>) => {
    const paper = new Paper();
    await command(paper, home);
    return paper.text;
  };

  /** Applies the example of an order that succeeds, waits for its end, and answers it with what the acquirer captured for it. */
  const order = async (): Promise<{ run: OrderSagaRun; captures: number }> => {
    const plane = await attachControlPlane(home.controlPlane);
    if (plane === undefined) throw new Error('no control plane runs');
    const client = await clientOf(plane);
    const admin = new Administration(localReach(home.site, client));
    try {
      for (const manifest of await readManifests('examples/ordersagarun-ok.yaml'))
        await applyManifest(client, manifest, 'default');
      const deadline = performance.now() + PATIENCE_MS;
      for (;;) {
        const run = await client.get(orderSagaRuns, { namespace: 'default', name: 'checkout-order-1001' });
        const log = await admin.log<AcquirerNote>('acquirer');
        const captures = log.filter(
          ({ operation, outcome, orderKey }) =>
            operation === 'capture' && outcome === 'approved' && orderKey === 'default/checkout/order-1001',
        ).length;
        if (run.status?.phase === 'Succeeded') return { run, captures };
        if (performance.now() > deadline) throw new Error(`the run is ${JSON.stringify(run.status)}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await admin.close();
      await client.transport.close();
    }
  };

  /** Does what the greeting says, from the repository's folder, and answers what the order service does. */
  const place = async (greeting: string): Promise<unknown> => {
    const line = (of: RegExp) => of.exec(greeting)?.[0]?.trim() ?? expect.fail(`no ${of} in ${greeting}`);
    const script = [
      line(/^ *export KUBECONFIG=.*$/m),
      line(/^ *export PATH=.*$/m),
      line(/^ *ORDERS=.*$/m),
      line(/^ *TOKEN=.*$/m),
      line(/^ *curl .*-d @.*$/m),
    ];
    const { stdout } = await promisify(execFile)('bash', ['-ec', script.join('\n')], {
      cwd: ROOT,
      timeout: PATIENCE_MS,
    });
    const { state, total } = JSON.parse(stdout) as { state: string; total: number };
    return { state, total };
  };

  it('starts, takes an order, ends, and goes on where it was', async () => {
    const greeting = await said(up);
    expect(greeting).to.include(`export KUBECONFIG=${join(home.controlPlane, 'kubeconfig')}`);
    const folder = /^ {2}export PATH="\$PATH:(.+)"$/m.exec(greeting)?.[1];
    expect(existsSync(join(folder ?? '', 'kubectl')), 'kubectl for a machine without it').to.equal(true);
    const first = await order();
    expect(first.captures).to.equal(1);
    const placed = await place(greeting);
    expect(placed, 'as the greeting says it').to.deep.equal({ state: 'Placed', total: 1790 });

    const ended = await said(down);
    expect(ended).to.include('ended: acquirer, carrier, inventory, payment, shipping, order, operator, control plane');
    expect((await livingPrograms(home.site.folder)).size).to.equal(0);
    expect(await said(down)).to.equal('nothing ran\n');

    await said(up);
    const again = await order();
    expect(again.run.metadata.uid, 'the same object').to.equal(first.run.metadata.uid);
    expect(again.captures, 'nothing was done again').to.equal(1);
  });

  it('starts what is missing and leaves the rest alone', async () => {
    await said(up);
    const before = await livingPrograms(home.site.folder);
    process.kill(before.get('shipping')!.pid, 'SIGKILL');
    await eventually(
      async () => !(await livingPrograms(home.site.folder)).has('shipping'),
      () => 'shipping lives on',
    );
    expect(await said(up)).to.include('already running: acquirer, carrier, inventory, payment, order, operator\n');
    const after = await livingPrograms(home.site.folder);
    expect(after.get('shipping')?.pid).to.be.a('number').and.not.to.equal(before.get('shipping')?.pid);
    expect(after.get('payment')?.pid).to.equal(before.get('payment')?.pid);
  });

  it('has its runs where it had them, and says so to whoever wants them elsewhere', async () => {
    const failure = await up(new Paper(), home, 'sqlite').catch((error: unknown) => error);
    expect(failure).to.be.instanceOf(JournalFixedError);
    expect((failure as Error).message).to.include("this shop's runs live in kubernetes");
  });

  it('says which port is taken, before it starts anything', async () => {
    await said(down);
    const squatter = createServer();
    await new Promise<void>((resolve) => squatter.listen(home.site.ports.payment, '127.0.0.1', resolve));
    try {
      const failure = await said(up).catch((error: unknown) => error);
      expect(failure).to.be.instanceOf(PortsTakenError);
      expect((failure as Error).message).to.include(`127.0.0.1:${home.site.ports.payment} (wanted for payment)`);
      expect(await said(down)).to.equal('nothing ran\n');
    } finally {
      squatter.close();
    }
  });
});
