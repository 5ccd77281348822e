import { fileURLToPath } from 'node:url';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import * as activities from './activities.js';

/** A worker of the task queue `checkout`. Arguments: the server's address. Prints a line when it takes work. */
Runtime.install({ logger: new DefaultLogger('WARN') });
const connection = await NativeConnection.connect({ address: process.argv[2] });
const worker = await Worker.create({
  connection,
  namespace: 'default',
  taskQueue: 'checkout',
  workflowsPath: fileURLToPath(new URL('./workflow.js', import.meta.url)),
  activities,
  maxConcurrentWorkflowTaskExecutions: 200,
  maxConcurrentActivityTaskExecutions: 200,
  maxConcurrentWorkflowTaskPolls: 16,
  maxConcurrentActivityTaskPolls: 16,
  maxCachedWorkflows: 1_000,
});
process.stdout.write('{"ready":true}\n');
await worker.run();
await connection.close();
