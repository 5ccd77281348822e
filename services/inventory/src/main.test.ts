import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';

type Line = { msg: string; url?: string; level: string };

describe('the inventory process', function () {
  this.timeout(120_000);
  let directory: string;
  let child: ChildProcess | undefined;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-inventory-'));
  });
  afterEach(async () => {
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(directory, { recursive: true });
  });

  function run(env: Record<string, string>) {
    const main = fileURLToPath(new URL('./main.ts', import.meta.url));
    child = spawn(process.execPath, [main], {
      env: { PATH: process.env['PATH'], PORT: '0', DATA_DIR: directory, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: Line[] = [];
    const said = (text: string) =>
      new Promise<Line>((resolve, reject) => {
        const found = lines.find(({ msg }) => msg.includes(text));
        if (found) return resolve(found);
        reader.on('line', (line) => {
          const parsed = JSON.parse(line) as Line;
          if (parsed.msg.includes(text)) resolve(parsed);
        });
        reader.once('close', () => reject(new Error(`it ended without saying "${text}"`)));
      });
    const reader = createInterface({ input: child.stdout! }).on('line', (line) => lines.push(JSON.parse(line) as Line));
    return { child, said };
  }

  it('does not start when nobody said who may call, and says which setting is missing', async () => {
    const { child, said } = run({});
    const [[code], line] = await Promise.all([once(child, 'exit'), said('MERCATO_ALLOWED_SUBJECTS')]);
    expect(code).to.equal(2);
    expect(line.level).to.equal('fatal');
  });

  it('does not start with a strategy that there is not', async () => {
    const { child, said } = run({ MERCATO_INSECURE_NO_AUTH: 'true', MERCATO_SOURCING: 'random' });
    const [[code]] = await Promise.all([once(child, 'exit'), said('MERCATO_SOURCING')]);
    expect(code).to.equal(2);
  });

  it('warns loudly when everybody may call, and ends with 0 on SIGTERM', async () => {
    const { child, said } = run({ MERCATO_INSECURE_NO_AUTH: 'true' });
    const [{ level }, { url }] = await Promise.all([said('EVERYBODY'), said('listening')]);
    expect(level).to.equal('warn');
    expect((await fetch(`${url}/ready`)).status).to.equal(200);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    expect(code).to.equal(0);
  });

  it('keeps what it answered when it is killed', async () => {
    const begin = async () => {
      const { child, said } = run({ MERCATO_INSECURE_NO_AUTH: 'true' });
      const { url } = await said('listening');
      return { child, url };
    };
    const first = await begin();
    const json = { 'content-type': 'application/json' };
    await fetch(`${first.url}/warehouses/london`, {
      method: 'PUT',
      headers: json,
      body: '{"location":{"country":"GB"}}',
    });
    const receipt = { receiptId: 'r', warehouse: 'london', restock: 'r', lines: [{ sku: 'mug', quantity: 3 }] };
    expect(
      (await fetch(`${first.url}/receipts`, { method: 'POST', headers: json, body: JSON.stringify(receipt) })).status,
    ).to.equal(200);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    const second = await begin();
    const stock = (await (await fetch(`${second.url}/warehouses/london/stock`)).json()) as {
      totals: { onHand: number };
    };
    expect(stock.totals.onHand).to.equal(3);
  });
});
