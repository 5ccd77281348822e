import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import type { Answer } from '../saga/types.ts';
import { ParticipantRegistry } from './registry.ts';
import { configOf, effectOf, patient, runOf, testTokens } from './testing/commands.ts';
import { answerJson, type LocalServer, localServer, until } from './testing/local-server.ts';

/** Commands for the slow one: as many as there are orders in a few seconds. */
const COMMANDS = 5000;
const PLACES = 16;

describe('A participant that takes 30 s for an answer', function () {
  this.timeout(30_000);
  let clock: VirtualClock;
  let slow: LocalServer;
  let quick: LocalServer;
  let registry: ParticipantRegistry;
  const send = (participant: string, orderId: string, timeout = 10_000): Promise<Answer> =>
    registry.send(runOf(orderId), effectOf(orderId, { participant, timeout }), patient());

  beforeEach(async () => {
    clock = new VirtualClock();
    // It has not answered anything when the test is over.
    slow = await localServer(() => {});
    quick = await localServer((_, response) => answerJson(response, 200, { from: 'quick' }));
    registry = new ParticipantRegistry({ tokens: testTokens, clock });
    registry.set('shop', 'slow', configOf(slow.url, { maxInFlight: PLACES }));
    registry.set('shop', 'quick', configOf(quick.url, { maxInFlight: PLACES }));
  });
  afterEach(async () => {
    const closed = registry.close();
    await slow.close();
    await closed;
    await quick.close();
  });

  it('keeps no command for another participant waiting, and holds its own connections only', async () => {
    const stuck = Array.from({ length: COMMANDS }, (_, i) => send('slow', `s-${i}`));
    await until(() => slow.received.length === PLACES, 'all its places are taken');
    const answers = await Promise.all(Array.from({ length: 200 }, (_, i) => send('quick', `q-${i}`)));
    expect(new Set(answers.map(({ type }) => type))).to.deep.equal(new Set(['Success']));
    // No time went by: the quick one waited for nothing of the slow one.
    expect(clock.monotonic()).to.equal(0);
    expect(slow.received).to.have.length(PLACES);
    expect(slow.sockets.size).to.equal(PLACES);

    clock.advance(5000);
    const early = await Promise.all(stuck.slice(PLACES));
    expect(early.map((answer) => ('reason' in answer ? answer.reason : answer.type))).to.deep.equal(
      early.map(() => 'Busy'),
    );
    clock.advance(5000);
    const late = await Promise.all(stuck.slice(0, PLACES));
    for (const answer of late) expect(answer).to.include({ type: 'Unknown', reason: 'Timeout' });
    await until(() => slow.sockets.size === 0, 'its connections are closed');
    // Timers, listeners and commands are gone with them.
    expect(clock.pending).to.equal(0);
  });

  it('has its circuit opened by time-outs, so that what comes after waits for nothing', async () => {
    for (let round = 0; round < 2; round++) {
      const sent = Array.from({ length: PLACES }, (_, i) => send('slow', `s-${round}-${i}`));
      await until(() => slow.received.length === PLACES * (round + 1), 'all arrived');
      clock.advance(10_000);
      await Promise.all(sent);
      await until(() => slow.sockets.size === 0, 'their connections are closed');
    }
    expect(registry.circuitOf('shop', 'slow')).to.include({ state: 'Open' });
    const answers = await Promise.all(Array.from({ length: COMMANDS }, (_, i) => send('slow', `late-${i}`)));
    expect(new Set(answers.map((answer) => ('reason' in answer ? answer.reason : answer.type)))).to.deep.equal(
      new Set(['CircuitOpen']),
    );
    expect(slow.received).to.have.length(2 * PLACES);
    expect(clock.pending).to.equal(0);
    expect(registry.circuitOf('shop', 'quick')).to.deep.equal({ state: 'Closed' });
  });
});
