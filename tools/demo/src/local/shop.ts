import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '@mercato/controlplane';
import { type Component, ComponentError, endComponent } from '@mercato/controlplane/component.ts';
import { freePort, isFree, LOOPBACK } from '@mercato/controlplane/ports.ts';
import { startWatchdog, type Watchdog } from '@mercato/controlplane/watchdog.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { configFromText } from '@mercato/operator/kube/config.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { SERVICES } from '../play/reach.ts';
import { ANNOUNCEMENTS } from '../play/subscriber.ts';
import { install, ORDER_ACCOUNT, SHIPPING_ACCOUNT, SYSTEM_NAMESPACE } from './install.ts';
import type { Phases } from './phases.ts';
import { launch, type ProgramSpec, untilReady } from './process.ts';
import {
  DOORS,
  type Door,
  filesOf,
  type Journal,
  OPERATOR_IDENTITY,
  operatorSpec,
  PROGRAMS,
  type ProgramName,
  type Site,
  serviceSpec,
  simulatorSpec,
  specOf,
} from './programs.ts';

/** A whole shop on this machine: control plane, simulated companies, services, operator. */
export interface Shop {
  readonly plane: ControlPlane;
  /** As the administrator, over pooled connections. */
  readonly client: KubeClient;
  readonly site: Site;
  readonly programs: ReadonlyMap<ProgramName, Component>;
}

/** How a shop is started. */
export interface StartOptions {
  readonly site: Site;
  /** Starts, or finds, the control plane. */
  readonly plane: () => Promise<ControlPlane>;
  readonly phases: Phases;
  /** Flags of the operator, without their dashes, beside those that it needs. @default none */
  readonly operatorFlags?: Readonly<Record<string, string>>;
  /** Programs that run already and are left alone. @default none */
  readonly running?: ReadonlyMap<ProgramName, Component>;
  /** Hears of each process as it starts, so that somebody can end it. */
  readonly onStarted?: (name: ProgramName, program: Component) => void;
}

/**
 * Starts what does not run yet: the simulated companies while the control plane starts; the services while the API is
 * installed; then the operator. Returns when all are ready.
 *
 * @throws ComponentError with the last lines of the log of what failed; what was started is left to the caller
 */
export async function startShop(options: StartOptions): Promise<Shop> {
  const { site, phases } = options;
  const programs = new Map(options.running);
  const start = async (name: ProgramName, spec: ProgramSpec) => {
    if (programs.has(name)) return;
    const program = await launch(spec);
    programs.set(name, program);
    options.onStarted?.(name, program);
    await untilReady(program, spec);
  };
  await mkdir(site.folder, { recursive: true });
  const [plane] = await all([
    phases.run('kube-apiserver and etcd', options.plane),
    phases.run('acquirer and carrier, simulated', () =>
      all((['acquirer', 'carrier'] as const).map((name) => start(name, simulatorSpec(site, name)))),
    ),
  ]);
  const client = await clientOf(plane);
  await writeFiles(site, plane);
  await all([
    phases
      .run('kinds, policies, rights', async () => {
        await install(client);
        await writeTokens(site, client);
      })
      .then(() => phases.run('operator', () => start('operator', operatorSpec(site, options.operatorFlags)))),
    phases.run('inventory, payment, shipping, order', () =>
      all([...SERVICES, 'order' as const].map((name) => start(name, serviceSpec(site, name, plane)))),
    ),
  ]);
  return { plane, client, site, programs };
}

/** As Promise.all, but what fails is told only when the rest has come to its end: nothing goes on starting behind its back. */
async function all<T extends readonly unknown[]>(works: readonly [...{ [K in keyof T]: Promise<T[K]> }]): Promise<T> {
  const ends = await Promise.allSettled(works);
  const failed = ends.find((end): end is PromiseRejectedResult => end.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
  return ends.map((end) => (end as PromiseFulfilledResult<unknown>).value) as unknown as T;
}

/** A client of the administrator's. 32 connections, as the operator has. */
export async function clientOf(plane: ControlPlane): Promise<KubeClient> {
  const config = configFromText(await plane.kubeconfigYaml());
  return new KubeClient(createTransport(config, { userAgent: 'mercato-demo' }), { fieldManager: 'mercato-demo' });
}

async function writeFiles(site: Site, plane: ControlPlane): Promise<void> {
  const files = filesOf(site.folder);
  await writeFile(files.authority, plane.caPem);
  await writeFile(files.operatorKubeconfig, await plane.kubeconfigYaml(OPERATOR_IDENTITY), { mode: 0o600 });
}

/** In the cluster the kubelet rotates a projected token. Here each start writes one, which must outlast a shop that stays: 30 days, in seconds. */
const EVENT_TOKEN_SECONDS = 30 * 86_400;

/** What services send their events with: to whom, and nobody else. */
async function writeTokens(site: Site, client: KubeClient): Promise<void> {
  const files = filesOf(site.folder);
  await writeToken(client, SHIPPING_ACCOUNT, 'inventory', files.relayToken);
  await writeToken(client, ORDER_ACCOUNT, 'mercato-operator', files.intakeToken);
  if (site.announceTo !== undefined) await writeToken(client, ORDER_ACCOUNT, ANNOUNCEMENTS, files.announceToken);
}

async function writeToken(client: KubeClient, account: string, audience: string, file: string): Promise<void> {
  const wish = { audiences: [audience], expirationSeconds: EVENT_TOKEN_SECONDS };
  const { token } = await client.createToken({ namespace: SYSTEM_NAMESPACE, name: account }, wish);
  // As a whole: the service may be reading it.
  await writeFile(`${file}.new`, token, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

/** Ends programs in the reverse order of their start: the operator first, so that nobody is called who is gone. */
export async function endPrograms(programs: ReadonlyMap<ProgramName, Component>): Promise<void> {
  const [operator, ...services] = PROGRAMS.toReversed()
    .map((name) => programs.get(name))
    .filter((program) => program !== undefined);
  if (operator !== undefined) await endComponent(operator, STOP_GRACE_MS);
  await Promise.all(services.map((program) => endComponent(program, STOP_GRACE_MS)));
}

/** More than the services' own grace for requests under way. */
const STOP_GRACE_MS = 15_000;

/** The first program that has ended though nobody ended it, as an error with the last lines of its log. */
export function firstEnded(shop: Pick<Shop, 'programs'>): ComponentError | undefined {
  for (const { name, logPath, ended } of shop.programs.values()) {
    const how = ended();
    if (how !== undefined) return new ComponentError(name, how, logPath);
  }
  return undefined;
}

/** Free ports for a shop that nobody needs to find. */
export async function freePorts(): Promise<Site['ports']> {
  const taken = new Set<number>();
  while (taken.size < DOORS.length) taken.add(await freePort());
  const ports = [...taken];
  return Object.fromEntries(DOORS.map((name, i) => [name, ports[i]])) as Site['ports'];
}

/** Of the ports that these programs listen on, those that something else has. */
export async function takenPorts(ports: Site['ports'], programs: readonly ProgramName[]): Promise<Door[]> {
  const names: Door[] = programs.flatMap((name) => (name === 'operator' ? [name, 'intake'] : [name]));
  const free = await Promise.all(names.map((name) => isFree(ports[name])));
  return names.filter((_, i) => !free[i]);
}

/** How the demo says which ports are taken. */
export function portsMessage(ports: Site['ports'], taken: readonly Door[]): string {
  const list = taken.map((name) => `${LOOPBACK}:${ports[name]} (wanted for ${name})`).join(', ');
  return `in use: ${list}. End what listens there; lsof -i :PORT names it`;
}

/** A shop that leaves nothing behind. */
export interface TemporaryShop extends Shop {
  /** Ends a program with SIGKILL and returns when it is gone. Does nothing if it has ended. */
  kill(name: ProgramName): Promise<void>;
  /** Starts a program again that has ended, as it was started first, and does not wait for it to work. */
  relaunch(name: ProgramName): Promise<void>;
  /** Ends every process and removes the folder. Safe to repeat. */
  stop(): Promise<void>;
}

/** Starts a shop in a folder of its own, which goes with it, however this process ends. @param announceTo as for Site */
export async function startTemporaryShop(
  folder: string,
  phases: Phases,
  planeOptions: Omit<ControlPlaneOptions, 'dir' | 'detached'> = {},
  operatorFlags: Readonly<Record<string, string>> = {},
  journal: Journal = 'kubernetes',
  announceTo?: string,
): Promise<TemporaryShop> {
  const guard = new Guard(folder);
  let plane: ControlPlane | undefined;
  const started = new Map<ProgramName, Component>();
  let stopped: Promise<void> | undefined;
  const stop = () => {
    stopped ??= (async () => {
      await endPrograms(started);
      await plane?.stop();
      await guard.end();
    })();
    return stopped;
  };
  const note = (name: ProgramName, program: Component) => {
    started.set(name, program);
    guard.watch([...started.values()].filter(({ ended }) => ended() === undefined));
  };
  try {
    const shop = await startShop({
      site: { folder, ports: await freePorts(), journal, ...(announceTo === undefined ? {} : { announceTo }) },
      plane: async () => {
        plane = await startControlPlane({ ...planeOptions, dir: join(folder, 'controlplane') });
        return plane;
      },
      phases,
      operatorFlags,
      onStarted: note,
    });
    return {
      ...shop,
      programs: started,
      kill: async (name) => {
        const program = started.get(name);
        if (program !== undefined) await endComponent(program, 0);
      },
      relaunch: async (name) => note(name, await launch(specOf(shop.site, name, shop.plane, operatorFlags))),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Sees to it that processes and folder go when this process does, by whatever signal. */
class Guard {
  readonly #watchdog: Watchdog;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#watchdog = startWatchdog(folder);
  }

  /** The processes that are to end with this one: those that run, since the pid of one that has ended may be another's by now. */
  watch(programs: readonly Component[]): void {
    this.#watchdog.guard(programs.map(({ pid }) => pid));
  }

  async end(): Promise<void> {
    this.#watchdog.dismiss();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
