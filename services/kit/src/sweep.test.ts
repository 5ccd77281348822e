import { expect } from 'chai';
import { insecureTokenCheck } from './auth/tokens.ts';
import { VirtualClock } from './clock.ts';
import { createLogger } from './log.ts';
import { startService } from './service.ts';
import { openDatabase, SqliteStore } from './store/sqlite.ts';
import { sweepAll } from './sweep.ts';
import { instant, minutes } from './units.ts';

describe('a sweep', () => {
  it('goes on until nothing is due', async () => {
    let left = 3;
    await sweepAll(async () => --left > 0);
    expect(left).to.equal(0);
  });

  it('holds up no stop of its service, however much is due', async () => {
    const clock = new VirtualClock(instant(0));
    const store = new SqliteStore(openDatabase(':memory:'), { migrations: [] });
    const begun = Promise.withResolvers<void>();
    const part = async () => {
      await store.transact((tx) => tx.run('SELECT 1'));
      begun.resolve();
      return true;
    };
    const service = await startService(
      {
        name: 'test',
        version: '1',
        clock,
        tokens: insecureTokenCheck,
        logger: createLogger('test', 'silent'),
        tasks: [{ name: 'sweep for ever', interval: minutes(1), run: (signal) => sweepAll(part, signal) }],
      },
      0,
      '127.0.0.1',
    );
    clock.advance(minutes(1));
    await begun.promise;
    await service.close();
    await store.close();
  });
});
