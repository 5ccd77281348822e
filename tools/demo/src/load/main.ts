import { lookup } from 'node:dns/promises';
import type { LookupFunction } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';

const USAGE = `usage: node tools/demo/src/load/main.ts --url URL [--rate N] [--seconds N] [--connections N]

Sends requests at a steady rate, whatever the answers take, and counts. Its last line is the count, as JSON; the status is 0 when none failed.

  --rate N         requests a second (default: 50)
  --seconds N      for how long (default: 30)
  --connections N  at most (default: 32); new ones are opened every two seconds, so that new pods get their share
`;

/** What came of the requests. */
export interface Load {
  readonly sent: number;
  readonly failed: number;
  /** By status or error code. */
  readonly failures: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const FRESH_MS = 2_000;
const TIMEOUT_MS = 10_000;

/** How long the name is asked for that the requests go to, and how often. */
const NAMED_MS = 60_000;
const ASK_MS = 500;

/**
 * Answers for a name what it is at the start. A Service keeps its address, and how soon a busy cluster answers for names is not what is asked here: each
 * new connection would ask again, and four at a time can.
 */
async function fixed(hostname: string): Promise<LookupFunction> {
  const deadline = performance.now() + NAMED_MS;
  for (;;) {
    try {
      const [first, ...more] = await lookup(hostname, { all: true });
      if (first === undefined) throw new Error(`${hostname} has no address`);
      return (_name, { all }, callback) =>
        all === true ? callback(null, [first, ...more]) : callback(null, first.address, first.family);
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await pause(ASK_MS);
    }
  }
}

/** Sends `rate` requests a second for `seconds`. Nothing is tried twice: a failure is what the caller of a service would see. */
async function load(url: URL, rate: number, seconds: number, connections: number): Promise<Load> {
  const failures: Record<string, number> = {};
  const times: number[] = [];
  const pending = new Set<Promise<void>>();
  const connect = { lookup: await fixed(url.hostname) };
  const options = { connections, connect, headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS };
  let pool = new Pool(url.origin, options);
  const closing: Promise<void>[] = [];
  let opened = performance.now();
  const began = opened;
  const total = rate * seconds;
  const one = async (over: Pool): Promise<void> => {
    const sentAt = performance.now();
    const how = await over
      .request({ method: 'GET', path: `${url.pathname}${url.search}` })
      .then(async ({ statusCode, body }) => {
        await body.dump();
        return statusCode === 200 ? undefined : String(statusCode);
      })
      .catch((error: NodeJS.ErrnoException) => error.code ?? error.message);
    if (how !== undefined) failures[how] = (failures[how] ?? 0) + 1;
    times.push(performance.now() - sentAt);
  };
  for (let sent = 0; sent < total; sent += 1) {
    const wait = began + (sent * 1000) / rate - performance.now();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    if (performance.now() - opened > FRESH_MS) {
      closing.push(pool.close());
      pool = new Pool(url.origin, options);
      opened = performance.now();
    }
    const request = one(pool).finally(() => pending.delete(request));
    pending.add(request);
  }
  await Promise.all(pending);
  await Promise.all([...closing, pool.close()]);
  times.sort((a, b) => a - b);
  const at = (share: number) => Math.round(times[Math.floor(times.length * share)] ?? Number.NaN);
  const failed = Object.values(failures).reduce((sum, count) => sum + count, 0);
  return { sent: total, failed, failures, p50Ms: at(0.5), p99Ms: at(0.99) };
}

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '30' },
    connections: { type: 'string', default: '32' },
  },
});
if (values.url === undefined || !URL.canParse(values.url)) {
  process.stderr.write(USAGE);
  process.exit(2);
}
const result = await load(new URL(values.url), Number(values.rate), Number(values.seconds), Number(values.connections));
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exitCode = result.failed === 0 ? 0 : 1;
