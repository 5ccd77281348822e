import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { removeLeftovers } from '@mercato/controlplane/binaries/ensure.ts';
import { withLock } from '@mercato/controlplane/binaries/lock.ts';
import { cacheRoot, type Environment } from '@mercato/controlplane/binaries/lookup.ts';
import { withProgress } from '@mercato/controlplane/binaries/progress.ts';
import { currentPlatform } from '@mercato/controlplane/versions.ts';
import { requireCommands, runLogged } from './commands.ts';
import { type EmulatorName, RELEASES, recipe, recipeTexts } from './releases.ts';

/** How an emulator is found. Every field has a default that fits a developer's machine. */
export interface InstallOptions {
  /** @default process.env */
  readonly env?: Environment;
  /** Hears a line every few seconds while something is installed. @default stderr */
  readonly onProgress?: (line: string) => void;
}

/**
 * Folder of an emulator, installed there first if it is not: `<cache>/aws/<name>-<version>-<os>-<arch>-<digest of its recipe>`, so that nothing old is
 * ever run by mistake. Safe when several processes ask at once: one installs, the others wait for it. It takes ten seconds and a registry's packages
 * (MiniStack 40 MB, DynamoDB Local 51 MB, ElasticMQ 37 MB), once.
 *
 * @throws InstallError that says which client is missing, or how it failed
 */
export async function ensureEmulator(name: EmulatorName, options: InstallOptions = {}): Promise<string> {
  const env = options.env ?? process.env;
  const say = options.onProgress ?? sayOnStderr;
  const folder = emulatorFolder(name, env);
  if (existsSync(folder)) return folder;
  const parent = join(cacheRoot(env), 'aws');
  await mkdir(parent, { recursive: true });
  const waiting = (holder: number) => say(`waiting for process ${holder}, which installs ${name}`);
  return withLock(join(parent, '.lock'), waiting, async () => {
    if (existsSync(folder)) return folder;
    await removeLeftovers(parent);
    requireCommands(name, RELEASES[name].needs, env);
    await withProgress(
      say,
      () => `installing ${name} ${RELEASES[name].version}`,
      () => install(name, { parent, folder, env }),
    );
    return folder;
  });
}

/** Whether an emulator is there already. */
export function isInstalled(name: EmulatorName, env: Environment = process.env): boolean {
  return existsSync(emulatorFolder(name, env));
}

function emulatorFolder(name: EmulatorName, env: Environment): string {
  const release = RELEASES[name];
  const digest = createHash('sha256').update(recipeTexts(release).join('\0')).digest('hex').slice(0, 8);
  const { os, arch } = currentPlatform();
  return join(cacheRoot(env), 'aws', `${name}-${release.version}-${os}-${arch}-${digest}`);
}

interface Site {
  readonly parent: string;
  readonly folder: string;
  readonly env: Environment;
}

/** The folder appears under its name only when it is complete: what was cut short leaves nothing that looks usable. */
async function install(name: EmulatorName, { parent, folder, env }: Site): Promise<void> {
  const work = await mkdtemp(join(parent, `.build-${name}-`));
  const run = (command: string, args: readonly string[]) =>
    runLogged({ command, args, cwd: work, env, log: join(parent, 'logs', `${name}.log`), what: `installing ${name}` });
  try {
    await (name === 'ministack' ? withPip(run) : withMaven(name, work, run));
    await rename(work, folder);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

type Run = (command: string, args: readonly string[]) => Promise<void>;

/** An environment of its own: neither the machine's packages nor this project's see each other. */
async function withPip(run: Run): Promise<void> {
  await run('python3', ['-m', 'venv', 'venv']);
  const options = ['--no-input', '--disable-pip-version-check', '--progress-bar=off'];
  await run('venv/bin/python', ['-m', 'pip', 'install', ...options, '-r', path('ministack.txt')]);
}

const MAVEN_PLUGIN = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1';

async function withMaven(name: 'dynamodb-local' | 'elasticmq', work: string, run: Run): Promise<void> {
  const goal = `${MAVEN_PLUGIN}:copy-dependencies`;
  const pom = path(`${name}.pom.xml`);
  await run('mvn', ['-B', '-ntp', '-f', pom, goal, `-DoutputDirectory=${join(work, 'lib')}`, '-DincludeScope=runtime']);
  if (name === 'dynamodb-local') {
    await run('javac', ['-cp', join('lib', '*'), '-d', 'lib', path('LoopbackDynamoDb.java')]);
  }
}

function path(file: string): string {
  return fileURLToPath(recipe(file));
}

function sayOnStderr(line: string): void {
  process.stderr.write(`emulators: ${line}\n`);
}
