import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type BinaryName, currentPlatform, type Platform, versionOf } from '../versions.ts';
import { build, buildTarget } from './build.ts';
import { type DownloadSites, DownloadUnavailableError, download, downloadSites } from './download.ts';
import { withLock } from './lock.ts';
import { cacheFolder, type Environment, lookUp } from './lookup.ts';
import { withProgress } from './progress.ts';

/** How binaries are found. Every field has a default that fits a developer's machine. */
export interface EnsureOptions {
  /** @default process.env */
  readonly env?: Environment;
  /** @default that of this process */
  readonly platform?: Platform;
  /** @default the official sites, or what the environment names */
  readonly sites?: DownloadSites;
  /** Hears a line every few seconds while something is downloaded or built. @default silence */
  readonly onProgress?: (line: string) => void;
}

/**
 * Paths of the programs named, in this order of preference: `KUBEBUILDER_ASSETS`, the cache, a download of the official
 * binaries, a build with Go. What is downloaded or built stays in the cache. Safe when several processes do it at once.
 *
 * @throws BuildError, ChecksumMismatchError
 */
export async function ensureBinaries(
  names: readonly BinaryName[],
  options: EnsureOptions = {},
): Promise<ReadonlyMap<BinaryName, string>> {
  const env = options.env ?? process.env;
  const platform = options.platform ?? currentPlatform();
  const say = options.onProgress ?? (() => {});
  const first = lookUp(names, env, platform);
  if (first.missing.length === 0) return first.found;

  const folder = cacheFolder(env, platform);
  await mkdir(folder, { recursive: true });
  const lock = join(folder, '.lock');
  const waiting = (holder: number) => say(`waiting for process ${holder}, which gets the same binaries (${lock})`);
  return withLock(lock, waiting, async () => {
    await removeLeftovers(folder);
    const { missing } = lookUp(names, env, platform);
    await obtain(missing, { env, platform, folder, sites: options.sites ?? downloadSites(env), say });
    return lookUp(names, env, platform).found;
  });
}

/** Removes what a process that was cut short left of its downloads and builds in a cache folder, up to 100 MB each. */
export async function removeLeftovers(folder: string): Promise<void> {
  const leftovers = (await readdir(folder)).filter((name) => /^\.(download|build)-/.test(name));
  await Promise.all(leftovers.map((name) => rm(join(folder, name), { recursive: true, force: true })));
}

interface Workshop {
  readonly env: Environment;
  readonly platform: Platform;
  readonly folder: string;
  readonly sites: DownloadSites;
  readonly say: (line: string) => void;
}

/** One at a time: a build takes every core as it is, and the largest takes 2 GB of memory. */
async function obtain(names: readonly BinaryName[], shop: Workshop): Promise<void> {
  const unreachable = new Set<string>();
  let builtBefore = false;
  for (const [index, name] of names.entries()) {
    const title = `${name} ${versionOf(name)} (${index + 1} of ${names.length})`;
    const site = name === 'etcd' ? shop.sites.etcd : shop.sites.kubernetes;
    if (!unreachable.has(site)) {
      const why = await tryDownload(name, title, shop);
      if (why === undefined) continue;
      unreachable.add(site);
      shop.say(`cannot download the official binaries (${why}); building from source instead`);
    }
    if (!builtBefore) shop.say(BUILD_HINT(shop.folder));
    builtBefore = true;
    await withProgress(
      shop.say,
      () => `building ${title}`,
      () => build(name, buildTarget(name), shop.folder, shop.env),
    );
  }
}

const BUILD_HINT = (folder: string): string =>
  `building takes some minutes, once; the result stays in ${folder}. ` +
  'Faster: let this machine reach dl.k8s.io and github.com, or set KUBEBUILDER_ASSETS to a folder that has the binaries.';

/** Answers why it could not be downloaded, or undefined when it is there. */
async function tryDownload(name: BinaryName, title: string, shop: Workshop): Promise<string | undefined> {
  let size = '';
  const onBytes = (received: number, total: number | undefined) => {
    size = `, ${megabytes(received)}${total === undefined ? '' : ` of ${megabytes(total)}`} MB`;
  };
  try {
    const label = () => `downloading ${title}${size}`;
    await withProgress(shop.say, label, () => download(name, shop.folder, shop.platform, shop.sites, onBytes));
    return undefined;
  } catch (error) {
    if (error instanceof DownloadUnavailableError) return error.message;
    throw error;
  }
}

function megabytes(bytes: number): string {
  return (bytes / 1_000_000).toFixed(0);
}
