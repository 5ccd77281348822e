import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Environment } from './lookup.ts';

/** Go is missing, too old, or could not build. The message says what to do instead. */
export class BuildError extends Error {
  override readonly name = 'BuildError';
}

/** Oldest Go that go.mod of Kubernetes 1.35 admits. An older one (from 1.21) fetches it by itself where it is allowed to. */
export const OLDEST_GO = { major: 1, minor: 25 } as const;

/** One call of Go that makes one program. */
export interface GoJob {
  /** The program's name, which is also its file's. */
  readonly name: string;
  /** What is built, as an error should call it: a package, with its version where the command names one. */
  readonly what: string;
  /** Where Go runs: in a module, or outside of every module. */
  readonly cwd: string;
  readonly env: Environment;
  /** What a person can do instead of installing Go, one way each. */
  readonly otherwise: readonly string[];
  /** Arguments, and what is added to the environment, such that the program is written to `work/<name>`. */
  command(work: string): { readonly args: readonly string[]; readonly env?: Environment };
}

const LOG_TAIL_LINES = 15;

/**
 * Makes a program with Go and puts it into `folder`. Go's own output goes to `<folder>/logs/build-<name>.log`. The file
 * appears under its name only when it is complete, so that a build that was cut short leaves nothing that looks usable.
 *
 * @throws BuildError
 */
export async function makeWithGo(job: GoJob, folder: string): Promise<void> {
  await requireGo(job);
  const logs = join(folder, 'logs');
  await mkdir(logs, { recursive: true });
  const log = join(logs, `build-${job.name}.log`);
  const work = await mkdtemp(join(folder, `.build-${job.name}-`));
  try {
    const { args, env } = job.command(work);
    const code = await go(args, { cwd: job.cwd, env: { ...job.env, ...env } }, log);
    if (code !== 0) {
      throw new BuildError(
        `go ${args[0]} of ${job.name} (${job.what}) failed with status ${code}; its last lines, from ${log}:\n${await tail(log)}`,
      );
    }
    await rename(join(work, job.name), join(folder, job.name));
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The flags that every program is built with; `linkerFlags` come beside the ones that drop debugging tables. */
export function compilerFlags(linkerFlags: string): readonly string[] {
  return ['-trimpath', '-ldflags', `-s -w ${linkerFlags}`.trim()];
}

interface Surroundings {
  readonly cwd: string;
  readonly env: Environment;
}

/** Pure Go and no version control stamp: the same flags everywhere, so that Go's build cache is shared between programs. */
function go(args: readonly string[], { cwd, env }: Surroundings, log: string): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', args, {
      cwd,
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

/** Asked where the build will run, because inside a module go itself changes to the toolchain that go.mod wants, where it may. */
async function requireGo(job: GoJob): Promise<void> {
  const said = await goVersion(job);
  if (said === undefined)
    throw new BuildError(`Go is needed to build ${job.name}, and there is no "go" on PATH.\n${howElse(job)}`);
  const [, major, minor] = /\bgo(\d+)\.(\d+)/.exec(said) ?? [];
  const newEnough =
    Number(major) > OLDEST_GO.major || (Number(major) === OLDEST_GO.major && Number(minor) >= OLDEST_GO.minor);
  if (!newEnough) {
    throw new BuildError(
      `Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer is needed to build ${job.name}; "go version" says: ${said.trim()}\n${howElse(job)}`,
    );
  }
}

function howElse(job: GoJob): string {
  return [
    'Do one of these, then try again:',
    `  - install Go ${OLDEST_GO.major}.${OLDEST_GO.minor} or newer (https://go.dev/dl)`,
    ...job.otherwise.map((line) => `  - ${line}`),
  ].join('\n');
}

function goVersion({ cwd, env }: Surroundings): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', ['version'], { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
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
