import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Migrations } from './migrations.ts';
import { Crash, type CrashPointName, type Gathered, type Shared, StoreError, type Tx } from './port.ts';
import { openDatabase, SqliteStore } from './sqlite.ts';

const schema: Migrations = { component: 'things', steps: ['CREATE TABLE thing (name TEXT PRIMARY KEY) STRICT'] };
const names = (store: SqliteStore) =>
  store.read((reader) => reader.all<{ name: string }>('SELECT name FROM thing ORDER BY name').map(({ name }) => name));
const add = (store: SqliteStore, name: string) => store.transact((tx) => tx.run('INSERT INTO thing VALUES (?)', name));

describe('the SQLite store', () => {
  it('sets what durability needs', () => {
    const directory = mkdtempSync(join(tmpdir(), 'mercato-store-'));
    const database = openDatabase(join(directory, 'a.db'));
    expect(database.prepare('PRAGMA synchronous').get()).to.deep.include({ synchronous: 2 });
    expect(database.prepare('PRAGMA journal_mode').get()).to.deep.include({ journal_mode: 'wal' });
    database.close();
    rmSync(directory, { recursive: true });
  });

  it('makes a file for its owner only, its log included', () => {
    const directory = mkdtempSync(join(tmpdir(), 'mercato-store-'));
    const database = openDatabase(join(directory, 'a.db'));
    database.exec('CREATE TABLE thing (name TEXT) STRICT');
    const modes = readdirSync(directory).map((name) => [name, statSync(join(directory, name)).mode & 0o777]);
    expect(Object.fromEntries(modes)).to.deep.equal({ 'a.db': 0o600, 'a.db-shm': 0o600, 'a.db-wal': 0o600 });
    database.close();
    openDatabase(join(directory, 'a.db')).close();
    rmSync(directory, { recursive: true });
  });

  it('carries operations of one turn in one commit', async () => {
    const groups: number[] = [];
    const store = new SqliteStore(openDatabase(':memory:'), {
      migrations: [schema],
      onCommit: (operations) => groups.push(operations),
    });
    await Promise.all(['a', 'b', 'c'].map((name) => add(store, name)));
    expect(groups).to.deep.equal([3]);
    expect(await names(store)).to.deep.equal(['a', 'b', 'c']);
  });

  it('takes back a failing operation and no other of its commit', async () => {
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [schema] });
    const failing = store.transact((tx) => {
      tx.run("INSERT INTO thing VALUES ('half')");
      throw new Error('no');
    });
    const results = await Promise.allSettled([add(store, 'a'), failing, add(store, 'b')]);
    expect(results.map(({ status }) => status)).to.deep.equal(['fulfilled', 'rejected', 'fulfilled']);
    expect(await names(store)).to.deep.equal(['a', 'b']);
  });

  it('lets an operation take back what it wrote and go on', async () => {
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [schema] });
    await Promise.all([
      add(store, 'before'),
      store.transact((tx) => {
        tx.run("INSERT INTO thing VALUES ('wrong')");
        tx.undo();
        tx.run("INSERT INTO thing VALUES ('right')");
      }),
    ]);
    expect(await names(store)).to.deep.equal(['before', 'right']);
  });

  it('fails every operation of a commit that fails, and works on after it', async () => {
    const database = openDatabase(':memory:');
    const store = new SqliteStore(database, {
      migrations: [
        schema,
        {
          component: 'owner',
          steps: ['CREATE TABLE owned (of TEXT REFERENCES thing DEFERRABLE INITIALLY DEFERRED) STRICT'],
        },
      ],
    });
    // A deferred constraint is checked by the commit itself.
    const orphan = store.transact((tx) => tx.run("INSERT INTO owned VALUES ('nobody')"));
    const results = await Promise.allSettled([add(store, 'a'), orphan]);
    for (const result of results) {
      expect(result.status).to.equal('rejected');
      expect((result as PromiseRejectedResult).reason).to.be.instanceOf(StoreError);
    }
    expect(await names(store)).to.deep.equal([]);
    await add(store, 'b');
    expect(await names(store)).to.deep.equal(['b']);
  });

  for (const [point, kept] of [
    ['commit', []],
    ['answer', ['a', 'b']],
  ] as [CrashPointName, string[]][]) {
    it(`that dies at "${point}" answers nobody and is restarted with ${kept.length} rows`, async () => {
      const database = openDatabase(':memory:');
      const dying = new SqliteStore(database, {
        migrations: [schema],
        crashPoint: (at) => {
          if (at === point) throw new Crash();
        },
      });
      const results = await Promise.allSettled([add(dying, 'a'), add(dying, 'b')]);
      for (const result of results) expect((result as PromiseRejectedResult).reason).to.be.instanceOf(Crash);
      expect(await add(dying, 'zombie').catch((error: unknown) => error)).to.be.instanceOf(Crash);
      const store = new SqliteStore(database, { migrations: [schema] });
      expect(await names(store)).to.deep.equal(kept);
    });
  }

  it('refuses a file that a newer release wrote', () => {
    const database = openDatabase(':memory:');
    new SqliteStore(database, {
      migrations: [{ component: 'things', steps: [...schema.steps, 'CREATE TABLE more (a TEXT) STRICT'] }],
    });
    expect(() => new SqliteStore(database, { migrations: [schema] })).to.throw('newer than this program');
  });

  it('takes a file from an older release on', async () => {
    const database = openDatabase(':memory:');
    await add(new SqliteStore(database, { migrations: [schema] }), 'old');
    const newer = {
      component: 'things',
      steps: [...schema.steps, "ALTER TABLE thing ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"],
    };
    const store = new SqliteStore(database, { migrations: [newer] });
    expect(await store.read((reader) => reader.all('SELECT * FROM thing'))).to.deep.equal([
      Object.assign(Object.create(null), { name: 'old', colour: 'red' }),
    ]);
    expect(database.prepare('PRAGMA user_version').get()).to.deep.include({ user_version: 2 });
  });

  it('finishes what was handed in before it closes, and takes nothing after', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'mercato-store-'));
    const path = join(directory, 'a.db');
    const store = new SqliteStore(openDatabase(path), { migrations: [schema] });
    const last = add(store, 'last');
    await store.close();
    await last;
    expect(await add(store, 'late').catch((error: unknown) => error)).to.be.instanceOf(StoreError);
    const again = new SqliteStore(openDatabase(path), { migrations: [schema] });
    expect(await names(again)).to.deep.equal(['last']);
    await again.close();
    rmSync(directory, { recursive: true });
  });

  describe('lets the operations of a commit share', () => {
    /** Names that are written at the end. */
    class Gathering implements Shared {
      readonly kept: string[] = [];
      fresh: string[] = [];

      keep(): void {
        this.kept.push(...this.fresh);
        this.fresh = [];
      }

      undo(): void {
        this.fresh = [];
      }

      flush(tx: Tx): Gathered {
        tx.run('INSERT INTO thing VALUES (?)', this.kept.join('+'));
        return { of: 'names', changes: this.kept.length, rows: 1 };
      }
    }
    const gathering = () => new Gathering();
    const gather = (store: SqliteStore, name: string) =>
      store.transact((tx) => {
        const { kept, fresh } = tx.shared(gathering);
        fresh.push(name);
        return [...kept];
      });

    it('what each of them finds as those before left it, and is written once, at the end', async () => {
      const told: Gathered[] = [];
      const store = new SqliteStore(openDatabase(':memory:'), {
        migrations: [schema],
        onGathered: (of) => told.push(of),
      });
      const seen = await Promise.all(['a', 'b', 'c'].map((name) => gather(store, name)));
      expect(seen).to.deep.equal([[], ['a'], ['a', 'b']]);
      expect(await names(store)).to.deep.equal(['a+b+c']);
      await gather(store, 'd');
      expect(await names(store)).to.deep.equal(['a+b+c', 'd']);
      expect(told.map(({ changes, rows }) => [changes, rows])).to.deep.equal([
        [3, 1],
        [1, 1],
      ]);
    });

    it('without what a failing operation, or one that took it back, had put in', async () => {
      const store = new SqliteStore(openDatabase(':memory:'), { migrations: [schema] });
      const first = gather(store, 'a');
      const failing = store.transact((tx) => {
        tx.shared(gathering).fresh.push('failed');
        throw new Error('no');
      });
      const changing = store.transact((tx) => {
        tx.shared(gathering).fresh.push('wrong');
        tx.undo();
        tx.shared(gathering).fresh.push('right');
      });
      await Promise.allSettled([first, failing, changing, gather(store, 'b')]);
      expect(await names(store)).to.deep.equal(['a+right+b']);
    });

    it('nothing beyond it: when it fails, the next begins anew', async () => {
      const store = new SqliteStore(openDatabase(':memory:'), { migrations: [schema] });
      await add(store, 'a');
      const clash = await Promise.allSettled([gather(store, 'a'), add(store, 'b')]);
      for (const each of clash) expect(each).to.have.property('reason').that.is.instanceOf(StoreError);
      expect(await names(store)).to.deep.equal(['a']);
      expect(await gather(store, 'c')).to.deep.equal([]);
      expect(await names(store)).to.deep.equal(['a', 'c']);
    });
  });
});
