import { readFile } from 'node:fs/promises';
import { adoptComponent, type Component } from './component.ts';
import { type Layout, writeSecret } from './files.ts';

/** The programs that make up a control plane, in the order in which they start. */
export const COMPONENTS = ['etcd', 'kube-apiserver', 'kube-controller-manager'] as const;

/** A program of a control plane. */
export type ComponentName = (typeof COMPONENTS)[number];

/** The two ports of a control plane. */
export interface Ports {
  readonly apiServer: number;
  readonly etcd: number;
}

/** What a folder's state.json says about the control plane that ran, or runs, on it. */
export interface State {
  readonly ports: Ports;
  /** Empty after an orderly stop. */
  readonly pids: Readonly<Partial<Record<ComponentName, number>>>;
  /** kube-apiserver's extra arguments, so that a later process can restart it as it was. */
  readonly apiServerArgs: readonly string[];
  readonly etcdUnsafeNoFsync: boolean;
}

/** Reads state.json, or undefined when no control plane ever ran on this folder. @throws Error when it cannot be understood */
export async function readState(layout: Layout): Promise<State | undefined> {
  let text: string;
  try {
    text = await readFile(layout.state, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const state = parseState(text);
  if (state === undefined)
    throw new Error(`${layout.state} cannot be understood: remove the folder ${layout.folder} to start afresh`);
  return state;
}

/** Undefined for text that no version of this package has written. */
function parseState(text: string): State | undefined {
  try {
    const { ports, pids, apiServerArgs, etcdUnsafeNoFsync } = JSON.parse(text) as Partial<State>;
    const isNumber = (value: unknown) => Number.isInteger(value);
    if (![ports?.apiServer, ports?.etcd, ...Object.values(pids!)].every(isNumber) || !Array.isArray(apiServerArgs))
      return undefined;
    return {
      ports: ports!,
      pids: pids!,
      apiServerArgs: apiServerArgs.map(String),
      etcdUnsafeNoFsync: etcdUnsafeNoFsync === true,
    };
  } catch {
    return undefined;
  }
}

/** Writes state.json as a whole. */
export function writeState(layout: Layout, state: State): Promise<void> {
  return writeSecret(layout.state, `${JSON.stringify(state, null, 2)}\n`);
}

/** The components that state.json names and that still run. */
export function livingComponents(layout: Layout, state: State): Map<ComponentName, Component> {
  const living = new Map<ComponentName, Component>();
  for (const name of COMPONENTS) {
    const pid = state.pids[name];
    const component = pid === undefined ? undefined : adoptComponent(name, pid, layout.log(name), `${layout.folder}/`);
    if (component !== undefined) living.set(name, component);
  }
  return living;
}
