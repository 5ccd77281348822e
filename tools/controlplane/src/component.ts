import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from './binaries/lock.ts';
import type { Environment } from './binaries/lookup.ts';

const POLL_MS = 20;
const LOG_TAIL_LINES = 20;

/** A component ended or did not become ready. The message has the last lines of its log, and where the rest is. */
export class ComponentError extends Error {
  override readonly name = 'ComponentError';
  readonly component: string;
  readonly logPath: string;
  /** The last lines of the component's log. */
  readonly logTail: string;

  constructor(component: string, what: string, logPath: string) {
    const logTail = tailOf(logPath);
    super(`${component} ${what}; the last lines of its log, ${logPath}:\n${logTail}`);
    this.component = component;
    this.logPath = logPath;
    this.logTail = logTail;
  }
}

/** A process of the control plane that runs, or has ended. */
export interface Component {
  readonly name: string;
  readonly pid: number;
  readonly logPath: string;
  /** Undefined while it runs, then how it ended in words. */
  ended(): string | undefined;
  /** Sends the signal if it still runs. */
  signal(signal: NodeJS.Signals): void;
}

/**
 * Starts a program with its output in `logPath` (appended to, so that a restart does not hide why it was needed). It gets
 * a session of its own: Ctrl-C in a terminal reaches only the program that owns it, which decides what ends in which order.
 * It does not keep this process's event loop alive.
 *
 * @param env its whole environment
 */
export async function startComponent(
  name: string,
  binary: string,
  args: readonly string[],
  logPath: string,
  env: Environment = process.env,
): Promise<Component> {
  await mkdir(dirname(logPath), { recursive: true });
  const log = openSync(logPath, 'a');
  const child = spawn(binary, args, { stdio: ['ignore', log, log], detached: true, env: { ...env } });
  closeSync(log);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new ComponentError(name, `(${binary}) cannot be run: ${error.message}`, logPath)),
    );
  });
  child.unref();
  return ownComponent(name, child, logPath);
}

function ownComponent(name: string, child: ChildProcess, logPath: string): Component {
  const ended = () => {
    if (child.signalCode !== null) return `was ended by ${child.signalCode}`;
    return child.exitCode === null ? undefined : `ended with status ${child.exitCode}`;
  };
  return { name, pid: child.pid!, logPath, ended, signal: (signal) => void child.kill(signal) };
}

/**
 * A component that another process has started, or undefined when it no longer runs. A pid that was noted before a
 * reboot may be somebody else's by now, so its command line must hold `mark` (the folder of the control plane).
 */
export function adoptComponent(name: string, pid: number, logPath: string, mark: string): Component | undefined {
  const isOurs = () => isAlive(pid) && commandLine(pid).includes(mark);
  if (!isOurs()) return undefined;
  return {
    name,
    pid,
    logPath,
    // A process that ended and waits for its parent to notice has a pid still, but no command line.
    ended: () => (isOurs() ? undefined : 'ended'),
    signal: (signal) => {
      if (isOurs()) process.kill(pid, signal);
    },
  };
}

function commandLine(pid: number): string {
  try {
    return execFileSync('ps', ['-o', 'command=', '-ww', '-p', String(pid)], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  } catch {
    return '';
  }
}

/** Polls until `ready` answers true. @throws ComponentError when the component ends first, or the time is up */
export async function waitUntilReady(
  component: Component,
  ready: () => Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const ended = component.ended();
    if (ended !== undefined)
      throw new ComponentError(component.name, `${ended} before it was ready`, component.logPath);
    if (await ready()) return;
    if (performance.now() > deadline)
      throw new ComponentError(component.name, `was not ready in ${timeoutMs / 1000} s`, component.logPath);
    await delay(POLL_MS);
  }
}

/** Ends a component and waits until it is gone: SIGTERM, then SIGKILL when the grace is over. No grace is SIGKILL at once. */
export async function endComponent(component: Component, graceMs: number): Promise<void> {
  if (graceMs > 0) {
    component.signal('SIGTERM');
    if (await isGone(component, graceMs)) return;
  }
  component.signal('SIGKILL');
  if (!(await isGone(component, KILL_TIMEOUT_MS))) {
    throw new ComponentError(
      component.name,
      `(pid ${component.pid}) is still there ${KILL_TIMEOUT_MS / 1000} s after SIGKILL`,
      component.logPath,
    );
  }
}

/** Only a disk that hangs makes a killed process stay for longer. */
const KILL_TIMEOUT_MS = 30_000;

async function isGone(component: Component, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (component.ended() === undefined) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

function tailOf(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n');
  } catch {
    return '(no log)';
  }
}
