import { spawn } from 'node:child_process';

/** Sees to it that no process of a control plane outlives the one that started it, however that one ends. */
export interface Watchdog {
  readonly pid: number;
  /** The processes to kill and the folder to remove, from now on; replaces what was said before. */
  guard(pids: readonly number[]): void;
  /** Nothing is guarded any more. */
  dismiss(): void;
}

/**
 * Reads lists of pids, a line each. The end of input comes when the other end of the pipe is gone: by exit, by an uncaught
 * exception, by any signal, SIGKILL included. What the last line names is then killed, and the temporary folder removed.
 * A shell, because it costs 1 MB where a second Node would cost 40.
 */
const SCRIPT = `
while read -r line; do pids=$line; done
[ "$pids" = dismissed ] && exit
[ -n "$pids" ] && kill -KILL $pids
[ -n "$1" ] && rm -rf -- "$1"
`;

/** Starts a watchdog. @param folder removed when the parent dies; undefined when its content is to be kept */
export function startWatchdog(folder: string | undefined): Watchdog {
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'mercato-controlplane-watchdog', folder ?? ''], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  // A watchdog that somebody ended must not end its parent with EPIPE; there is then nothing to tell it.
  child.stdin.on('error', () => {});
  child.on('error', () => {});
  child.unref();
  return {
    pid: child.pid ?? 0,
    guard: (pids) => void child.stdin.write(`${pids.join(' ')}\n`),
    dismiss: () => void child.stdin.end('dismissed\n'),
  };
}
