import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import type { Answer } from '../saga/types.ts';
import { CIRCUIT_POLICY } from './circuit.ts';
import type { Lane, SendEffect } from './participants.ts';
import { type CircuitView, type ProtectedLane, type ProtectionOptions, protectedLane } from './protection.ts';
import { effectOf, patient, runOf } from './testing/commands.ts';

const down: Answer = { type: 'Unknown', reason: 'ConnectionRefused', message: 'nobody listens' };
const fine: Answer = { type: 'Success', output: {} };

/** A lane whose answers are given by hand. */
class HandLane implements Lane {
  readonly sent: { effect: SendEffect; answer: (answer: Answer) => void }[] = [];
  readonly queued = new Map<string, (answer: Answer) => void>();
  closed = false;

  send(_: unknown, effect: SendEffect): Promise<Answer> {
    if (this.closed) return Promise.resolve({ type: 'NotNow', reason: 'Closing', message: '', retryAfter: 0 });
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.sent.push({ effect, answer: resolve });
    if (effect.command === 'queued') this.queued.set(effect.key, resolve);
    return promise;
  }

  async close(): Promise<void> {
    this.closed = true;
  }

  shed(answer: (key: string) => Answer): void {
    for (const [key, resolve] of this.queued) resolve(answer(key));
  }
}

describe('protectedLane', () => {
  let clock: VirtualClock;
  let lane: HandLane;
  let changes: [string, CircuitView][];
  let refused: string[];
  const make = (over: Partial<ProtectionOptions> = {}): ProtectedLane =>
    protectedLane(lane, {
      seed: 'shop/inventory',
      name: 'inventory',
      clock,
      policy: { ...CIRCUIT_POLICY, jitterPercent: 0 },
      onCircuit: (view, before) => void changes.push([before, view]),
      observer: (_, command, type) => void refused.push(`${command} ${type}`),
      ...over,
    });
  const send = (to: ProtectedLane, orderId: string, over: Partial<SendEffect> = {}, signal = patient()) =>
    to.send(runOf(orderId), effectOf(orderId, over), signal);
  const fail = async (to: ProtectedLane, count: number): Promise<Answer[]> => {
    const answers: Answer[] = [];
    for (let i = 0; i < count; i++) {
      const answer = send(to, `f-${i}`);
      await new Promise(setImmediate);
      lane.sent.at(-1)?.answer(down);
      answers.push(await answer);
    }
    return answers;
  };

  beforeEach(() => {
    clock = new VirtualClock();
    lane = new HandLane();
    changes = [];
    refused = [];
  });

  describe('its circuit', () => {
    it('sends nothing while it is open, says why and when to come again, and tells who listens', async () => {
      const to = make();
      const answers = await fail(to, 5);
      expect(answers.slice(0, 4)).to.deep.equal([down, down, down, down]);
      expect(answers[4]).to.include({ type: 'NotNow', reason: 'CircuitOpen' });
      expect(answers[4]).to.have.property('message').that.includes('nobody listens');
      const answer = await send(to, 'o-1');
      expect(answer).to.include({ type: 'NotNow', reason: 'CircuitOpen' });
      expect(answer).to.have.property('retryAfter').that.is.within(1000, 1250);
      expect(answer).to.have.property('message').that.includes('ConnectionRefused: nobody listens');
      expect(lane.sent).to.have.length(5);
      expect(refused).to.deep.equal(['reserve-stock NotNow']);
      const cause = { reason: down.type === 'Unknown' ? down.reason : '', message: 'nobody listens', at: clock.wall() };
      expect(changes).to.deep.equal([['Closed', { state: 'Open', until: clock.wall() + 1000, cause }]]);
      expect(to.circuit).to.deep.equal(changes[0]?.[1]);
    });

    it('gives up on what only waits for a place when it opens, at no cost', async () => {
      const to = make();
      const waiting = ['w-1', 'w-2'].map((id) => send(to, id, { command: 'queued' }));
      await fail(to, 5);
      for (const answer of await Promise.all(waiting)) {
        expect(answer).to.include({ type: 'NotNow', reason: 'CircuitOpen' });
        expect(answer).to.have.property('retryAfter').that.is.within(1000, 1250);
      }
    });

    it('makes failures free that come of what was sent before it opened', async () => {
      const to = make();
      const early = send(to, 'early');
      const success = send(to, 'success');
      await new Promise(setImmediate);
      await fail(to, 5);
      lane.sent[0]?.answer({ type: 'Unknown', reason: 'Timeout', message: 'no answer' });
      lane.sent[1]?.answer(fine);
      expect(await early).to.include({ type: 'NotNow', reason: 'CircuitOpen' });
      expect(await success).to.deep.equal(fine);
      expect(to.circuit.state).to.equal('Open');
    });

    it('closes on the answer to a probe, and says so', async () => {
      const to = make();
      await fail(to, 5);
      clock.advance(1000);
      const probe = send(to, 'probe');
      await new Promise(setImmediate);
      expect(to.circuit.state).to.equal('HalfOpen');
      lane.sent.at(-1)?.answer({ type: 'BusinessFailure', reason: 'OutOfStock', message: 'none left' });
      expect(await probe).to.have.property('type', 'BusinessFailure');
      expect(changes.map(([before, { state }]) => `${before} ${state}`)).to.deep.equal([
        'Closed Open',
        'HalfOpen Closed',
      ]);
    });

    it('is not opened by answers that are about the command', async () => {
      const to = make();
      for (const reason of ['HttpStatus404', 'HttpStatus401', 'NotJson', 'OutputTooLarge']) {
        for (let i = 0; i < 30; i++) {
          const answer = send(to, `o-${i}`);
          await new Promise(setImmediate);
          lane.sent.at(-1)?.answer({ type: 'Unknown', reason, message: '' });
          expect(await answer).to.have.property('type', 'Unknown');
        }
      }
      expect(changes).to.deep.equal([]);
    });
  });

  describe('its rate', () => {
    it('sends as many at once as its burst, and the rest in turn, with the time that is left to them', async () => {
      const to = make({ rate: { perSecond: 10, burst: 2 } });
      const sent = Array.from({ length: 4 }, (_, i) => send(to, `o-${i}`, { timeout: 1000 }));
      await new Promise(setImmediate);
      expect(lane.sent).to.have.length(2);
      clock.advance(100);
      await new Promise(setImmediate);
      expect(lane.sent).to.have.length(3);
      clock.advance(100);
      await new Promise(setImmediate);
      expect(lane.sent.map(({ effect }) => effect.timeout)).to.deep.equal([1000, 1000, 900, 800]);
      for (const { answer } of lane.sent) answer(fine);
      expect(await Promise.all(sent)).to.deep.equal([fine, fine, fine, fine]);
      expect(clock.pending).to.equal(0);
    });

    it('answers Busy at once to what would wait for more than half of its time', async () => {
      const to = make({ rate: { perSecond: 10, burst: 1 } });
      for (let i = 0; i < 6; i++) void send(to, `o-${i}`, { timeout: 1000 });
      const answer = await send(to, 'late', { timeout: 1000 });
      expect(answer).to.include({ type: 'NotNow', reason: 'Busy' });
      expect(answer).to.have.property('message').that.includes('600 ms').and.includes('limits.requestsPerSecond');
      expect(answer).to.have.property('retryAfter').that.is.within(300, 900);
      expect(refused).to.deep.equal(['reserve-stock NotNow']);
    });

    it('is not used up by what an open circuit refuses', async () => {
      const to = make({ rate: { perSecond: 10, burst: 5 } });
      await fail(to, 5);
      clock.advance(900);
      for (let i = 0; i < 100; i++) await send(to, `o-${i}`);
      clock.advance(100);
      void send(to, 'probe');
      await new Promise(setImmediate);
      expect(lane.sent).to.have.length(6);
    });

    it('lets go of what waits when it is closed, or when its caller gives up', async () => {
      const to = make({ rate: { perSecond: 1, burst: 1 } });
      const stop = new AbortController();
      void send(to, 'o-1', { timeout: 60_000 });
      const waiting = send(to, 'o-2', { timeout: 60_000 });
      const given = send(to, 'o-3', { timeout: 60_000 }, stop.signal);
      await new Promise(setImmediate);
      stop.abort();
      await new Promise(setImmediate);
      expect(clock.pending).to.equal(1);
      await to.close();
      expect(await waiting).to.include({ type: 'NotNow', reason: 'Closing' });
      expect(clock.pending).to.equal(0);
      lane.sent.at(-1)?.answer(fine);
      await given;
    });
  });
});
