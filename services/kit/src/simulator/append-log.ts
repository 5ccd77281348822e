import { close, fdatasync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';

const syncAsync = promisify(fdatasync);
const closeAsync = promisify(close);

/** A list that only grows. What the simulators of outside companies remember, and what the conservation check reads. */
export interface AppendLog<Entry> {
  /** Resolves once these entries, and all given before, are durable. No entries: waits for those given before. */
  append(entries: readonly Entry[]): Promise<void>;
  /** At most `limit` durable entries from position `cursor`, and the position after them. */
  read(cursor: number, limit: number): { readonly entries: readonly Entry[]; readonly next: number };
  close(): Promise<void>;
}

/** A log that lives as long as the process: for simulations, where the process never really dies. */
export function memoryLog<Entry>(): AppendLog<Entry> {
  const all: Entry[] = [];
  return {
    append: (entries) => {
      all.push(...entries);
      return Promise.resolve();
    },
    read: (cursor, limit) => page(all, all.length, cursor, limit),
    close: () => Promise.resolve(),
  };
}

/**
 * A log in a file of JSON lines, synced to disk before `append` resolves; entries that wait together share one sync. A last line
 * that a crash cut short was never acknowledged and is cut off. Throws if any other line is not JSON: that file was damaged.
 * After a failed write nothing more is accepted, since memory and disk may differ: end the process and open the file again.
 */
export function fileLog<Entry>(path: string): AppendLog<Entry> {
  const fd = openSync(path, 'a+');
  const all = load<Entry>(fd, path);
  let durable = all.length;
  let failure: unknown;
  let running: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  async function flush(): Promise<void> {
    waiting = undefined;
    const upTo = all.length;
    if (failure !== undefined) throw failure;
    if (upTo === durable) return;
    try {
      const lines = all.slice(durable, upTo).map((entry) => `${JSON.stringify(entry)}\n`);
      writeAll(fd, Buffer.from(lines.join('')));
      await syncAsync(fd);
      durable = upTo;
    } catch (error) {
      failure = error;
      throw error;
    }
  }

  return {
    append: (entries) => {
      all.push(...entries);
      if (waiting === undefined) {
        const next = running.then(flush, flush);
        waiting = next;
        running = next;
      }
      return waiting;
    },
    read: (cursor, limit) => page(all, durable, cursor, limit),
    close: async () => {
      await running.catch(() => undefined);
      // The number of a closed file may soon be another file's.
      failure ??= new Error(`${path}: the log is closed`);
      await closeAsync(fd);
    },
  };
}

/** Into the system's cache, which takes less time than handing it to another thread; the sync is what waits for the disk. */
function writeAll(fd: number, bytes: Buffer): void {
  for (let rest = bytes; rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
}

function page<Entry>(all: readonly Entry[], durable: number, cursor: number, limit: number) {
  const entries = all.slice(cursor, Math.min(durable, cursor + limit));
  return { entries, next: cursor + entries.length };
}

function load<Entry>(fd: number, path: string): Entry[] {
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) ftruncateSync(fd, Buffer.byteLength(whole));
  return whole
    .split('\n')
    .slice(0, -1)
    .map((line, i) => {
      try {
        return JSON.parse(line) as Entry;
      } catch (cause) {
        throw new Error(`${path}: line ${i + 1} is not JSON; the log was damaged, restore it from a copy`, { cause });
      }
    });
}
