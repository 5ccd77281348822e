import { Type } from '@sinclair/typebox';
import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { openDatabase, SqliteStore } from '../store/sqlite.ts';
import { before, days, instant, milliseconds, toRfc3339 } from '../units.ts';
import type { Answer } from './answer.ts';
import { accepted, type Command, call, externalCommand, failure, localCommand, success } from './command.ts';
import { Participant, type ParticipantOptions } from './participant.ts';
import { recordMigrations } from './record.ts';

const start = instant(Date.UTC(2026, 10, 22));
const input = Type.Object({});

/** A participant whose commands do what the test says, on a database that survives it. */
function bench() {
  const clock = new VirtualClock(start);
  const database = openDatabase(':memory:');
  const world = {
    effects: 0,
    undone: 0,
    undo: 'works' as 'works' | 'fails' | 'is unknown',
    output: {} as object,
    reason: '',
  };
  const commands: Command[] = [
    localCommand({
      name: 'do',
      kind: 'action',
      reasons: ['Known'],
      input,
      output: Type.Object({}),
      carryOut() {
        if (world.reason !== '') return failure(world.reason, 'no');
        world.effects += 1;
        return success(world.output);
      },
    }),
    externalCommand({
      name: 'undo',
      kind: 'compensation',
      undoes: ['do'],
      reasons: ['TooLate'],
      input,
      output: Type.Object({}),
      intend: () => call({}),
      async call() {
        if (world.undo === 'is unknown') throw new Error('time-out');
        return world.undo;
      },
      lookup: async () => undefined,
      settle(_tx, _context, _intent, outcome) {
        if (outcome === 'fails') return failure('TooLate', 'too late');
        world.undone += 1;
        return success({});
      },
    }),
    localCommand({ name: 'other', kind: 'action', reasons: [], input, output: input, carryOut: () => success({}) }),
    localCommand({
      name: 'undo-other',
      kind: 'compensation',
      undoes: ['other'],
      reasons: [],
      input,
      output: input,
      carryOut: () => success({}),
    }),
  ];
  const errors: unknown[] = [];
  const make = (options: Partial<ParticipantOptions> = {}) =>
    new Participant({
      store: new SqliteStore(database, { migrations: [recordMigrations] }),
      clock,
      commands,
      onError: (error) => errors.push(error),
      ...options,
    });
  let participant = make();
  return {
    clock,
    world,
    errors,
    make,
    restart: () => {
      participant = make();
    },
    sweep: () => participant.sweep(),
    send(command: string, { epoch = 1, begun = start, order = 'order-1' } = {}): Promise<Answer> {
      const kind = command.startsWith('undo') ? 'compensation' : 'action';
      return participant.execute({
        command,
        key: `shop/checkout/${order}/step/${kind}`,
        epoch,
        begun: toRfc3339(begun),
        body: {},
      });
    },
  };
}

describe('a participant', () => {
  it('forgets what is older than the retention, and then refuses it', async () => {
    const { clock, world, send, sweep } = bench();
    await send('do');
    clock.advance(days(35));
    expect(await sweep()).to.equal(0);
    expect((await send('do')).status).to.equal(200);
    clock.advance(days(1));
    expect(await sweep()).to.equal(1);
    expect((await send('do')).body['reason']).to.equal('KeyExpired');
    expect((await send('undo')).body['reason']).to.equal('KeyExpired');
    expect(world.effects).to.equal(1);
  });

  it('refuses what it swept although its clock went back after that, and after a restart', async () => {
    const { clock, make, world, send, sweep, restart } = bench();
    await send('undo');
    clock.advance(days(100));
    expect(await sweep()).to.equal(1);
    const back = new VirtualClock(start);
    const request = {
      command: 'do',
      key: 'shop/checkout/order-1/step/action',
      epoch: 1,
      begun: toRfc3339(start),
      body: {},
    };
    expect((await make({ clock: back }).execute(request)).body['reason']).to.equal('KeyExpired');
    restart();
    expect((await send('do')).body['reason']).to.equal('KeyExpired');
    expect(world.effects).to.equal(0);
  });

  it('does not forget what is in flight, however old', async () => {
    const { clock, world, send, sweep } = bench();
    await send('do');
    world.undo = 'is unknown';
    expect((await send('undo')).status).to.equal(503);
    clock.advance(days(100));
    expect(await sweep()).to.equal(0);
    world.undo = 'works';
    expect((await send('undo')).status).to.equal(200);
    expect(await sweep()).to.equal(1);
  });

  it('does not forget an action in flight either', async () => {
    const { clock, make } = bench();
    let finished = false;
    const slow = localCommand({
      name: 'slow',
      kind: 'action',
      reasons: [],
      input,
      output: input,
      carryOut: () => (finished ? success({}) : accepted(milliseconds(10))),
    });
    const participant = make({ commands: [slow] });
    const request = {
      command: 'slow',
      key: 'shop/checkout/o/step/action',
      epoch: 1,
      begun: toRfc3339(start),
      body: {},
    };
    await participant.execute(request);
    clock.advance(days(100));
    expect(await participant.sweep()).to.equal(0);
    finished = true;
    expect((await participant.execute(request)).status).to.equal(200);
    expect(await participant.sweep()).to.equal(1);
  });

  it('answers an action with 425 while its compensation has no outcome', async () => {
    const { world, send } = bench();
    await send('do');
    world.undo = 'is unknown';
    await send('undo');
    expect((await send('do')).status).to.equal(425);
    world.undo = 'works';
    await send('undo');
    expect((await send('do')).body['reason']).to.equal('Fenced');
  });

  it('leaves the action in place, and no lower fence, when its compensation fails; a higher epoch tries again', async () => {
    const { world, send } = bench();
    await send('do');
    await send('undo');
    expect((await send('do', { epoch: 2 })).status).to.equal(200);
    world.undo = 'fails';
    expect((await send('undo', { epoch: 2 })).body['reason']).to.equal('TooLate');
    expect((await send('do', { epoch: 1 })).body['reason']).to.equal('Fenced');
    expect((await send('do', { epoch: 2 })).status).to.equal(200);
    world.undo = 'works';
    expect((await send('undo', { epoch: 2 })).body['reason']).to.equal('TooLate');
    expect((await send('undo', { epoch: 3 })).status).to.equal(200);
    expect(world).to.include({ effects: 2, undone: 2 });
  });

  it('refuses a compensation that does not undo what the step did', async () => {
    const { world, send } = bench();
    await send('do');
    const answer = await send('undo-other');
    expect(answer.status).to.equal(400);
    expect(answer.body['detail']).to.equal('undo-other does not undo do, which is what this step did');
    expect(world.undone).to.equal(0);
  });

  it('stores nothing of a command that breaks its own promises', async () => {
    const { world, errors, send } = bench();
    world.output = { text: 'x'.repeat(1100) };
    expect((await send('do')).status).to.equal(500);
    world.output = {};
    world.reason = 'NeverDeclared';
    expect((await send('do')).status).to.equal(500);
    expect(errors.map(String)).to.deep.equal([
      'Error: do made an output of 1111 bytes; 1024 are allowed',
      'Error: do does not declare the reason NeverDeclared',
    ]);
    world.reason = '';
    expect((await send('do')).status).to.equal(200);
  });

  it('carries out again, under the higher epoch, what was begun under a lower one and failed', async () => {
    const epochs: number[] = [];
    const slow = localCommand({
      name: 'slow',
      kind: 'action',
      reasons: ['Known'],
      input,
      output: input,
      carryOut(_tx, { epoch, resumed }) {
        epochs.push(epoch);
        if (epoch === 1) return resumed ? failure('Known', 'no') : accepted(milliseconds(10));
        return success({});
      },
    });
    const participant = bench().make({ commands: [slow] });
    const send = (epoch: number) =>
      participant.execute({
        command: 'slow',
        key: 'shop/checkout/o/step/action',
        epoch,
        begun: toRfc3339(start),
        body: {},
      });
    expect((await send(1)).status).to.equal(202);
    expect((await send(2)).status).to.equal(200);
    expect(epochs).to.deep.equal([1, 1, 2]);
  });

  it('is not made with a compensation of something that it cannot do', () => {
    const undo = localCommand({
      name: 'undo',
      kind: 'compensation',
      undoes: ['nothing'],
      reasons: [],
      input,
      output: input,
      carryOut: () => success({}),
    });
    expect(() => bench().make({ commands: [undo] })).to.throw('undoes nothing, which is no action');
  });

  it('counts the age of a run from when it began, not from when it was heard of', async () => {
    const { send } = bench();
    expect((await send('do', { begun: before(start, days(36)), order: 'old' })).body['reason']).to.equal('KeyExpired');
    expect((await send('do', { begun: before(start, days(34)), order: 'young' })).status).to.equal(200);
  });
});
