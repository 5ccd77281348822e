import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { isAlive, withLock } from './lock.ts';

describe('the lock of the cache', () => {
  let folder: string;
  let path: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lock-'));
    path = join(folder, 'deeper', '.lock');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  it('lets one at a time work, and tells the other who holds it', async () => {
    const order: string[] = [];
    const { promise: held, resolve: release } = Promise.withResolvers<void>();
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const first = withLock(
      path,
      () => {},
      async () => {
        order.push('first begins');
        begin();
        await held;
        order.push('first ends');
      },
    );
    await begun;
    const onWait = (holder: number) => {
      expect(holder).to.equal(process.pid);
      release();
    };
    const second = withLock(path, onWait, async () => {
      order.push('second begins');
    });
    await Promise.all([first, second]);
    expect(order).to.deep.equal(['first begins', 'first ends', 'second begins']);
    expect(existsSync(path)).to.equal(false);
  });

  it('takes over from a process that died', async () => {
    const dead = spawnSync('true').pid;
    path = join(folder, '.lock');
    writeFileSync(path, `${dead}\n`);
    expect(
      await withLock(
        path,
        () => expect.fail('nobody to wait for'),
        async () => 'done',
      ),
    ).to.equal('done');
  });

  it('is free again after work that failed', async () => {
    const fail = () => Promise.reject(new Error('disk full'));
    const error = await withLock(path, () => {}, fail).catch((reason: Error) => reason);
    expect((error as Error).message).to.equal('disk full');
    expect(existsSync(path)).to.equal(false);
  });

  it('knows the living from the dead', () => {
    expect(isAlive(process.pid)).to.equal(true);
    expect(isAlive(spawnSync('true').pid)).to.equal(false);
  });
});
