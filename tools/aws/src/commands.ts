import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { type Environment, isExecutableFile } from '@mercato/controlplane/binaries/lookup.ts';

/** An emulator could not be installed. The message says what to do, or ends with what the client that failed said last. */
export class InstallError extends Error {
  override readonly name = 'InstallError';
}

/** How a person comes by each client. */
const PACKAGES: Readonly<Record<string, string>> = {
  python3: 'Python 3.10 or newer with its venv module (Debian: python3-venv)',
  mvn: 'Maven 3.6.3 or newer (Debian: maven)',
  java: 'Java 17 or newer (Debian: openjdk-17-jre-headless)',
  javac: 'a Java development kit, 17 or newer (Debian: openjdk-17-jdk-headless)',
};

/** @throws InstallError that names all that is missing on PATH */
export function requireCommands(name: string, commands: readonly string[], env: Environment): void {
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const missing = commands.filter((command) => !folders.some((folder) => isExecutableFile(join(folder, command))));
  if (missing.length === 0) return;
  const told = missing.map((command) => `  - ${command}: install ${PACKAGES[command] ?? command}`);
  throw new InstallError([`installing ${name} takes ${missing.join(', ')}, not found on PATH:`, ...told].join('\n'));
}

/** One call of a client. */
export interface LoggedRun {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Environment;
  /** Gets what the client says, after what it said before. */
  readonly log: string;
  /** What the call is for, as an error should call it. */
  readonly what: string;
}

const LOG_TAIL_LINES = 15;

/** Runs a client to its end. @throws InstallError with the last lines that it said */
export async function runLogged({ command, args, cwd, env, log, what }: LoggedRun): Promise<void> {
  await mkdir(dirname(log), { recursive: true });
  const status = await new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    const file = createWriteStream(log, { flags: 'a' });
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    child.once('error', (error) => file.end(() => reject(error)));
    child.once('close', (code, signal) => file.end(() => resolve(code ?? signal)));
  });
  if (status === 0) return;
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  throw new InstallError(
    `${what}: ${command} ${args.slice(0, 3).join(' ')} ... ended with ${status}; its last lines, from ${log}:\n${lines}`,
  );
}
