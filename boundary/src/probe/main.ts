import { writeFileSync } from 'node:fs';
import { tryAll } from './attempt.ts';
import { formatReport, type ProbeTask, TASK_VARIABLE } from './way.ts';

/**
 * `node boundary/src/probe/main.ts`: tries the ways of the task in its environment and leaves the report as its termination message, so that it needs no
 * rights in the cluster. Loads as little as it can, since the first attempt should come with the pod's first packets.
 */

/** Where the kubelet reads the message: the default of a container's terminationMessagePath. */
const MESSAGE_FILE = process.env['MERCATO_TERMINATION_LOG'] ?? '/dev/termination-log';

const text = process.env[TASK_VARIABLE];
if (text === undefined) {
  process.stderr.write(`${TASK_VARIABLE} is not set: the boundary's controller sets it on the probes that it starts\n`);
  process.exit(2);
}
const report = formatReport(await tryAll(JSON.parse(text) as ProbeTask));
writeFileSync(MESSAGE_FILE, report);
process.stdout.write(`${report}\n`);
process.exit(0);
