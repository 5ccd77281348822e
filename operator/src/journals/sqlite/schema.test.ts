import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { FileLock } from './lock.ts';
import { openFile } from './schema.ts';

describe("The sqlite journal's file", () => {
  let folder: string;
  let path: string;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mercato-journal-'));
    path = join(folder, 'in', 'journal.db');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is for its owner only, its log included', () => {
    const database = openFile(path);
    try {
      database.exec("INSERT INTO exception VALUES ('a', 'b', 1)");
      const modes = readdirSync(join(folder, 'in')).map((name) => [
        name,
        (statSync(join(folder, 'in', name)).mode & 0o777).toString(8),
      ]);
      expect(Object.fromEntries(modes)).to.deep.equal({
        'journal.db': '600',
        'journal.db-shm': '600',
        'journal.db-wal': '600',
      });
    } finally {
      database.close();
    }
    openFile(path).close();
  });

  it('says who has its lock, and says otherwise what is wrong with the volume', () => {
    const [first, second] = [new FileLock(path), new FileLock(path)];
    first.take();
    try {
      expect(() => second.take()).to.throw(`${path} is in use: stop the other operator`);
    } finally {
      first.release();
    }
    second.take();
    second.release();
    const nowhere = join(folder, 'other.db');
    mkdirSync(`${nowhere}.lock`);
    expect(() => new FileLock(nowhere).take()).to.throw(/other\.db\.lock cannot be locked \(.+\): look at the volume/);
  });
});
