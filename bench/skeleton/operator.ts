import { Worker } from 'node:worker_threads';
import { batches } from './batches.ts';
import { client, serve } from './http.ts';

/**
 * The operator without its engine: takes orders in, writes a run's create, its pivot's intent and its end in the journal's thread, sends five commands in
 * batches, and announces the end.
 */
const { INVENTORY = '', PAYMENT = '', SHIPPING = '', ORDER = '', DATA_DIR = '' } = process.env;
/** About what a run's state weighs as text. */
const STATE = JSON.stringify({
  steps: Array.from({ length: 5 }, () => ({ state: 'Succeeded', epoch: 1, output: 'x'.repeat(80) })),
});

const worker = new Worker(new URL('./journal.ts', import.meta.url), { workerData: { directory: DATA_DIR } });
const written = new Map<number, () => void>();
let message = 0;
worker.on('message', (id: number) => {
  written.get(id)?.();
  written.delete(id);
});
/** Two groups at once: one is on its way to the disk while the next gathers. */
const write = batches<number, undefined>(500, 2, (writes) => {
  const id = message++;
  worker.postMessage({ id, writes: writes.map((rows) => ({ rows, state: STATE })) });
  return new Promise((resolve) => written.set(id, () => resolve(writes.map(() => undefined))));
});

interface Command {
  readonly command: string;
  readonly key: string;
  readonly epoch: number;
  readonly begun: string;
  readonly body: unknown;
}

const participant = (url: string) => {
  const post = client(url);
  return batches<Command, unknown>(
    32,
    8,
    async (items) => ((await post('/saga/batch', { items })) as { items: unknown[] }).items,
  );
};
const send = { inventory: participant(INVENTORY), payment: participant(PAYMENT), shipping: participant(SHIPPING) };
const post = client(ORDER, 2);
const announce = batches<object, undefined>(100, 1, async (events) => {
  await post('/events', events);
  await write(1);
  return events.map(() => undefined);
});

const STEPS = [
  ['inventory', 'reserve-stock'],
  ['payment', 'authorise-payment'],
  ['inventory', 'commit-stock'],
  ['shipping', 'book-shipment'],
  ['payment', 'capture-payment'],
] as const;

async function carry({ subject, data }: { subject: string; data: object }): Promise<void> {
  const begun = new Date().toISOString();
  for (const [to, command] of STEPS) {
    // The pivot's intent is durable before it is sent.
    if (command === 'capture-payment') await write(1);
    await send[to]({ command, key: `default/checkout/${subject}/${command}/action`, epoch: 1, begun, body: data });
  }
  // The end and its announcement, in one commit.
  await write(2);
  const source = '/mercato/operator';
  await announce({
    specversion: '1.0',
    id: `default/checkout/${subject}/1`,
    source,
    type: 'dev.mercato.saga.succeeded',
    subject,
    sequence: '1',
    data: {},
  });
}

await serve({
  '/events': async (events) => {
    const orders = events as { subject: string; data: object }[];
    await Promise.all(orders.map(() => write(1)));
    for (const order of orders) void carry(order);
    return {};
  },
});
