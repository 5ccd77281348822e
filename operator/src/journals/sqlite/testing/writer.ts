import { begin } from '../../../saga/engine.ts';
import { CONTEXT, revision } from '../../../saga/rehearsal.ts';
import { sqliteJournal } from '../journal.ts';

/** A process that creates and writes runs as fast as it can, and prints each order id once it was told that it is durable. Ends by being killed. */
const REVISION = revision();
const journal = sqliteJournal(process.argv[2] ?? '', { retention: { ended: () => 60_000 } });
await journal.open();
let next = 0;
await Promise.all(
  Array.from({ length: 50 }, async () => {
    for (;;) {
      const id = { ...CONTEXT.id, orderId: `o-${next++}` };
      const run = { id, input: CONTEXT.input, revision: REVISION.hash, createdAt: 1 };
      const made = await journal.create(run);
      if (made.type !== 'Created') throw new Error(`${id.orderId} is ${made.type}`);
      await journal.write(id, begin(REVISION, 5), made.version);
      process.stdout.write(`${id.orderId}\n`);
    }
  }),
);
