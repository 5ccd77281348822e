import { dirname, join } from 'node:path';
import { attachOrStartControlPlane, ensureBinaries, stopControlPlane } from '@mercato/controlplane';
import type { Component } from '@mercato/controlplane/component.ts';
import { ROOT } from './local/install.ts';
import { Phases } from './local/phases.ts';
import { FIXED_PORTS, PROGRAMS, type ProgramName, type Site } from './local/programs.ts';
import { localReach } from './local/reach.ts';
import { endPrograms, portsMessage, type Shop, startShop, takenPorts } from './local/shop.ts';
import { livingPrograms, writePids } from './local/state.ts';
import { atAddresses, openShop, readExamples } from './play/examples.ts';
import { Administration } from './play/observe.ts';
import type { Screen } from './play/table.ts';

/** Where a shop that stays keeps its things. */
export interface Home {
  /** Of the control plane; the one that `tools/controlplane/src/cli.ts up` uses. */
  readonly controlPlane: string;
  readonly site: Site;
}

/** The shop of `make up`. */
export const HOME: Home = {
  controlPlane: join(ROOT, '.mercato', 'controlplane'),
  site: { folder: join(ROOT, '.mercato', 'shop'), ports: FIXED_PORTS },
};

/** Ports that the shop needs are in use. */
export class PortsTakenError extends Error {
  override readonly name = 'PortsTakenError';
}

const NAMESPACE = 'default';

/**
 * Starts a shop that goes on running, or what is missing of it, applies the examples but their runs, and says how to reach it.
 * @throws PortsTakenError, ComponentError; then nothing that this call started runs on
 */
export async function up(screen: Screen, home: Home = HOME): Promise<void> {
  const say = (line: string) => void screen.write(`${line}\n`);
  const running = await livingPrograms(home.site.folder);
  const missing = PROGRAMS.filter((name) => !running.has(name));
  const taken = await takenPorts(home.site.ports, missing);
  if (taken.length > 0) throw new PortsTakenError(portsMessage(home.site.ports, taken));
  if (running.size > 0) say(`already running: ${[...running.keys()].join(', ')}`);
  const shop = await start(home, running, new Phases(say), say);
  try {
    const reach = localReach(shop.site, shop.client);
    const admin = new Administration(reach);
    await openShop(shop.client, admin, atAddresses(await readExamples(), reach), NAMESPACE);
    await admin.close();
  } finally {
    await shop.client.transport.close();
  }
  say(greeting(shop, (await ensureBinaries(['kubectl'], { onProgress: say })).get('kubectl')!));
}

async function start(
  home: Home,
  running: ReadonlyMap<ProgramName, Component>,
  phases: Phases,
  say: (line: string) => void,
): Promise<Shop> {
  const { site, controlPlane: dir } = home;
  const started = new Map<ProgramName, Component>();
  try {
    return await startShop({
      site,
      plane: () => attachOrStartControlPlane({ dir, controllerManager: true, onProgress: say }),
      phases,
      running,
      onStarted: (name, program) => void started.set(name, program),
    });
  } catch (error) {
    await endPrograms(started);
    for (const name of started.keys()) started.delete(name);
    throw error;
  } finally {
    await writePids(site.folder, [...running.values(), ...started.values()]);
  }
}

/** Ends the shop and says what ran. Its state stays, so that the next `up` goes on with it. Safe to repeat. */
export async function down(screen: Screen, home: Home = HOME): Promise<void> {
  const say = (line: string) => void screen.write(`${line}\n`);
  const running = await livingPrograms(home.site.folder);
  await endPrograms(running);
  if (running.size > 0) await writePids(home.site.folder, []);
  const ended = [...running.keys()];
  if (await stopControlPlane(home.controlPlane)) ended.push('control plane' as ProgramName);
  if (ended.length === 0) return say('nothing ran');
  say(`ended: ${ended.join(', ')}`);
  say(`state stays in ${join(home.site.folder, '..')}: remove that folder to begin afresh`);
}

/** PATH gets kubectl's folder at its end: a machine without one has it then, and a machine's own stays first. */
function greeting({ plane, site }: Shop, kubectl: string): string {
  return `
The shop runs. Tell kubectl where:

  export KUBECONFIG=${plane.kubeconfigPath}
  export PATH="$PATH:${dirname(kubectl)}"

Then try, from the repository's folder:

  kubectl get mercato                                        all that there is
  kubectl apply -f examples/ordersagarun-ok.yaml             an order
  kubectl get osr -w                                         watch it complete
  kubectl apply -f examples/ordersagarun-declined.yaml       one whose card is declined
  kubectl describe osr checkout-order-1003                   what it did, and why
  kubectl get warehouseinventories,restockorders             the stock

Logs are in ${join(site.folder, 'logs')}; the operator's metrics at http://127.0.0.1:${site.ports.operator}/metrics.
make down ends it.`;
}
