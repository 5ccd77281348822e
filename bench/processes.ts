import { readFileSync } from 'node:fs';

/** USER_HZ of every Linux that Node runs on: what /proc counts processor time in. */
const TICKS_PER_SECOND = 100;

/** Processor time that a process and its threads have used, user and system, in seconds. @throws Error when it has ended */
export function cpuSeconds(pid: number): number {
  // The second field is the program's name in parentheses, and may have blanks.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** Resident memory of a process, in bytes. @throws Error when it has ended */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}

/** Bytes that a process has handed to `write` and its kin: files and sockets. @throws Error when it has ended */
export function writtenBytes(pid: number): number {
  return Number(/^wchar: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** What each of some processes has used since this was made. */
export class Meter {
  readonly #began: ReadonlyMap<string, { pid: number; seconds: number }>;

  constructor(pids: ReadonlyMap<string, number>) {
    this.#began = new Map([...pids].map(([name, pid]) => [name, { pid, seconds: cpuSeconds(pid) }]));
  }

  /** Microseconds of processor time for each of `count` things, by process. */
  perThing(count: number): Map<string, number> {
    return new Map(
      [...this.#began].map(([name, { pid, seconds }]) => [name, ((cpuSeconds(pid) - seconds) * 1e6) / count]),
    );
  }
}
