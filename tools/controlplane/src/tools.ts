import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { removeLeftovers } from './binaries/ensure.ts';
import { type InstallTarget, install } from './binaries/install.ts';
import { withLock } from './binaries/lock.ts';
import { cacheRoot, type Environment, isExecutableFile } from './binaries/lookup.ts';
import { withProgress } from './binaries/progress.ts';
import { currentPlatform, type Platform } from './versions.ts';

/** Programs that charts and tests use beside the control plane. */
export const TEST_TOOLS = ['helm', 'cyclonus', 'kwok'] as const;

/** All programs that are used beside the control plane: those of the tests, and what benchmarks are held against. */
export const TOOLS = [...TEST_TOOLS, 'temporal'] as const;

/** A program that is used beside the control plane. */
export type ToolName = (typeof TOOLS)[number];

/** Whether this is the name of a tool. */
export function isToolName(name: string): name is ToolName {
  return (TOOLS as readonly string[]).includes(name);
}

/** How a tool is found. Every field has a default that fits a developer's machine. */
export interface ToolOptions {
  /** @default process.env */
  readonly env?: Environment;
  /** @default that of this process */
  readonly platform?: Platform;
  /** Hears a line every few seconds while the tool is built. @default silence */
  readonly onProgress?: (line: string) => void;
}

interface Tool extends InstallTarget {
  /** Arguments that make the program say its version and do nothing else. */
  readonly versionArguments: readonly string[];
}

/** Which release of each tool is used: golden files and equality tests hold for these. */
const RELEASES: Readonly<Record<ToolName, Tool>> = {
  helm: {
    package: 'helm.sh/helm/v3/cmd/helm',
    version: 'v3.19.0',
    linkerFlags: helmLinkerFlags('v3.19.0', { major: 1, minor: 34 }),
    versionArguments: ['version', '--short'],
  },
  cyclonus: {
    package: 'github.com/mattfenwick/cyclonus/cmd/cyclonus',
    version: 'v0.5.6',
    linkerFlags: '-X github.com/mattfenwick/cyclonus/pkg/cli.version=v0.5.6',
    versionArguments: ['version'],
  },
  kwok: {
    package: 'sigs.k8s.io/kwok/cmd/kwok',
    version: 'v0.7.0',
    linkerFlags: '-X sigs.k8s.io/kwok/pkg/consts.Version=v0.7.0',
    versionArguments: ['--version'],
  },
  temporal: {
    package: 'github.com/temporalio/cli/cmd/temporal',
    version: 'v1.5.1',
    linkerFlags: '-X github.com/temporalio/cli/temporalcli.Version=1.5.1',
    versionArguments: ['--version'],
  },
};

/**
 * What Helm's own Makefile sets. Without the Kubernetes release `helm template` takes the cluster for 1.20, and refuses
 * every chart that asks for a newer one; it is the release of the client-go that this Helm is built with.
 */
function helmLinkerFlags(version: string, kubernetes: { major: number; minor: number }): string {
  const packages = ['pkg/lint/rules', 'pkg/chartutil'].map((path) => `helm.sh/helm/v3/${path}`);
  return [
    `-X helm.sh/helm/v3/internal/version.version=${version}`,
    ...packages.flatMap((path) => [
      `-X ${path}.k8sVersionMajor=${kubernetes.major}`,
      `-X ${path}.k8sVersionMinor=${kubernetes.minor}`,
    ]),
  ].join(' ');
}

/** Release of a tool, as in "v3.19.0". */
export function toolVersion(name: ToolName): string {
  return RELEASES[name].version;
}

/**
 * Path of a tool: of the one in the cache (`<cache>/tools/<name>-<version>-<os>-<arch>`), else of the one on PATH if that is of the
 * pinned release, else of one built with Go from the module proxy, which stays in the cache and takes about a minute. Safe when several processes ask at once: one builds, the others wait for it.
 *
 * @throws BuildError where it has to be built and cannot be; its message says what to do
 */
export async function ensureTool(name: ToolName, options: ToolOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const say = options.onProgress ?? (() => {});
  const folder = toolFolder(name, env, options.platform ?? currentPlatform());
  const cached = join(folder, name);
  const there = async () => (isExecutableFile(cached) ? cached : await onPath(name, env));

  const path = await there();
  if (path !== undefined) return path;
  await mkdir(folder, { recursive: true });
  const lock = join(folder, '.lock');
  return withLock(
    lock,
    (holder) => say(`waiting for process ${holder}, which builds ${name} (${lock})`),
    async () => {
      if (isExecutableFile(cached)) return cached;
      await removeLeftovers(folder);
      const build = () => install(name, RELEASES[name], folder, env);
      await withProgress(say, () => `building ${name} ${toolVersion(name)}`, build);
      return cached;
    },
  );
}

/** Each release has a folder of its own, so that nothing old is ever run by mistake. */
function toolFolder(name: ToolName, env: Environment, platform: Platform): string {
  return join(cacheRoot(env), 'tools', `${name}-${toolVersion(name)}-${platform.os}-${platform.arch}`);
}

/** Another release is passed over in silence: what a person has for other work is no reason to stop. */
async function onPath(name: ToolName, env: Environment): Promise<string | undefined> {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const path = folders.map((folder) => join(folder, name)).find(isExecutableFile);
  if (path === undefined) return undefined;
  const said = await ask(path, RELEASES[name].versionArguments, env);
  return saysVersion(said, toolVersion(name)) ? path : undefined;
}

/** "v3.19.0+g3d8990f" and "0.7.0" name v3.19.0 and v0.7.0; "v3.19.01" and "v3.19.0-rc.1" do not name v3.19.0. */
function saysVersion(said: string, version: string): boolean {
  const bare = version.slice(1).replaceAll('.', '\\.');
  return new RegExp(`(^|[^\\d.])${bare}(?![\\d.-])`).test(said);
}

const VERSION_TIMEOUT_MS = 10_000;

/** What the program says, and nothing when it fails or hangs: then it is not the one we want. */
function ask(path: string, args: readonly string[], env: Environment): Promise<string> {
  return new Promise((resolve) => {
    execFile(path, args, { env: { ...env }, timeout: VERSION_TIMEOUT_MS }, (error, stdout, stderr) => {
      resolve(error === null ? `${stdout}${stderr}` : '');
    });
  });
}
