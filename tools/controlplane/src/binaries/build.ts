import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BinaryName, KUBERNETES_VERSION } from '../versions.ts';
import type { Environment } from './lookup.ts';

/** What `go build` is told to build: a package, from inside the module whose go.mod pins it. */
export interface BuildTarget {
  readonly moduleFolder: string;
  readonly package: string;
  /** Linker flags beside the ones that drop debugging tables. */
  readonly linkerFlags: string;
}

/** Go is missing, too old, or could not build. The message says what to do instead. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

/** Oldest Go that go.mod of Kubernetes 1.35 admits. An older one (from 1.21) fetches it by itself where it is allowed to. */
export const OLDEST_GO = { major: 1, minor: 25 } as const;

const LOG_TAIL_LINES = 15;

/** The pinned wrapper module and the package inside it from which a program is built. */
export function buildTarget(name: BinaryName): BuildTarget {
  if (name === 'etcd')
    return { moduleFolder: moduleFolder('etcd'), package: 'go.etcd.io/etcd/server/v3', linkerFlags: '' };
  return {
    moduleFolder: moduleFolder('kubernetes'),
    package: `k8s.io/kubernetes/cmd/${name}`,
    linkerFlags: kubernetesLinkerFlags(),
  };
}

function moduleFolder(name: string): string {
  return fileURLToPath(new URL(`../../go/${name}`, import.meta.url));
}

/** Without these the API server calls itself v0.0.0-master, and clients that look at its version go astray. */
function kubernetesLinkerFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split('.');
  const variable = 'k8s.io/component-base/version.git';
  return `-X ${variable}Version=${KUBERNETES_VERSION} -X ${variable}Major=${major} -X ${variable}Minor=${minor}`;
}

/**
 * Builds one program into `folder`. Go's own output goes to `<folder>/logs/build-<name>.log`. The file appears under its
 * name only when it is complete, so that a build that was cut short leaves nothing that looks usable.
 *
 * @throws BuildError
 */
export async function build(name: string, target: BuildTarget, folder: string, env: Environment): Promise<void> {
  await requireGo(name, target, env);
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `build-${name}.log`);
  const work = await mkdtemp(join(folder, `.build-${name}-`));
  try {
    const output = join(work, name);
    const flags = ['-trimpath', '-ldflags', `-s -w ${target.linkerFlags}`.trim()];
    const code = await go(['build', ...flags, '-o', output, target.package], target, env, log);
    if (code !== 0) {
      throw new BuildError(
        `go build of ${name} (${target.package}) failed with status ${code}; its last lines, from ${log}:\n${await tail(log)}`,
      );
    }
    await rename(output, join(folder, name));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Pure Go and no version control stamp: the same flags everywhere, so that Go's build cache is shared between programs. */
function go(args: readonly string[], target: BuildTarget, env: Environment, log: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd: target.moduleFolder,
      env: { ...env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const file = createWriteStream(log);
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    child.once('error', (error) => file.end(() => reject(error)));
    child.once('close', (code) => file.end(() => resolve(code)));
  });
}

/** Asked inside the module, because there go itself changes to the toolchain that go.mod wants, where it may. */
async function requireGo(name: string, target: BuildTarget, env: Environment): Promise<void> {
  const said = await goVersion(target, env);
  if (said === undefined)
    throw new BuildError(`Go is needed to build ${name}, and there is no "go" on PATH.\n${HOW_ELSE}`);
  const [, major, minor] = /\bgo(\d+)\.(\d+)/.exec(said) ?? [];
  const newEnough =
    Number(major) > OLDEST_GO.major || (Number(major) === OLDEST_GO.major && Number(minor) >= OLDEST_GO.minor);
  if (!newEnough) {
    throw new BuildError(
      `Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer is needed to build ${name}; "go version" says: ${said.trim()}\n${HOW_ELSE}`,
    );
  }
}

const HOW_ELSE = [
  'Do one of these, then try again:',
  `  - install Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer (https://go.dev/dl)`,
  '  - let this machine reach https://dl.k8s.io and https://github.com, where the official binaries are',
  '  - set KUBEBUILDER_ASSETS to a folder that has etcd, kube-apiserver, kubectl (setup-envtest makes one)',
].join('\n');

function goVersion(target: BuildTarget, env: Environment): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', ['version'], {
      cwd: target.moduleFolder,
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve(undefined) : reject(error),
    );
    child.once('close', () => resolve(said));
  });
}

async function tail(path: string): Promise<string> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  return lines.slice(-LOG_TAIL_LINES).join('\n');
}
