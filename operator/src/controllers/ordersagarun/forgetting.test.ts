import { expect } from 'chai';
import type { FinishedRuns } from '../../journals/kubernetes/finished.ts';
import { VirtualClock } from '../../runtime/clock.ts';
import { silentLogger } from '../../runtime/logger.ts';
import { Forgetting } from './forgetting.ts';

describe('The forgetting of finished runs', () => {
  it('goes on each hour, also after it could not be done', async () => {
    const clock = new VirtualClock();
    const calls: string[] = [];
    const finished = {
      load: async () => void calls.push('load'),
      prune: async () => {
        calls.push('prune');
        throw new Error('etcdserver: request timed out');
      },
    } as unknown as FinishedRuns;
    const stop = new AbortController();
    const ended = new Forgetting({ finished, clock, logger: silentLogger }).start(stop.signal);
    const settle = async (): Promise<void> => {
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    };
    await settle();
    clock.advance(3_600_000);
    await settle();
    expect(calls, 'what others wrote meanwhile is read first').to.deep.equal(['load', 'prune', 'load', 'prune']);
    stop.abort();
    await ended;
  });
});
