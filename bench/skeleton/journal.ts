import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { Rows } from './rows.ts';

/** The journal's thread: messages carry how many rows each write has, and are answered when all of them are durable. */
const rows = new Rows(join((workerData as { directory: string }).directory, 'journal.sqlite'));
parentPort?.on('message', async ({ id, writes }: { id: number; writes: { rows: number; state: string }[] }) => {
  await Promise.all(writes.map((write) => rows.write(write.rows)));
  parentPort?.postMessage(id);
});
