import { parentPort } from 'node:worker_threads';
import '../thread.ts';

/** The journal's thread, which answers three groups, and dies when it has committed the fourth. */
const ANSWERED = 3;

const port = parentPort;
if (port === null) throw new Error('this is a thread of a test, not a program');
const answer = port.postMessage.bind(port);
let groups = 0;
port.postMessage = (reply: unknown): void => {
  groups += 1;
  if (groups > ANSWERED) process.exit(1);
  answer(reply);
};
