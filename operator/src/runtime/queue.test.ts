import { expect } from 'chai';
import fc from 'fast-check';
import { VirtualClock } from './clock.ts';
import { WorkQueue } from './queue.ts';

/** Lets promises that are settled run their continuations. */
const microtasks = async () => {
  for (let i = 0; i < 10; i++) await Promise.resolve();
};

describe('WorkQueue', () => {
  it('hands out keys in the order of their adding, each once', async () => {
    const queue = new WorkQueue({ clock: new VirtualClock() });
    for (const key of ['a', 'b', 'a', 'c', 'b']) queue.add(key);
    expect(queue.length).to.equal(3);
    expect([await queue.get(), await queue.get(), await queue.get()]).to.deep.equal(['a', 'b', 'c']);
    expect(queue.length).to.equal(0);
  });

  it('keeps a key that is added while a worker has it until that worker is done, and then hands it out again', async () => {
    const queue = new WorkQueue({ clock: new VirtualClock() });
    queue.add('a');
    await queue.get();
    queue.add('a');
    queue.add('a');
    expect(queue.length).to.equal(0);
    let second: string | undefined;
    void queue.get().then((key) => {
      second = key;
    });
    await microtasks();
    expect(second).to.equal(undefined);
    queue.done('a');
    await microtasks();
    expect(second).to.equal('a');
    queue.done('a');
    expect(queue.length).to.equal(0);
  });

  it('sends a key that fails behind the keys that wait', async () => {
    const clock = new VirtualClock();
    const queue = new WorkQueue({ clock });
    queue.add('a');
    queue.add('b');
    const first = await queue.get();
    expect(queue.addRateLimited(first!)).to.equal(5);
    queue.done(first!);
    clock.advance(5);
    expect([await queue.get(), await queue.get()]).to.deep.equal(['b', 'a']);
  });

  it('doubles the delay of a key with each failure from 5 ms to 1000 s, and starts anew when it is forgotten', () => {
    const clock = new VirtualClock();
    const queue = new WorkQueue({ clock });
    const delays = Array.from({ length: 20 }, () => queue.addRateLimited('a'));
    expect(delays.slice(0, 4)).to.deep.equal([5, 10, 20, 40]);
    expect(delays.at(-1)).to.equal(1_000_000);
    expect(queue.retries('a')).to.equal(20);
    queue.forget('a');
    expect(queue.retries('a')).to.equal(0);
    expect(queue.addRateLimited('a')).to.equal(5);
  });

  it('holds the earliest of several delays for a key, on one timer', async () => {
    const clock = new VirtualClock();
    const queue = new WorkQueue({ clock });
    queue.addAfter('a', 100);
    queue.addAfter('a', 50);
    queue.addAfter('a', 70);
    queue.addAfter('b', 60);
    expect(clock.pending).to.equal(1);
    expect(queue.delayed).to.equal(2);
    clock.advance(49);
    expect(queue.length).to.equal(0);
    clock.advance(1);
    expect(await queue.get()).to.equal('a');
    clock.advance(60);
    expect(await queue.get()).to.equal('b');
    expect(queue.delayed).to.equal(0);
    expect(clock.pending).to.equal(0);
  });

  it('serves workers that wait in turn', async () => {
    const queue = new WorkQueue({ clock: new VirtualClock() });
    const got: string[] = [];
    for (const worker of ['first', 'second']) void queue.get().then((key) => got.push(`${worker} ${key}`));
    queue.add('a');
    queue.add('b');
    await microtasks();
    expect(got).to.deep.equal(['first a', 'second b']);
  });

  it('drains: drops what waits, releases idle workers, resolves when the busy ones are done, and takes nothing more', async () => {
    const queue = new WorkQueue({ clock: new VirtualClock() });
    queue.add('a');
    queue.add('b');
    await queue.get();
    queue.addAfter('c', 10);
    let drained = false;
    void queue.shutDownWithDrain().then(() => {
      drained = true;
    });
    await microtasks();
    expect(drained).to.equal(false);
    queue.add('d');
    expect(await queue.get()).to.equal(undefined);
    queue.done('a');
    await microtasks();
    expect(drained).to.equal(true);
    expect(queue.delayed + queue.length).to.equal(0);
  });

  it('refuses a done without a get, which would hide lost work', () => {
    const queue = new WorkQueue({ clock: new VirtualClock() });
    queue.add('a');
    expect(() => queue.done('a')).to.throw('done("a") without a get');
  });

  it('measures how long keys wait and how long workers hold them', async () => {
    const clock = new VirtualClock();
    const samples: string[] = [];
    const queue = new WorkQueue({
      clock,
      observer: {
        added: () => samples.push('added'),
        taken: (seconds) => samples.push(`taken after ${seconds}`),
        finished: (seconds) => samples.push(`finished after ${seconds}`),
        retried: () => samples.push('retried'),
      },
    });
    queue.add('a');
    clock.advance(2000);
    await queue.get();
    clock.advance(3000);
    expect(queue.unfinished()).to.deep.equal({ totalSeconds: 3, longestSeconds: 3 });
    queue.done('a');
    queue.addRateLimited('a');
    expect(samples).to.deep.equal(['added', 'taken after 2', 'finished after 3', 'retried']);
  });

  type Act =
    | { do: 'add' | 'addAfter' | 'fail'; key: string; ms: number }
    | { do: 'work' | 'finish' | 'wait'; ms: number; which: number };
  const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
  const ms = fc.integer({ min: 0, max: 50 });
  const acts = fc.array(
    fc.oneof<fc.Arbitrary<Act>[]>(
      fc.record({ do: fc.constantFrom('add' as const, 'addAfter' as const, 'fail' as const), key, ms }),
      fc.record({ do: fc.constantFrom('work' as const, 'finish' as const, 'wait' as const), ms, which: fc.nat(10) }),
    ),
    { maxLength: 200 },
  );

  it('holds its laws under any order of acts: no key is lost, none is with two workers, each add is followed by a get', async () => {
    await fc.assert(
      fc.asyncProperty(acts, async (sequence) => {
        const clock = new VirtualClock();
        const queue = new WorkQueue({ clock });
        /** The number of the last add that each key has had, and of the last one that a get has followed. */
        const asked = new Map<string, number>();
        const served = new Map<string, number>();
        const busy: string[] = [];
        let adds = 0;

        const take = async () => {
          const taken = await queue.get();
          expect(busy, 'a key with two workers').not.to.include(taken);
          busy.push(taken!);
          served.set(taken!, adds);
        };
        const finish = (which: number) => {
          const [finished] = busy.splice(which % busy.length, 1);
          queue.done(finished!);
        };

        for (const act of sequence) {
          if (act.do === 'add' || act.do === 'addAfter' || act.do === 'fail') {
            adds += 1;
            asked.set(act.key, adds);
            if (act.do === 'add') queue.add(act.key);
            else if (act.do === 'addAfter') queue.addAfter(act.key, act.ms);
            else queue.addRateLimited(act.key);
          } else if (act.do === 'wait') clock.advance(act.ms);
          else if (act.do === 'work' && queue.length > 0) await take();
          else if (act.do === 'finish' && busy.length > 0) finish(act.which);
        }

        // Then workers catch up: nothing may be left over.
        for (let round = 0; round < 1000 && (queue.length > 0 || queue.delayed > 0 || busy.length > 0); round++) {
          clock.advance(1_000_000);
          while (queue.length > 0) await take();
          while (busy.length > 0) finish(0);
        }
        for (const [name, number] of asked)
          expect(served.get(name) ?? 0, `the last add of ${name} was lost`).to.be.at.least(number);
        expect(queue.length + queue.delayed + queue.processing).to.equal(0);
      }),
      { numRuns: 300 },
    );
  });
});
