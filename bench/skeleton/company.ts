import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileLog } from '@mercato/kit/simulator/append-log.ts';
import { serve } from './http.ts';

/** A simulated company without its books: each call is a line in a log that is synced, many at a time, before the answer leaves. */
const { DATA_DIR = '.' } = process.env;
mkdirSync(DATA_DIR, { recursive: true });
const log = fileLog<object>(join(DATA_DIR, 'company.jsonl'));
await serve({
  '/v1/operations': async (operation) => {
    await log.append([{ at: new Date().toISOString(), operation, outcome: 'approved', id: 'x'.repeat(24) }]);
    return { status: 'approved', id: 'x'.repeat(24), expiresAt: '2100-01-01T00:00:00Z' };
  },
});
