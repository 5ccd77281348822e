import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { begin } from '../../saga/engine.ts';
import { CONTEXT, revision } from '../../saga/rehearsal.ts';
import { sqliteJournal } from './journal.ts';

const REVISION = revision();
const retention = { ended: () => 60_000 };

describe('The sqlite journal in its thread', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-journal-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it('keeps what it was given for the next process', async () => {
    const path = join(directory, 'journal.db');
    const run = { ...CONTEXT, revision: REVISION.hash, createdAt: 5, traceparent: '00-1-2-01' };
    const first = sqliteJournal(path, { retention });
    expect(await first.open()).to.equal('sqlite-1');
    expect(await first.create(run)).to.deep.equal({ type: 'Created', version: '1' });
    const state = begin(REVISION, 7);
    expect(await first.write(run.id, state, '1')).to.equal('2');
    await first.close();
    const second = sqliteJournal(path, { retention });
    expect(await second.open()).to.equal('sqlite-2');
    expect(await second.claim(10)).to.deep.equal([{ run, record: { state, version: '3' }, died: true }]);
    await second.close();
  });
});
