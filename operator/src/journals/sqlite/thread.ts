import { parentPort, workerData } from 'node:worker_threads';
import { InProcess } from './in-process.ts';
import { type Call, LifeOver } from './operations.ts';
import { openFile } from './schema.ts';
import type { Reply } from './threaded.ts';

/** The journal's thread: carries out the groups that it is sent on the file of `workerData`, one after the other. See threaded.ts. */

const port = parentPort;
if (port === null) throw new Error('this is a thread of the operator, not a program');

const executor = new InProcess(() => openFile(workerData as string));

port.on('message', (message: 'close' | [life: number | undefined, group: readonly Call[]]) => {
  if (message === 'close') {
    void executor.close();
    port.close();
    return;
  }
  port.postMessage(reply(...message));
});

function reply(life: number | undefined, group: readonly Call[]): Reply {
  try {
    return { results: executor.carryOut(life, group) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return error instanceof LifeOver ? { over: message } : { failed: message };
  }
}
