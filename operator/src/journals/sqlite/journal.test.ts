import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { begin } from '../../saga/engine.ts';
import { CONTEXT, INPUT, revision } from '../../saga/rehearsal.ts';
import { rejection } from '../conformance/stage.ts';
import { JournalUnavailable, VersionConflict } from '../journal.ts';
import type { NewRun, Retention } from '../worker-journal.ts';
import { InProcess } from './in-process.ts';
import { SqliteJournal, sqliteJournal } from './journal.ts';
import type { Executor } from './operations.ts';
import { openFile } from './schema.ts';
import { Threaded } from './threaded.ts';

const REVISION = revision();
const retention: Retention = { ended: () => 60_000 };
const STATE = begin(REVISION, 5);

const runOf = (orderId: string | number, notes = ''): NewRun => ({
  id: { ...CONTEXT.id, orderId: `o-${orderId}` },
  input: notes === '' ? INPUT : { ...INPUT, shipTo: { notes } },
  revision: REVISION.hash,
  createdAt: 5,
});

describe('The sqlite journal', function () {
  this.timeout(60_000);
  let directory: string;
  let path: string;
  const opened: SqliteJournal[] = [];

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mercato-journal-'));
    path = join(directory, 'journal.db');
  });
  afterEach(async () => {
    for (const journal of opened.splice(0)) await journal.close();
    rmSync(directory, { recursive: true });
  });

  const opening = async (
    executor: Executor,
    more: { wall?: () => number; retention?: Retention } = {},
  ): Promise<SqliteJournal> => {
    const journal = new SqliteJournal({ executor, retention, ...more });
    opened.push(journal);
    await journal.open();
    return journal;
  };
  const inOperator = async (): Promise<SqliteJournal> => {
    const journal = sqliteJournal(path, { retention });
    opened.push(journal);
    await journal.open();
    return journal;
  };
  const active = async (journal: SqliteJournal): Promise<number> =>
    (await journal.counts()).get('shop/checkout')?.active ?? 0;

  it('sets what durability needs', () => {
    const database = openFile(path);
    expect(database.prepare('PRAGMA synchronous').get()).to.deep.include({ synchronous: 2 });
    expect(database.prepare('PRAGMA journal_mode').get()).to.deep.include({ journal_mode: 'wal' });
    expect(database.prepare('PRAGMA auto_vacuum').get()).to.deep.include({ auto_vacuum: 2 });
    database.close();
  });

  it('has on disk what it said is durable, whenever its process is killed', async () => {
    for (let life = 1; life <= 3; life++) {
      const file = join(directory, `killed-${life}.db`);
      const writer = spawn(process.execPath, [fileURLToPath(new URL('./testing/writer.ts', import.meta.url)), file]);
      let told = '';
      writer.stdout.on('data', (chunk: Buffer) => {
        told += chunk.toString();
        if (told.length > 2_000 * life) writer.kill('SIGKILL');
      });
      const [, signal] = await once(writer, 'close');
      expect(signal, 'it ran until it was killed').to.equal('SIGKILL');
      const journal = await opening(new InProcess(() => openFile(file)));
      const claimed = await journal.claim(1_000_000);
      const states = new Map(claimed.map(({ run, record }) => [run.id.orderId, 'state' in record && record.state]));
      const promised = told.split('\n').slice(0, -1);
      expect(promised.length).to.be.greaterThan(100);
      for (const orderId of promised) expect(states.get(orderId), orderId).to.deep.equal(STATE);
    }
  });

  it('keeps a second process away, and lets it in when the first has gone', async () => {
    const first = await inOperator();
    const second = sqliteJournal(path, { retention });
    expect(String(await rejection(second.open()))).to.match(/journal\.db is in use: stop the other operator/);
    await first.close();
    expect(await second.open()).to.equal('sqlite-2');
    await second.close();
  });

  it('refuses a file that is none of its own, or a newer operator’s', async () => {
    const other = new DatabaseSync(path);
    other.exec('CREATE TABLE thing (name TEXT)');
    other.close();
    expect(String(await rejection(inOperator()))).to.match(
      /not an operator's journal: give --journal-path another file/,
    );
    const newer = join(directory, 'newer.db');
    const database = openFile(newer);
    database.exec('PRAGMA user_version = 99');
    database.close();
    expect(() => openFile(newer)).to.throw('run the operator that wrote it');
  });

  it('carries all of a turn in one group, and what comes meanwhile in the next', async () => {
    const groups: number[] = [];
    const file = new InProcess(() => openFile(path));
    const journal = await opening({
      execute: (life, group) => {
        groups.push(group.length);
        return file.execute(life, group);
      },
      close: () => file.close(),
    });
    groups.length = 0;
    await Promise.all(
      Array.from({ length: 100 }, async (_, n) => {
        const made = await journal.create(runOf(n));
        if (made.type === 'Created') await journal.write(runOf(n).id, STATE, made.version);
      }),
    );
    expect(groups).to.deep.equal([100, 100]);
  });

  it('is not handed over while a claim is unanswered of what a dead worker left: whoever comes next has to doubt it, too', async () => {
    let isLost = false;
    const opens = (): InProcess =>
      new InProcess(() => openFile(path), {
        at: (point) => {
          if (isLost && point === 'answer') throw new Error('the answer is lost');
        },
      });
    const first = await opening(opens());
    await first.create(runOf(1));
    const second = await opening(opens());
    isLost = true;
    expect(await rejection(second.claim(10))).to.be.instanceOf(JournalUnavailable);
    isLost = false;
    expect(String(await rejection(second.handOver()))).to.match(/unanswered/);
    const [claimed] = await (await opening(opens())).claim(10);
    expect(claimed?.died).to.equal(true);
  });

  it('gives out a run whose create nobody heard of, however often it fails before that', async () => {
    let isLost = false;
    const losing = new InProcess(() => openFile(path), {
      at: (point) => {
        if (isLost && point === 'answer') throw new Error('the answer is lost');
      },
    });
    const journal = await opening(losing);
    isLost = true;
    expect(await rejection(journal.create(runOf(1)))).to.be.instanceOf(JournalUnavailable);
    isLost = false;
    expect(await active(journal)).to.equal(1);
    // It is known now that the run is there; then that is forgotten again.
    isLost = true;
    expect(await rejection(journal.beat())).to.be.instanceOf(JournalUnavailable);
    isLost = false;
    const [claimed] = await journal.claim(10);
    expect(claimed).to.deep.equal({ run: runOf(1), record: { state: undefined, version: '2' }, died: false });
    expect(await journal.claim(10)).to.deep.equal([]);
  });

  it('has on record with the end of a run what that gave up: nobody looks at the run again', async () => {
    const journal = await opening(new InProcess(() => openFile(path)));
    const made = await journal.create(runOf(1));
    if (made.type !== 'Created') throw new Error(made.type);
    const entry = {
      step: 'pay',
      kind: 'action',
      decision: 'Abort',
      state: 'Unknown',
      by: 'ann',
      reason: 'it was paid by hand',
    } as const;
    const end = { ...STATE, givenUp: [entry], ended: 'Aborted', finishedAt: 6 } as const;
    expect(await rejection(journal.write(runOf(1).id, end, '7'))).to.be.instanceOf(VersionConflict);
    expect(await journal.exceptions(runOf(1).id), 'of a write that was refused').to.deep.equal([]);
    await journal.write(runOf(1).id, end, made.version);
    expect(await journal.exceptions(runOf(1).id)).to.deep.equal([entry]);
    await journal.recordException(runOf(1).id, entry, 9);
    expect(await journal.exceptions(runOf(1).id), 'once').to.deep.equal([entry]);
  });

  describe('on a disk that is full', () => {
    let pages: number;
    const limited = (): InProcess =>
      new InProcess(() => {
        const database = openFile(path);
        database.exec(`PRAGMA max_page_count = ${pages}`);
        return database;
      });
    const full = 'x'.repeat(3_000);

    it('fails what shares a commit as a whole, says so, and works again when there is room', async () => {
      pages = 40;
      const journal = await opening(limited());
      const version = await journal.create(runOf('before'));
      if (version.type !== 'Created') throw new Error('it should be created');
      const small = journal.write(runOf('before').id, STATE, version.version);
      const large = Array.from({ length: 100 }, (_, n) => journal.create(runOf(n, full)));
      for (const result of await Promise.allSettled([small, ...large])) {
        expect(result.status).to.equal('rejected');
        const { reason } = result as PromiseRejectedResult;
        expect(reason).to.be.instanceOf(JournalUnavailable);
        expect(String(reason)).to.match(/the journal could not commit: .*full/);
      }
      expect(await active(journal), 'what is known in memory is what is on disk').to.equal(1);
      expect(await journal.read(runOf('before').id)).to.deep.equal({ state: undefined, version: '1' });
      expect(await journal.look(runOf(0).id)).to.equal(undefined);
      pages = 4_000;
      // The connection has the limit that it was opened with until something fails again.
      await rejection(journal.create(runOf(0, 'x'.repeat(200_000))));
      const again = await Promise.all(Array.from({ length: 100 }, (_, n) => journal.create(runOf(n, full))));
      expect(again.every(({ type }) => type === 'Created')).to.equal(true);
      expect(await journal.write(runOf('before').id, STATE, '1')).to.equal('2');
      expect(await active(journal)).to.equal(101);
    });

    it('gives room back by what it prunes', async () => {
      pages = 2_000;
      let now = 1_000_000;
      const journal = await opening(limited(), { wall: () => now });
      const done = { ...STATE, ended: 'Succeeded' as const, finishedAt: 5 };
      const fill = async (round: number): Promise<void> => {
        const runs = Array.from({ length: 400 }, (_, n) => runOf(`${round}-${n}`, full));
        await Promise.all(
          runs.map(async (run) => {
            const made = await journal.create(run);
            if (made.type === 'Created') await journal.write(run.id, done, made.version);
          }),
        );
      };
      for (let round = 0; round < 8; round++) {
        await fill(round);
        now += 60_000;
        while (await journal.prune());
      }
      expect(await active(journal)).to.equal(0);
      expect(await journal.create(runOf('0-0'))).to.deep.equal({ type: 'Ended', outcome: 'Succeeded' });
    });
  });

  it('grows no further once it forgets as fast as it is told', async () => {
    const minute = 60_000;
    const file = new InProcess(() => openFile(path));
    let now = 1_000_000;
    const remembering = { ended: () => minute, remembered: 2 * minute };
    const journal = await opening(file, { wall: () => now, retention: remembering });
    const done = { ...STATE, ended: 'Succeeded' as const, finishedAt: 5 };
    const pages: number[] = [];
    const looking = new DatabaseSync(path, { readOnly: true });
    for (let round = 0; round < 20; round++, now += minute) {
      const runs = Array.from({ length: 300 }, (_, n) => runOf(`${round}-${n}`, 'x'.repeat(500)));
      await Promise.all(
        runs.map(async (run) => {
          const made = await journal.create(run);
          if (made.type === 'Created') await journal.write(run.id, done, made.version);
        }),
      );
      await journal.announced((await journal.unannounced(1_000)).map(({ receipt }) => receipt));
      while (await journal.prune());
      pages.push(Number(looking.prepare('PRAGMA page_count').get()?.['page_count']));
      if (round > 0)
        expect((await journal.create(runOf(`${round - 1}-0`))).type, 'known for two minutes').to.equal('Ended');
      if (round > 2) expect(await journal.look(runOf(`${round - 3}-0`).id), 'forgotten').to.equal(undefined);
    }
    expect((await journal.create(runOf('0-0'))).type).to.equal('Created');
    expect(looking.prepare('SELECT count(*) AS kept FROM ended').get()?.['kept']).to.be.at.most(3 * 300);
    looking.close();
    expect(pages.at(-1)).to.be.at.most(1.05 * (pages[5] as number));
  });

  it('gives a file back to the disk that is mostly empty', async () => {
    let now = 1_000_000;
    const journal = await opening(new InProcess(() => openFile(path)), { wall: () => now });
    const large = 'x'.repeat(25_000);
    await Promise.all(
      Array.from({ length: 1_200 }, async (_, n) => {
        const made = await journal.create(runOf(n, large));
        const ended = { ...STATE, ended: 'Succeeded' as const };
        if (made.type === 'Created') await journal.write(runOf(n).id, ended, made.version);
      }),
    );
    now += 60_000;
    while (await journal.prune());
    await journal.close();
    opened.length = 0;
    expect(statSync(path).size).to.be.lessThan(20e6);
  });

  describe('that dies around a commit', () => {
    for (const point of ['commit', 'answer'] as const) {
      it(`at "${point}": ${point === 'commit' ? 'nothing' : 'all'} of the group is there, nobody was told`, async () => {
        const database = openFile(':memory:');
        let isDying = false;
        const at = (reached: string): void => {
          if (isDying && reached === point) throw new Error('it dies here');
        };
        const dying = await opening(new InProcess(() => database, { borrowed: true, at }));
        isDying = true;
        const results = await Promise.allSettled(['a', 'b'].map((orderId) => dying.create(runOf(orderId))));
        for (const { status } of results) expect(status).to.equal('rejected');
        const next = await opening(new InProcess(() => database, { borrowed: true }));
        const claimed = await next.claim(10);
        expect(claimed.map(({ run }) => run.id.orderId)).to.deep.equal(point === 'commit' ? [] : ['o-a', 'o-b']);
        expect(claimed.every(({ died }) => died)).to.equal(true);
      });
    }
  });

  it('goes on in another thread when its own has died', async () => {
    const script = new URL('./testing/dying-thread.ts', import.meta.url);
    const journal = await opening(new Threaded(path, script));
    await journal.create(runOf(1));
    await journal.create(runOf(2));
    const lost = await rejection(journal.create(runOf(3)));
    expect(lost).to.be.instanceOf(JournalUnavailable);
    expect(String(lost)).to.match(/thread is gone/);
    expect(await active(journal), 'it had committed').to.equal(3);
    expect(await journal.create(runOf(3))).to.deep.equal({ type: 'Open' });
    expect((await journal.claim(10)).map(({ run, died }) => [run, died])).to.deep.equal([[runOf(3), false]]);
  });

  it('does nothing before it is open', async () => {
    const journal = sqliteJournal(path, { retention });
    expect(String(await rejection(journal.create(runOf(1))))).to.match(/open\(\) comes before everything else/);
    await journal.close();
  });
});
