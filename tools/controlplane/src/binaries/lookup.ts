import { accessSync, constants, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type BinaryName, ETCD_VERSION, KUBERNETES_VERSION, type Platform } from '../versions.ts';

/** Environment that decides where binaries are looked for and kept. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where each program lies, and which of them have to be fetched or built first. */
export interface Lookup {
  readonly found: ReadonlyMap<BinaryName, string>;
  readonly missing: readonly BinaryName[];
}

/**
 * Folder of downloaded and built binaries: `${MERCATO_CACHE:-${XDG_CACHE_HOME:-~/.cache}/mercato}/controlplane/<versions>-<os>-<arch>`.
 * A new version has a new folder, so that nothing old is ever run by mistake. An empty variable counts as unset.
 */
export function cacheFolder(env: Environment, platform: Platform): string {
  const versions = `kubernetes-${KUBERNETES_VERSION}-etcd-${ETCD_VERSION}`;
  return join(cacheRoot(env), 'controlplane', `${versions}-${platform.os}-${platform.arch}`);
}

/** Folder under which everything lies that is fetched or built once: `${MERCATO_CACHE:-${XDG_CACHE_HOME:-~/.cache}/mercato}`. */
export function cacheRoot(env: Environment): string {
  return env['MERCATO_CACHE'] || join(env['XDG_CACHE_HOME'] || join(env['HOME'] || homedir(), '.cache'), 'mercato');
}

/**
 * Looks for each program in `KUBEBUILDER_ASSETS`, then in the cache. Each on its own: setup-envtest's folders, for one,
 * have no kube-controller-manager.
 */
export function lookUp(names: readonly BinaryName[], env: Environment, platform: Platform): Lookup {
  const folders = [env['KUBEBUILDER_ASSETS'], cacheFolder(env, platform)].filter(
    (folder) => folder !== undefined && folder !== '',
  );
  const found = new Map<BinaryName, string>();
  const missing: BinaryName[] = [];
  for (const name of names) {
    const path = folders.map((folder) => join(folder!, name)).find(isExecutableFile);
    if (path === undefined) missing.push(name);
    else found.set(name, path);
  }
  return { found, missing };
}

/** Whether a file is there that this process may run; a folder is none. */
export function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
