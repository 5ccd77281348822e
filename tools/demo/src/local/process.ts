import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Component, ComponentError, waitUntilReady } from '@mercato/controlplane/component.ts';
import { request } from 'undici';

/** A program of the shop, as it is started here. */
export interface ProgramSpec {
  readonly name: string;
  /** The file that Node runs. */
  readonly script: string;
  readonly args?: readonly string[];
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly logPath: string;
  /** Answers 200 once it works. */
  readonly readyUrl: string;
}

/** Patience for a machine that does a dozen other things; an idle one needs one second. */
const READY_TIMEOUT_MS = 60_000;

/** Waits until a program works. @throws ComponentError with the last lines of its log when it ends before, or takes a minute */
export function untilReady(program: Component, spec: Pick<ProgramSpec, 'readyUrl'>): Promise<void> {
  return waitUntilReady(program, () => answers(spec.readyUrl), READY_TIMEOUT_MS);
}

/**
 * Starts a program with its output in its log, and does not wait for it to work. It has a session of its own, so that Ctrl-C
 * reaches only the program that decides what ends in which order.
 *
 * @throws ComponentError when it cannot be run at all
 */
export async function launch({ name, script, args = [], env, logPath }: ProgramSpec): Promise<Component> {
  await mkdir(dirname(logPath), { recursive: true });
  const log = openSync(logPath, 'a');
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', log, log],
    detached: true,
    env: { ...process.env, ...env },
  });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) => reject(new ComponentError(name, `cannot be run: ${error.message}`, logPath)));
  });
  child.unref();
  const ended = () => {
    if (child.signalCode !== null) return `was ended by ${child.signalCode}`;
    return child.exitCode === null ? undefined : `ended with status ${child.exitCode}`;
  };
  return { name, pid: child.pid!, logPath, ended, signal: (signal) => void child.kill(signal) };
}

async function answers(url: string): Promise<boolean> {
  try {
    const { statusCode, body } = await request(url, { headersTimeout: 1_000, bodyTimeout: 1_000 });
    await body.dump();
    return statusCode === 200;
  } catch {
    // Nobody listens yet.
    return false;
  }
}
