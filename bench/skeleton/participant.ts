import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { client, serve } from './http.ts';
import { Rows } from './rows.ts';

/**
 * A participant without its domain: for each command so many rows in one commit, and for those that go to the outside so many before a call to the company
 * and so many after it. ROWS is `{command: [rows] | [rows before, rows after]}`.
 */
const { COMPANY = '', DATA_DIR = '', ROWS = '{}' } = process.env;
const plan = JSON.parse(ROWS) as Readonly<Record<string, readonly [number, number?]>>;
const rows = new Rows(join(DATA_DIR, 'participant.sqlite'));
const call = COMPANY === '' ? undefined : client(COMPANY, 64);

async function carryOut({ command, key, body }: { command: string; key: string; body: unknown }): Promise<object> {
  // What a key is held to costs a hash of its body, in every participant.
  const fingerprint = createHash('sha256').update(command).update(JSON.stringify(body)).digest('hex');
  const [first = 1, second] = plan[command] ?? [];
  await rows.write(first);
  if (second !== undefined) {
    await call?.('/v1/operations', { reference: key, amount: 1000, currency: 'GBP', token: 'tok_visa' });
    await rows.write(second);
  }
  return { status: 200, body: { id: fingerprint.slice(0, 24), expiresAt: '2100-01-01T00:00:00Z' } };
}

await serve({
  '/saga/batch': async (body) => ({
    items: await Promise.all(
      (body as { items: { command: string; key: string; body: unknown }[] }).items.map(carryOut),
    ),
  }),
});
