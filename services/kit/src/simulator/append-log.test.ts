import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type AppendLog, fileLog, memoryLog } from './append-log.ts';

interface Entry {
  readonly n: number;
}

const ALL = Number.POSITIVE_INFINITY;

describe('a log that only grows', () => {
  let directory: string;
  let path: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-log-'));
    path = join(directory, 'log.jsonl');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const kinds: [string, () => AppendLog<Entry>][] = [
    ['in memory', () => memoryLog<Entry>()],
    ['in a file', () => fileLog<Entry>(path)],
  ];
  for (const [kind, open] of kinds) {
    it(`is read in pages from a cursor (${kind})`, async () => {
      const log = open();
      await log.append([{ n: 1 }, { n: 2 }]);
      await log.append([{ n: 3 }]);
      expect(log.read(0, 2)).to.deep.equal({ entries: [{ n: 1 }, { n: 2 }], next: 2 });
      expect(log.read(2, 2)).to.deep.equal({ entries: [{ n: 3 }], next: 3 });
      expect(log.read(3, 2)).to.deep.equal({ entries: [], next: 3 });
      expect(log.read(9, 2)).to.deep.equal({ entries: [], next: 9 });
      await log.close();
    });
  }

  it('shows an entry only once it is on disk', async () => {
    const log = fileLog<Entry>(path);
    const written = log.append([{ n: 1 }]);
    expect(log.read(0, ALL).entries).to.deep.equal([]);
    await written;
    expect(log.read(0, ALL).entries).to.deep.equal([{ n: 1 }]);
    expect(readFileSync(path, 'utf8')).to.equal('{"n":1}\n');
    await log.close();
  });

  it('resolves with nothing to write only after what was given before', async () => {
    const log = fileLog<Entry>(path);
    void log.append([{ n: 1 }]);
    await log.append([]);
    expect(log.read(0, ALL).entries).to.deep.equal([{ n: 1 }]);
    await log.close();
  });

  it('keeps the order of many writers, and all of it over a restart', async () => {
    const log = fileLog<Entry>(path);
    await Promise.all(Array.from({ length: 500 }, (_, n) => log.append([{ n }])));
    await log.close();
    const again = fileLog<Entry>(path);
    await again.append([{ n: 500 }]);
    expect(again.read(0, ALL).entries.map(({ n }) => n)).to.deep.equal(Array.from({ length: 501 }, (_, n) => n));
    await again.close();
  });

  it('cuts off a last line that a crash cut short, and goes on after it', async () => {
    writeFileSync(path, '{"n":1}\n{"n":2}\n{"n":"£');
    const log = fileLog<Entry>(path);
    expect(log.read(0, ALL).entries).to.deep.equal([{ n: 1 }, { n: 2 }]);
    await log.append([{ n: 3 }]);
    await log.close();
    expect(readFileSync(path, 'utf8')).to.equal('{"n":1}\n{"n":2}\n{"n":3}\n');
  });

  it('refuses a file that is damaged in the middle, and says where', async () => {
    const log = fileLog<Entry>(path);
    await log.append([{ n: 1 }]);
    await log.close();
    appendFileSync(path, '{"n":\n{"n":3}\n');
    expect(() => fileLog(path)).to.throw(`${path}: line 2 is not JSON`);
  });

  it('accepts nothing more once it is closed', async () => {
    const log = fileLog<Entry>(path);
    await log.append([{ n: 1 }]);
    await log.close();
    for (const _ of ['once', 'and again']) {
      const failed = await log.append([{ n: 2 }]).catch((error: Error) => error.message);
      expect(failed).to.equal(`${path}: the log is closed`);
    }
    expect(readFileSync(path, 'utf8')).to.equal('{"n":1}\n');
  });
});
