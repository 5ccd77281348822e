import { type Calls, connect, type Send } from '@mercato/operator/journals/dynamodb/calls.ts';
import { DynamoJournal } from '@mercato/operator/journals/dynamodb/journal.ts';
import type { Participants } from '@mercato/operator/participants/participants.ts';
import { Runner } from '@mercato/operator/runner/runner.ts';
import { systemClock } from '@mercato/operator/runtime/clock.ts';
import { INPUT, revision, success } from '@mercato/operator/saga/rehearsal.ts';
import { concurrently, sleep } from '../cluster.ts';
import type { Outcome, Task } from './messages.ts';

/**
 * A worker of the dynamodb journal in a process of its own: the runner, the engine and the journal, with participants that answer at once. `argv[2]` is the
 * table; where DynamoDB is says the environment. Asked and answered over the channel of `fork`; it ends with its parent.
 */
const REVISION = revision();
const BEAT_MILLIS = 3_000;
const CLAIM_MILLIS = 2_000;
const TELL_MILLIS = 100;
/** An emulator under load on a busy machine is slow, not away. */
const TIMEOUT_MILLIS = 30_000;

const { send, close } = connect({ timeout: TIMEOUT_MILLIS });
const made: { name: keyof Calls; input: unknown }[] = [];
let counted = { calls: 0, writes: 0 };
let recording = false;

const counting: Send = async (name, input) => {
  counted.calls += 1;
  if (name === 'UpdateItem' && JSON.stringify(input).includes('run#')) counted.writes += 1;
  if (recording) made.push({ name, input });
  return send(name, input);
};

const journal = new DynamoJournal({
  connection: { send: counting, close },
  table: process.argv[2] ?? '',
  retention: { ended: () => 86_400_000 },
});
const endings = new Map<string, () => void>();
const participants: Participants = { send: async (_run, { step }) => success(step) };
const runner = new Runner({
  journal,
  participants,
  clock: systemClock,
  observer: {
    ended: ({ orderId }) => endings.get(orderId)?.(),
    journalFailed: (_id, error) => process.stderr.write(`${String(error)}\n`),
  },
});

async function run(orderId: string): Promise<void> {
  const id = { namespace: 'shop', saga: 'checkout', orderId };
  const created = await journal.create({ id, input: INPUT, revision: REVISION.hash, createdAt: Date.now() });
  if (created.type !== 'Created') throw new Error(`${orderId} is ${created.type}`);
  await new Promise<void>((resolve) => {
    endings.set(orderId, resolve);
    void runner.adopt({
      context: { id, input: INPUT },
      revision: REVISION,
      version: created.version,
      from: { type: 'New' },
    });
  });
  endings.delete(orderId);
}

/** The calls of one run, as the journal makes them, with another order id. */
async function raw(orderId: string): Promise<void> {
  for (const { name, input } of made) {
    counted.calls += 1;
    if (name === 'UpdateItem') counted.writes += 1;
    await send(name, JSON.parse(JSON.stringify(input).replaceAll(SAMPLE, orderId)) as never);
  }
}

async function carryOut({ mode, prefix, runs, inFlight }: Task): Promise<Outcome> {
  counted = { calls: 0, writes: 0 };
  const before = process.cpuUsage();
  await concurrently(runs, inFlight, (n) => (mode === 'raw' ? raw : run)(`${prefix}-${String(n).padStart(6, '0')}`));
  const { user, system } = process.cpuUsage(before);
  return { ...counted, cpu: (user + system) / 1e6 };
}

async function every(millis: number, round: () => Promise<unknown>): Promise<never> {
  for (;;) {
    await round();
    await sleep(millis);
  }
}

const fail = (error: unknown): never => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
};

process.on('disconnect', () => process.exit(0));
process.on('message', (task: Task) => void carryOut(task).then((outcome) => process.send?.(outcome), fail));

const incarnation = await journal.open();
await journal.saveRevision('shop', 'checkout', REVISION);
/** As long as the order ids of a task: the raw calls carry the same bytes. */
const SAMPLE = `sample-${incarnation.slice(-6)}`;
recording = true;
await run(SAMPLE);
recording = false;
every(BEAT_MILLIS, () => journal.beat()).catch(fail);
every(CLAIM_MILLIS, () => journal.claim(100)).catch(fail);
every(TELL_MILLIS, async () => {
  const told = await journal.unannounced(1_000);
  await journal.announced(told.map(({ receipt }) => receipt));
}).catch(fail);
process.send?.('ready');
