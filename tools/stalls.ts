import type { ChildProcess } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

/** Milliseconds between two stalls, and those that one lasts: at least, and at most. */
const BETWEEN: readonly [number, number] = [6_000, 12_000];
const LASTING: readonly [number, number] = [1_000, 2_500];

/**
 * Has processes stand still, one at a time and for a second or two, again and again (SIGSTOP, SIGCONT), as on a machine that has too much else to do.
 * @returns how often, once the signal is aborted; by then all of them go on
 */
export async function stall(processes: readonly ChildProcess[], signal: AbortSignal): Promise<number> {
  for (let stalls = 0; ; stalls++) {
    await pause(between(BETWEEN), undefined, { signal }).catch(() => undefined);
    const running = processes.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
    const chosen = running[Math.floor(Math.random() * running.length)];
    if (signal.aborted || chosen === undefined) return stalls;
    chosen.kill('SIGSTOP');
    await pause(between(LASTING), undefined, { signal }).catch(() => undefined);
    chosen.kill('SIGCONT');
  }
}

function between([least, most]: readonly [number, number]): number {
  return least + Math.random() * (most - least);
}
