import { mkdir, mkdtemp, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { ensureBinaries } from './binaries/ensure.ts';
import { ComponentError, endComponent } from './component.ts';
import type { ControlPlane } from './controlplane.ts';
import { type Layout, layoutOf, loadOrCreateCredentials } from './files.ts';
import { LocalControlPlane, STOP_GRACE_MS } from './local.ts';
import { type ControlPlaneOptions, validateOptions } from './options.ts';
import { freePort, isFree, PortTakenError } from './ports.ts';
import { COMPONENTS, livingComponents, type Ports, readState, type State, writeState } from './state.ts';

/** Starts until ports are found that nobody took between the look and the start. */
const PORT_ATTEMPTS = 3;

/**
 * Starts etcd and kube-apiserver on 127.0.0.1 and answers when they serve requests; 3 s on an idle machine, if the
 * binaries are there.
 *
 * @throws InvalidOptionsError, BuildError, ChecksumMismatchError, PortTakenError, and ComponentError with the end of the
 * log of the component that failed. Nothing is left running then, but the folder stays, for its logs.
 */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  validateOptions(options);
  const names = COMPONENTS.filter((name) => name !== 'kube-controller-manager' || options.controllerManager === true);
  const onProgress = options.onProgress === undefined ? {} : { onProgress: options.onProgress };
  await ensureBinaries(names, { ...options.binaries, ...onProgress });

  const kept = options.dir === undefined ? undefined : layoutOf(await keptFolder(options.dir));
  const last = kept === undefined ? undefined : await readState(kept);
  if (kept !== undefined && last !== undefined) refuseIfRunning(kept, last);
  let ports = await choosePorts(options.ports ?? {}, last?.ports);
  const layout = kept ?? layoutOf(await temporaryFolder());
  const credentials = await loadOrCreateCredentials(layout.folder);
  for (let attempt = 1; ; attempt++) {
    const plane = new LocalControlPlane(layout, credentials, ports, options);
    try {
      await plane.start();
      return plane;
    } catch (error) {
      await plane.endProcesses(true);
      if (attempt === PORT_ATTEMPTS || !lostRaceForPort(error)) throw error;
    }
    ports = await choosePorts(options.ports ?? {}, last?.ports);
  }
}

/**
 * The control plane that runs detached on the folder, started if none does. What is left of one that died in parts is
 * ended first.
 *
 * @throws as startControlPlane
 */
export async function attachOrStartControlPlane(
  options: ControlPlaneOptions & { readonly dir: string },
): Promise<ControlPlane> {
  const running = await attachControlPlane(options.dir, options);
  if (running !== undefined) {
    if (options.controllerManager === true) await running.startControllerManager();
    return running;
  }
  await stopControlPlane(options.dir);
  return startControlPlane({ ...options, detached: true });
}

/**
 * The control plane that a detached start left running on a folder, or undefined when none does, or not all of it.
 * Its stop() ends it. @param options those that concern this process: onProgress, binaries
 */
export async function attachControlPlane(
  dir: string,
  options: Pick<ControlPlaneOptions, 'onProgress' | 'binaries'> = {},
): Promise<ControlPlane | undefined> {
  const layout = layoutOf(resolve(dir));
  const state = await readState(layout);
  if (state === undefined) return undefined;
  const living = livingComponents(layout, state);
  const expected = COMPONENTS.filter((name) => state.pids[name] !== undefined);
  if (!living.has('kube-apiserver') || !living.has('etcd') || living.size < expected.length) return undefined;
  const { apiServerArgs: extraArgs, etcdUnsafeNoFsync } = state;
  const plane = new LocalControlPlane(layout, await loadOrCreateCredentials(layout.folder), state.ports, {
    ...options,
    apiServerArgs: extraArgs,
    etcdUnsafeNoFsync,
    dir: layout.folder,
    detached: true,
  });
  plane.adopt(living);
  return plane;
}

/**
 * Ends whatever still runs on a folder. Its data stays. Answers whether anything ran.
 */
export async function stopControlPlane(dir: string): Promise<boolean> {
  const layout = layoutOf(resolve(dir));
  const state = await readState(layout);
  if (state === undefined) return false;
  const living = livingComponents(layout, state);
  for (const name of COMPONENTS.toReversed()) {
    const component = living.get(name);
    if (component !== undefined) await endComponent(component, STOP_GRACE_MS[name]);
  }
  await writeState(layout, { ...state, pids: {} });
  return living.size > 0;
}

async function keptFolder(dir: string): Promise<string> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  return resolve(dir);
}

/** Its real path: the folder is looked for in command lines, and macOS's temporary folder is a symbolic link. */
async function temporaryFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), 'mercato-controlplane-')));
}

function refuseIfRunning(layout: Layout, last: State): void {
  const living = livingComponents(layout, last);
  if (living.size === 0) return;
  const who = [...living.values()].map(({ name, pid }) => `${name} (pid ${pid})`).join(', ');
  throw new Error(
    `a control plane already runs on ${layout.folder}: ${who}. Stop it first (make down), or use another folder`,
  );
}

async function choosePorts(wanted: Partial<Ports>, last: Ports | undefined): Promise<Ports> {
  const apiServer = await choosePort('kube-apiserver', wanted.apiServer, last?.apiServer);
  const etcd = await choosePort('etcd', wanted.etcd, last?.etcd);
  return apiServer === etcd ? choosePorts(wanted, undefined) : { apiServer, etcd };
}

async function choosePort(purpose: string, wanted: number | undefined, last: number | undefined): Promise<number> {
  if (wanted !== undefined) {
    if (await isFree(wanted)) return wanted;
    throw new PortTakenError(wanted, purpose);
  }
  return last !== undefined && (await isFree(last)) ? last : freePort();
}

/** Between the look for a free port and the start, another process took it. */
function lostRaceForPort(error: unknown): boolean {
  return error instanceof ComponentError && error.logTail.includes('address already in use');
}
