import { expect } from 'chai';
import type { ParticipantConfig } from '../participants/config.ts';
import { ParticipantRegistry } from '../participants/registry.ts';
import {
  answerJson,
  type LocalServer,
  localServer,
  type Received,
  until,
} from '../participants/testing/local-server.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { INPUT, revision, step } from '../saga/rehearsal.ts';
import type { RunId, RunState } from '../saga/types.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { Runner } from './runner.ts';

const RETRY = { maxAttempts: 2, initialInterval: 250, maxInterval: 60_000, backoffPercent: 200, jitterPercent: 0 };
const REVISION = revision(
  [step('book', { participant: 'shipping', compensation: 'unbook', timeout: 5000, retry: RETRY })],
  {
    deadline: 3_600_000,
  },
);
const idOf = (orderId: string): RunId => ({ namespace: 'shop', saga: 'checkout', orderId });

/** A participant's way to an answer: 202 or 425 with Retry-After (in seconds), then 200, or 422. */
type Script = readonly (readonly [status: number, retryAfter?: string])[];

describe('A run whose participant answers 202', function () {
  this.timeout(20_000);
  let clock: VirtualClock;
  let server: LocalServer;
  let registry: ParticipantRegistry;
  let runner: Runner;
  let journal: MemoryJournal;
  let ended: Map<string, RunState>;
  /** When each command came, by order, on the virtual clock. */
  let came: Map<string, { at: number; epoch: string; body: string }[]>;
  let scripts: Map<string, Script>;

  const orderOf = (key: string): string => key.split('/')[2] ?? '';

  /** What the script says for the time that this key comes. */
  function next(key: string, epoch: string, body: string): { status: number; retryAfter?: string; body: object } {
    if (key.endsWith('/compensation')) return { status: 200, body: {} };
    const orderId = orderOf(key);
    const times = came.get(orderId) ?? [];
    times.push({ at: clock.monotonic(), epoch, body });
    came.set(orderId, times);
    const script = scripts.get(orderId) ?? [];
    const [status, retryAfter] = script[Math.min(times.length, script.length) - 1] ?? [200];
    const answer =
      status === 200 ? { bookingId: `b-${orderId}` } : { reason: 'NoService', detail: 'nobody goes there' };
    return { status, body: answer, ...(retryAfter === undefined ? {} : { retryAfter }) };
  }

  function single(request: Received, response: Parameters<Parameters<LocalServer['behave']>[0]>[1]): void {
    const { headers, body } = request;
    const answer = next(String(headers['idempotency-key']), String(headers['mercato-epoch']), body);
    answerJson(
      response,
      answer.status,
      answer.body,
      answer.retryAfter === undefined ? {} : { 'retry-after': answer.retryAfter },
    );
  }

  function batch(request: Received, response: Parameters<Parameters<LocalServer['behave']>[0]>[1]): void {
    const { items } = JSON.parse(request.body) as { items: { key: string; epoch: number; body: object }[] };
    const answers = items.map(({ key, epoch, body }) => {
      const { retryAfter, ...rest } = next(key, String(epoch), JSON.stringify(body));
      return { ...rest, ...(retryAfter === undefined ? {} : { retryAfter: Number(retryAfter) }) };
    });
    answerJson(response, 200, { items: answers });
  }

  function start(over: Partial<ParticipantConfig> = {}): void {
    const reasons = { 'do-book': ['NoService'], unbook: [] };
    registry.set('shop', 'shipping', { baseUrl: server.url, audience: 'shipping', reasons, ...over });
    for (const orderId of scripts.keys()) {
      const id = idOf(orderId);
      void runner.adopt({
        context: { id, input: INPUT },
        revision: REVISION,
        version: journal.create(id),
        from: { type: 'New' },
      });
    }
  }

  beforeEach(async () => {
    clock = new VirtualClock();
    came = new Map();
    ended = new Map();
    scripts = new Map();
    server = await localServer((request, response) =>
      request.path.endsWith('/batch') ? batch(request, response) : single(request, response),
    );
    registry = new ParticipantRegistry({ tokens: async () => 'token', clock });
    journal = new MemoryJournal();
    runner = new Runner({
      journal,
      participants: registry,
      clock,
      observer: { ended: (id, state) => void ended.set(id.orderId, state) },
    });
  });
  afterEach(async () => {
    runner.abandon();
    await registry.close();
    await server.close();
  });

  const actionOf = (orderId: string) => (ended.get(orderId) ?? runner.find(idOf(orderId))?.state)?.steps[0]?.action;
  const timesOf = (orderId: string): number[] => (came.get(orderId) ?? []).map(({ at }) => at);
  /** Waits until its answer to the `count`-th command was taken in. */
  const answered = (orderId: string, count: number) =>
    until(
      () => (came.get(orderId)?.length ?? 0) >= count && actionOf(orderId)?.state !== 'InFlight',
      `${orderId} was answered ${count} times`,
    );

  it('repeats the same key when Retry-After is over and not before, burns no attempt, and gets its result', async () => {
    scripts.set('o-1', [
      [202, '2'],
      [202, '0.5'],
      [202],
      ...Array.from({ length: 7 }, () => [202, '30'] as const),
      [200],
    ]);
    start();
    await answered('o-1', 1);
    clock.advance(1999);
    await new Promise(setImmediate);
    expect(timesOf('o-1')).to.deep.equal([0]);
    clock.advance(1);
    await answered('o-1', 2);
    clock.advance(500);
    await answered('o-1', 3);
    // Without a Retry-After, the step's initialInterval.
    clock.advance(250);
    await answered('o-1', 4);
    for (let i = 5; i <= 11; i++) {
      clock.advance(30_000);
      await answered('o-1', i);
    }
    expect(timesOf('o-1').slice(0, 5)).to.deep.equal([0, 2000, 2500, 2750, 32_750]);
    expect(ended.get('o-1')?.ended).to.equal('Succeeded');
    expect(ended.get('o-1')?.steps[0]?.output).to.deep.equal({ bookingId: 'b-o-1' });
    expect(actionOf('o-1')).to.include({ attempts: 0, sends: 11 });
    expect(new Set(server.received.map(({ headers }) => headers['idempotency-key']))).to.deep.equal(
      new Set(['shop/checkout/o-1/book/action']),
    );
    expect(new Set(came.get('o-1')?.map(({ epoch, body }) => `${epoch} ${body}`)).size).to.equal(1);
  });

  it('waits for no longer than its longest interval, whatever Retry-After says', async () => {
    scripts.set('o-1', [[202, '86400'], [200]]);
    start();
    await answered('o-1', 1);
    clock.advance(60_000);
    await answered('o-1', 2);
    expect(ended.get('o-1')?.ended).to.equal('Succeeded');
  });

  it('takes 425 and 429 for waiting too, and time-outs in between for attempts', async () => {
    scripts.set('o-1', [[425, '1'], [429, '1'], [202, '1'], [503], [202, '1'], [200]]);
    start();
    await answered('o-1', 1);
    for (let i = 2; i <= 6; i++) {
      clock.advance(1000);
      await answered('o-1', i);
    }
    expect(ended.get('o-1')?.ended).to.equal('Succeeded');
    expect(actionOf('o-1')).to.include({ attempts: 1, sends: 6 });
  });

  it('is compensated by its business failure in the end, and by its deadline if none comes', async () => {
    scripts.set('fails', [[202, '1'], [422]]);
    scripts.set('never', [[202, '60']]);
    start();
    await answered('fails', 1);
    clock.advance(1000);
    await answered('fails', 2);
    await until(() => ended.has('fails'), 'it ended');
    expect(ended.get('fails')).to.deep.include({ ended: 'Compensated' });
    expect(ended.get('fails')?.cause).to.include({ reason: 'NoService' });
    while (clock.monotonic() < 3_600_000) {
      const before = came.get('never')?.length ?? 0;
      clock.advance(60_000);
      await until(() => (came.get('never')?.length ?? 0) > before || ended.has('never'), 'it asked again');
      await until(() => ended.has('never') || actionOf('never')?.state !== 'InFlight', 'it was answered');
    }
    await until(() => ended.has('never'), 'it ended');
    expect(ended.get('never')?.cause).to.include({ reason: 'DeadlineExceeded' });
    // It may still be carried out, so it was undone.
    const undone = server.received.filter(({ path }) => path === '/saga/unbook');
    expect(undone.map(({ headers }) => headers['idempotency-key'])).to.deep.equal([
      'shop/checkout/never/book/compensation',
    ]);
  });

  it('shares a batch with runs that are answered otherwise, each by its own answer', async () => {
    scripts.set('later', [[202, '1'], [202, '1'], [200]]);
    scripts.set('raced', [[425, '1'], [200]]);
    scripts.set('fine', [[200]]);
    scripts.set('fails', [[422]]);
    scripts.set('broken', [[500], [200]]);
    start({ batch: { maxItems: 100 } });
    await until(() => ended.has('fine') && ended.has('fails'), 'two ended');
    expect(server.received.filter(({ path }) => path.endsWith('/batch'))).to.have.length(1);
    expect(ended.get('fine')?.ended).to.equal('Succeeded');
    expect(ended.get('fails')?.ended).to.equal('Compensated');
    expect([...ended.keys()].sort()).to.deep.equal(['fails', 'fine']);
    for (const orderId of ['later', 'raced', 'broken']) await answered(orderId, 1);
    clock.advance(1000);
    await until(() => ended.has('raced') && ended.has('broken'), 'two more ended');
    await answered('later', 2);
    clock.advance(1000);
    await until(() => ended.size === 5, 'all ended');
    expect(['later', 'raced', 'broken'].map((orderId) => actionOf(orderId)?.attempts)).to.deep.equal([0, 0, 1]);
    expect(timesOf('later')).to.deep.equal([0, 1000, 2000]);
    expect(ended.get('later')?.steps[0]?.output).to.deep.equal({ bookingId: 'b-later' });
  });
});
