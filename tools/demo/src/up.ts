import { dirname, join } from 'node:path';
import { attachOrStartControlPlane, ensureBinaries, stopControlPlane } from '@mercato/controlplane';
import type { Component } from '@mercato/controlplane/component.ts';
import { OBSERVER_ACCOUNT, ROOT, SYSTEM_NAMESPACE } from './local/install.ts';
import { Phases } from './local/phases.ts';
import {
  FIXED_PORTS,
  type Journal,
  NAMESPACE,
  PROGRAMS,
  type ProgramName,
  type Site,
  urlOf,
} from './local/programs.ts';
import { localReach } from './local/reach.ts';
import { endPrograms, portsMessage, type Shop, startShop, takenPorts } from './local/shop.ts';
import { journalOf, livingPrograms, writeJournal, writePids } from './local/state.ts';
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

/** The shop that stays has its runs in another journal than was asked for. */
export class JournalFixedError extends Error {
  override readonly name = 'JournalFixedError';
}

/**
 * Starts a shop that goes on running, or what is missing of it, applies the examples but their runs, and says how to reach it.
 * @param wanted where runs are to live. @default where they did, or kubernetes
 * @throws PortsTakenError, JournalFixedError, ComponentError; then nothing that this call started runs on
 */
export async function up(screen: Screen, home: Home = HOME, wanted?: Journal): Promise<void> {
  const say = (line: string) => void screen.write(`${line}\n`);
  const journal = await journalFor(home.site.folder, wanted);
  const running = await livingPrograms(home.site.folder);
  const missing = PROGRAMS.filter((name) => !running.has(name));
  const taken = await takenPorts(home.site.ports, missing);
  if (taken.length > 0) throw new PortsTakenError(portsMessage(home.site.ports, taken));
  if (running.size > 0) say(`already running: ${[...running.keys()].join(', ')}`);
  const site = { ...home.site, journal };
  await writeJournal(site.folder, journal);
  const shop = await start({ ...home, site }, running, new Phases(say), say);
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

/** A journal is not switched under open runs, and a shop that stays may have some. @throws JournalFixedError */
async function journalFor(folder: string, wanted: Journal | undefined): Promise<Journal> {
  const known = await journalOf(folder);
  if (known === undefined || wanted === undefined || known === wanted) return wanted ?? known ?? 'kubernetes';
  throw new JournalFixedError(
    `this shop's runs live in ${known}, and a journal is not switched under open runs: make down, and remove ${join(folder, '..')} to begin afresh with ${wanted}`,
  );
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

/** How to work with objects of runs, where they are objects. */
const WITH_RUNS = `  kubectl apply -f examples/ordersagarun-ok.yaml             an order, as the run that it becomes
  kubectl get osr -w                                         watch it complete
  kubectl apply -f examples/ordersagarun-declined.yaml       one whose card is declined
  kubectl describe osr checkout-order-1003                   what it did, and why`;

const WITHOUT_RUNS = `  kubectl get osr                                            runs that need a person: the others live in sqlite`;

/** PATH gets kubectl's folder at its end: a machine without one has it then, and a machine's own stays first. */
function greeting({ plane, site }: Shop, kubectl: string): string {
  return `
The shop runs. Tell kubectl where:

  export KUBECONFIG=${plane.kubeconfigPath}
  export PATH="$PATH:${dirname(kubectl)}"

Then try, from the repository's folder:

  kubectl get mercato                                        all that there is
${site.journal === 'sqlite' ? WITHOUT_RUNS : WITH_RUNS}
  kubectl get warehouseinventories,restockorders             the stock

Or place an order, as a service that acts for a customer does:

  ORDERS=${urlOf(site, 'order')}/orders
  TOKEN=$(kubectl create token ${OBSERVER_ACCOUNT} -n ${SYSTEM_NAMESPACE} --audience order)
  curl -s $ORDERS -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' -H 'Idempotency-Key: mine-1' -d @examples/order.json
  curl -s "$ORDERS?customer=customer-1" -H "Authorization: Bearer $TOKEN"

Logs are in ${join(site.folder, 'logs')}; the operator's metrics at http://127.0.0.1:${site.ports.operator}/metrics.
make down ends it.`;
}
