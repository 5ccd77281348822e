import type { DatabaseSync } from 'node:sqlite';
import { Type } from '@sinclair/typebox';
import { expect } from 'chai';
import fc from 'fast-check';
import { VirtualClock } from '../clock.ts';
import { Crash, type CrashPointName } from '../store/port.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { instant, toRfc3339 } from '../units.ts';
import type { Answer } from './answer.ts';
import { type Command, call, externalCommand, failure, localCommand, success } from './command.ts';
import { Participant } from './participant.ts';
import { recordMigrations } from './record.ts';
import { contractRules, type Rules } from './rules.ts';

const input = Type.Object({ seat: Type.String() });
const output = Type.Object({});
const begun = instant(Date.UTC(2026, 10, 22));

/** A world in which effects can be counted, and which outlives the participant's processes. */
class World {
  readonly database: DatabaseSync = openDatabase(':memory:');
  readonly outside = new Map<string, number>();
  readonly cancelled = new Set<string>();
  /** What the next call to the outside does. */
  fault: 'none' | 'lost' | 'answer lost' = 'none';
  full = false;
  calls = 0;

  effects(): number {
    const rows = this.database.prepare("SELECT count(*) AS count FROM sqlite_master WHERE name = 'seat'").get();
    const inside = rows?.['count'] ? this.database.prepare('SELECT count(*) AS count FROM seat').get()?.['count'] : 0;
    return Number(inside) + [...this.outside.values()].reduce((sum, count) => sum + count, 0);
  }
}

const local = (world: World): Command[] => [
  localCommand({
    name: 'book',
    kind: 'action',
    reasons: ['Full'],
    input,
    output,
    carryOut(tx, { actionKey }) {
      tx.run('INSERT INTO seat VALUES (?)', actionKey);
      return world.full ? failure('Full', 'full') : success({});
    },
  }),
  localCommand({
    name: 'unbook',
    kind: 'compensation',
    undoes: ['book'],
    reasons: [],
    input,
    output,
    carryOut(tx, { actionKey }) {
      tx.run('DELETE FROM seat WHERE action_key = ?', actionKey);
      return success({});
    },
  }),
];

async function outside<T>(world: World, effect: () => T): Promise<T> {
  const { fault } = world;
  world.fault = 'none';
  world.calls += 1;
  if (fault === 'lost') throw new Error('the request was lost');
  const outcome = effect();
  if (fault === 'answer lost') throw new Error('the answer was lost');
  return outcome;
}

const external = (world: World): Command[] => [
  externalCommand({
    name: 'book',
    kind: 'action',
    reasons: ['Full'],
    input,
    output,
    intend: () => call({}),
    call: ({ reference }) =>
      outside(world, () => {
        if (world.full || world.cancelled.has(reference)) return 'full';
        // Counts, so that a participant that asks twice for one effect under one reference would be seen by its second reference.
        world.outside.set(reference, 1);
        return 'booked';
      }),
    lookup: async ({ reference }) => (world.outside.has(reference) ? 'booked' : undefined),
    settle: (_tx, _context, _intent, outcome) => (outcome === 'full' ? failure('Full', 'full') : success({})),
  }),
  externalCommand({
    name: 'unbook',
    kind: 'compensation',
    undoes: ['book'],
    reasons: [],
    input,
    output,
    intend: (_tx, { action }) => call({ reference: action!.reference }),
    call: (_context, { reference }) =>
      outside(world, () => {
        world.cancelled.add(reference);
        world.outside.delete(reference);
        return 'cancelled';
      }),
    lookup: async (_context, { reference }) => (world.cancelled.has(reference) ? 'cancelled' : undefined),
    settle: () => success({}),
  }),
];

interface Move {
  kind: 'action' | 'compensation';
  epoch: number;
  copies: number;
  full: boolean;
  fault: World['fault'];
  crash: CrashPointName | undefined;
  recover: boolean;
}

const move: fc.Arbitrary<Move> = fc.record({
  kind: fc.constantFrom('action', 'action', 'compensation'),
  epoch: fc.integer({ min: 1, max: 3 }),
  copies: fc.integer({ min: 1, max: 2 }),
  full: fc.boolean(),
  fault: fc.constantFrom('none', 'none', 'lost', 'answer lost'),
  crash: fc.constantFrom(undefined, undefined, 'effect', 'record', 'commit', 'answer', 'call'),
  recover: fc.boolean(),
});

/** One participant of a world, with a process that can die and be started again. */
class Run {
  readonly world: World;
  readonly #make: (world: World) => Command[];
  readonly #rules: Rules;
  #armed: CrashPointName | undefined;
  #participant!: Participant;

  constructor(make: (world: World) => Command[], rules: Rules) {
    this.world = new World();
    this.#make = make;
    this.#rules = rules;
    this.restart();
  }

  restart(): void {
    this.#armed = undefined;
    const crashPoint = (point: CrashPointName) => {
      if (point === this.#armed) throw new Crash();
    };
    const store = new SqliteStore(this.world.database, {
      migrations: [recordMigrations, { component: 'seat', steps: ['CREATE TABLE seat (action_key TEXT) STRICT'] }],
      crashPoint,
    });
    const clock = new VirtualClock(begun);
    this.#participant = new Participant({
      store,
      clock,
      commands: this.#make(this.world),
      crashPoint,
      rules: this.#rules,
    });
  }

  recover = () => this.#participant.recover();

  /** `undefined`: the process died, nobody was answered. */
  send(kind: Move['kind'], epoch: number): Promise<Answer | undefined> {
    return this.#participant
      .execute({
        command: kind === 'action' ? 'book' : 'unbook',
        key: `shop/checkout/order-1/seat/${kind}`,
        epoch,
        begun: toRfc3339(begun),
        body: { seat: '1A' },
      })
      .catch((error: unknown) => {
        if (error instanceof Crash) return undefined;
        throw error;
      });
  }

  async play(step: Move): Promise<(Answer | undefined)[]> {
    this.world.full = step.full;
    this.world.fault = step.fault;
    this.#armed = step.crash;
    const answers = await Promise.all(Array.from({ length: step.copies }, () => this.send(step.kind, step.epoch)));
    this.world.fault = 'none';
    this.#armed = undefined;
    if (answers.includes(undefined)) {
      this.restart();
      if (step.recover) await this.recover();
    }
    return answers;
  }
}

/** What must hold whatever happens: at most one effect ever, a success that stays while nobody compensates, and nothing after the last compensation. */
async function law(make: (world: World) => Command[], rules: Rules, moves: readonly Move[]): Promise<void> {
  const run = new Run(make, rules);
  let compensated = false;
  let succeeded = false;
  for (const step of moves) {
    const answers = await run.play(step);
    compensated ||= step.kind === 'compensation';
    succeeded ||= step.kind === 'action' && answers.some((answer) => answer?.status === 200);
    expect(run.world.effects(), 'at most one effect').to.be.at.most(1);
    if (succeeded && !compensated) expect(run.world.effects(), 'a success stays').to.equal(1);
    const [first, second] = answers;
    if (first !== undefined && second !== undefined && first.status === 200 && second.status < 425) {
      expect(second, 'copies get one answer').to.deep.equal(first);
    }
  }
  expect((await run.send('compensation', 3))?.status, 'the last compensation').to.equal(200);
  expect(run.world.effects(), 'nothing in place after the last compensation').to.equal(0);
  run.world.full = false;
  for (const epoch of [1, 2, 3]) await run.send('action', epoch);
  run.restart();
  await run.recover();
  expect(run.world.effects(), 'no hanging action').to.equal(0);
}

const holds = (make: (world: World) => Command[], rules: Rules, runs: number) =>
  fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 8 }), (moves) => law(make, rules, moves)),
    { numRuns: runs, seed: 20261122 },
  );

describe('the three promises under crashes, lost messages and copies', function () {
  // Seconds of work on a machine that does nothing else.
  this.timeout(60_000);
  it('hold for local commands', () => holds(local, contractRules, 400));
  it('hold for external commands', () => holds(external, contractRules, 400));

  const broken: Record<string, Rules> = {
    'repeats are not remembered': {
      ...contractRules,
      action: (record, asked) =>
        contractRules.action(record === undefined ? undefined : { begun: record.begun, fence: record.fence }, asked),
    },
    'actions are not fenced': {
      ...contractRules,
      action: (record, asked) =>
        contractRules.action(record === undefined ? undefined : { ...record, fence: 0 }, asked),
    },
    'a compensation leaves no tombstone': {
      ...contractRules,
      compensation: (record, asked) =>
        record?.action === undefined
          ? { do: 'answer', answer: { status: 200, body: {} } }
          : contractRules.compensation(record, asked),
    },
    'a higher epoch replaces a success': {
      ...contractRules,
      action: (record, asked) => {
        const ruling = contractRules.action(record, asked);
        return record?.action?.state === 'success' && asked.epoch > record.action.epoch ? { do: 'begin' } : ruling;
      },
    },
    'a repeated compensation is believed done under every epoch': {
      ...contractRules,
      compensation: (record, asked) =>
        record?.compensation?.state === 'success'
          ? { do: 'answer', answer: { status: 200, body: {} } }
          : contractRules.compensation(record, asked),
    },
  };
  for (const [what, rules] of Object.entries(broken)) {
    it(`break when ${what}`, async () => {
      const error = await holds(local, rules, 2000).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(String(error)).to.contain('Property failed');
    });
  }
});

describe('a call to the outside', () => {
  const plain = { copies: 1, full: false, recover: false, kind: 'action', epoch: 1 } as const;

  it('is not made twice when the process died after it: the outside is asked', async () => {
    const run = new Run(external, contractRules);
    await run.play({ ...plain, fault: 'none', crash: 'call' });
    expect(run.world.effects()).to.equal(1);
    expect(await run.recover()).to.deep.equal({ settled: 1, open: 0 });
    expect((await run.send('action', 1))?.status).to.equal(200);
    expect(run.world.calls).to.equal(1);
  });

  it('is made by the next repeat when it had never arrived', async () => {
    const run = new Run(external, contractRules);
    const [answer] = await run.play({ ...plain, fault: 'lost', crash: undefined });
    expect(answer?.status).to.equal(503);
    expect(answer?.body['reason']).to.equal('OutcomeUnknown');
    expect(await run.recover()).to.deep.equal({ settled: 0, open: 1 });
    expect((await run.send('action', 1))?.status).to.equal(200);
    expect(run.world.effects()).to.equal(1);
  });

  it('whose answer was lost is undone by the compensation all the same', async () => {
    const run = new Run(external, contractRules);
    await run.play({ ...plain, fault: 'answer lost', crash: undefined });
    expect(run.world.effects()).to.equal(1);
    expect((await run.send('compensation', 1))?.status).to.equal(200);
    expect(run.world.effects()).to.equal(0);
    run.restart();
    expect(await run.recover()).to.deep.equal({ settled: 0, open: 0 });
  });

  it('that is under way answers its copies, and its compensation, with 425', async () => {
    const run = new Run(external, contractRules);
    const answers = await Promise.all([run.send('action', 1), run.send('action', 1), run.send('compensation', 1)]);
    expect(answers.map((answer) => answer?.status)).to.deep.equal([200, 425, 425]);
  });
});
