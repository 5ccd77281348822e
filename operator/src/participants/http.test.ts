import { expect } from 'chai';
import { type Clock, systemClock, VirtualClock } from '../runtime/clock.ts';
import type { Answer } from '../saga/types.ts';
import { type HttpParticipant, httpParticipant } from './http.ts';
import type { SendEffect } from './participants.ts';
import { configOf, effectOf, patient, runOf, TEST_TOKEN, testTokens } from './testing/commands.ts';
import { answerJson, type LocalServer, localServer, type Received, until } from './testing/local-server.ts';
import { NoTokenError, type TokenSource } from './tokens.ts';

interface BatchRequest {
  readonly items: readonly { readonly key: string; readonly command: string; readonly body: unknown }[];
}

const isBatch = (request: Received): boolean => request.path.endsWith('/saga/batch');
const itemsOf = (request: Received): BatchRequest['items'] => (JSON.parse(request.body) as BatchRequest).items;

const TRACEPARENT = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;

describe('httpParticipant', () => {
  let server: LocalServer;
  const opened: HttpParticipant[] = [];
  const open = (
    over: Parameters<typeof configOf>[1] = {},
    tokens: TokenSource = testTokens,
    clock: Clock = systemClock,
  ): HttpParticipant => {
    const participant = httpParticipant({ name: 'inventory', config: configOf(server.url, over), tokens, clock });
    opened.push(participant);
    return participant;
  };
  const sendTo = (
    participant: HttpParticipant,
    orderId: string,
    over: Partial<SendEffect> = {},
    signal = patient(),
  ): Promise<Answer> => participant.send(runOf(orderId), effectOf(orderId, over), signal);

  /** A good participant: it answers each command with its own order id, alone and in batches. */
  const good = (request: Received, response: Parameters<Parameters<LocalServer['behave']>[0]>[1]): void => {
    if (!isBatch(request)) return answerJson(response, 200, { key: request.headers['idempotency-key'] });
    answerJson(response, 200, { items: itemsOf(request).map(({ key }) => ({ status: 200, body: { key } })) });
  };
  const ownKey = (orderId: string): Answer => ({
    type: 'Success',
    output: { key: `shop/checkout/${orderId}/reserve/action` },
  });

  beforeEach(async () => {
    server = await localServer(good);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((participant) => participant.close()));
    await server.close();
  });

  describe('one command', () => {
    it("goes out as the contract says, under the participant's base path", async () => {
      const participant = open({ baseUrl: `${server.url}/internal/v1/` });
      expect(await sendTo(participant, 'o-1', { epoch: 2, traceparent: TRACEPARENT })).to.deep.equal(ownKey('o-1'));
      const [request] = server.received;
      expect(request).to.include({ method: 'POST', path: '/internal/v1/saga/reserve-stock' });
      expect(request?.body).to.equal('{"currency":"GBP","lines":[{"quantity":2,"sku":"tea","unitPrice":450}]}');
      expect(request?.headers).to.include({
        'content-type': 'application/json',
        authorization: `Bearer ${TEST_TOKEN}`,
        'idempotency-key': 'shop/checkout/o-1/reserve/action',
        'mercato-epoch': '2',
        'mercato-begun': '2026-11-22T12:00:00.000Z',
        traceparent: TRACEPARENT,
      });
    });

    it('uses connections again', async () => {
      const participant = open();
      for (let i = 0; i < 10; i++) await sendTo(participant, `o-${i}`);
      // Two: an answer is handed on a moment before its connection counts as free.
      expect(new Set(server.received.map(({ connection }) => connection)).size).to.be.at.most(2);
    });

    it('is not sent when the Participant does not declare it', async () => {
      const answer = await sendTo(open(), 'o-1', { command: 'constructor' });
      expect(answer).to.include({ type: 'NotNow', reason: 'CommandUnknown', retryAfter: 5000 });
      expect(server.received).to.have.length(0);
    });

    it('is not sent when its body is larger than the contract allows', async () => {
      const answer = await sendTo(open(), 'o-1', { body: { note: 'x'.repeat(70_000) } });
      expect(answer).to.include({ type: 'Unknown', reason: 'BodyTooLarge' });
      expect(server.received).to.have.length(0);
    });

    it('is not sent when its body cannot be written as JSON', async () => {
      const answer = await sendTo(open(), 'o-1', { body: { total: Number.NaN } });
      expect(answer).to.include({ type: 'Unknown', reason: 'BodyNotJson' });
    });
  });

  describe('its limit', () => {
    it('sends at most maxInFlight at once, and the rest in order', async () => {
      const participant = open({ maxInFlight: 3 });
      let most = 0;
      let now = 0;
      server.behave(async (request, response) => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 5));
        now--;
        good(request, response);
      });
      const ids = Array.from({ length: 12 }, (_, i) => `o-${i}`);
      const answers = await Promise.all(ids.map((id) => sendTo(participant, id)));
      expect(answers).to.deep.equal(ids.map(ownKey));
      expect(most).to.equal(3);
      const later = server.received.slice(3).map(({ headers }) => String(headers['idempotency-key']).split('/')[2]);
      expect(later).to.deep.equal(ids.slice(3));
    });

    it('answers Busy to what found no place in time, and that was not sent', async () => {
      const clock = new VirtualClock();
      const participant = open({ maxInFlight: 1 }, testTokens, clock);
      server.behave(() => {});
      const first = sendTo(participant, 'o-1', { timeout: 400 });
      const second = sendTo(participant, 'o-2', { timeout: 200 });
      await until(() => server.received.length === 1, 'the first arrived');
      clock.advance(100);
      expect(await second).to.include({ type: 'NotNow', reason: 'Busy' });
      clock.advance(300);
      expect(await first).to.include({ type: 'Unknown', reason: 'Timeout' });
      expect(server.received).to.have.length(1);
    });
  });

  describe('its time limit', () => {
    it('is spent on waiting for a place by half, and on the rest in all', async () => {
      const clock = new VirtualClock();
      const participant = open({ maxInFlight: 1 }, testTokens, clock);
      server.behave(() => {});
      const answers: string[] = [];
      const note = (orderId: string) => async (answer: Answer) =>
        void answers.push(`${orderId} ${'reason' in answer ? answer.reason : answer.type}`);
      const first = sendTo(participant, 'first', { timeout: 1000 }).then(note('first'));
      const second = sendTo(participant, 'second', { timeout: 1000 }).then(note('second'));
      await until(() => server.received.length === 1, 'the first arrived');
      clock.advance(499);
      await new Promise(setImmediate);
      expect(answers).to.deep.equal([]);
      clock.advance(1);
      await second;
      expect(answers).to.deep.equal(['second Busy']);
      clock.advance(499);
      await new Promise(setImmediate);
      expect(answers).to.deep.equal(['second Busy']);
      clock.advance(1);
      await first;
      expect(answers).to.deep.equal(['second Busy', 'first Timeout']);
      expect(clock.pending).to.equal(0);
    });
  });

  it('takes an answer that came while this process stood still for longer than its time', async () => {
    const clock = new VirtualClock();
    const participant = open({}, testTokens, clock);
    server.behave((request, response) => {
      good(request, response);
      setTimeout(() => clock.advance(1000), 1);
      // The timer is due, and the answer there, when anything is looked at again.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    });
    expect(await sendTo(participant, 'o-1', { timeout: 1000 })).to.deep.equal(ownKey('o-1'));
  });

  describe('its signal', () => {
    it('ends a command that was sent, and its connection', async () => {
      const participant = open();
      server.behave(() => {});
      const stop = new AbortController();
      const answer = sendTo(participant, 'o-1', { timeout: 3_600_000 }, stop.signal);
      await until(() => server.received.length === 1, 'the command arrived');
      stop.abort();
      expect(await answer).to.include({ type: 'Unknown', reason: 'Aborted' });
      await until(() => server.sockets.size === 0, 'the connection is closed');
    });

    it('ends a command that waits for a place, and one that was never begun', async () => {
      const participant = open({ maxInFlight: 1 });
      server.behave(() => {});
      const stop = new AbortController();
      const first = sendTo(participant, 'o-1', { timeout: 3_600_000 }, stop.signal);
      const second = sendTo(participant, 'o-2', { timeout: 3_600_000 }, stop.signal);
      await until(() => server.received.length === 1, 'the first arrived');
      stop.abort();
      expect(await first).to.include({ type: 'Unknown', reason: 'Aborted' });
      expect(await second).to.include({ type: 'NotNow', reason: 'Aborted' });
      expect(await sendTo(participant, 'o-3', {}, stop.signal)).to.include({ type: 'NotNow', reason: 'Aborted' });
      expect(server.received).to.have.length(1);
    });

    it('is looked at anew when the connection is there: a worker that was stopped in between may not act any more', async () => {
      let may = true;
      const participant = open({ batch: { maxItems: 100 } }, async () => {
        may = false;
        return TEST_TOKEN;
      });
      const mayGo = () => may;
      expect(await sendTo(participant, 'o-1', { mayGo })).to.include({ type: 'NotNow', reason: 'Aborted' });
      may = true;
      const [mine, neighbour] = [sendTo(participant, 'o-1', { mayGo }), sendTo(participant, 'o-2')];
      expect(await mine).to.include({ type: 'NotNow', reason: 'Aborted' });
      expect(await neighbour, 'comes again without it').to.include({ type: 'NotNow', retryAfter: 0 });
      expect(server.received).to.have.length(0);
      expect(await sendTo(participant, 'o-2')).to.deep.equal(ownKey('o-2'));
    });

    it('keeps no listener once the answer is in', async () => {
      const participant = open();
      const stop = new AbortController();
      let listeners = 0;
      const { addEventListener, removeEventListener } = stop.signal;
      stop.signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
        listeners++;
        addEventListener.apply(stop.signal, args);
      };
      stop.signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
        listeners--;
        removeEventListener.apply(stop.signal, args);
      };
      await sendTo(participant, 'o-1', {}, stop.signal);
      expect(listeners).to.equal(0);
    });
  });

  describe('its token', () => {
    it('costs no attempt when it cannot be had', async () => {
      const participant = open({}, async (audience) => {
        throw new NoTokenError(audience, 'the API server is away');
      });
      const answer = await sendTo(participant, 'o-1');
      expect(answer).to.include({ type: 'NotNow', reason: 'NoToken', retryAfter: 1000 });
      expect(answer).to.have.property('message').that.includes('inventory').and.includes('the API server is away');
    });

    it('costs no attempt when it does not come in time, and what waited longer is sent without what gave up', async () => {
      const clock = new VirtualClock();
      const asked = Promise.withResolvers<void>();
      const token = Promise.withResolvers<string>();
      const tokens = () => {
        asked.resolve();
        return token.promise;
      };
      const participant = open({ batch: { maxItems: 100 } }, tokens, clock);
      const hasty = sendTo(participant, 'hasty', { timeout: 100 });
      const calm = sendTo(participant, 'calm', { timeout: 10_000 });
      await asked.promise;
      clock.advance(100);
      expect(await hasty).to.include({ type: 'NotNow', reason: 'NoToken' });
      token.resolve('late');
      expect(await calm).to.deep.equal(ownKey('calm'));
      expect(server.received.map(({ path }) => path)).to.deep.equal(['/saga/reserve-stock']);
    });

    it('is reported when the participant does not accept it', async () => {
      const rejected: string[][] = [];
      const tokens: TokenSource = Object.assign(async () => 'T', {
        rejected: (...args: string[]) => void rejected.push(args),
      });
      server.behave((_, response) => answerJson(response, 401, { detail: 'unknown key' }));
      expect(await sendTo(open({}, tokens), 'o-1')).to.include({ type: 'Unknown', reason: 'HttpStatus401' });
      expect(rejected).to.deep.equal([['inventory', 'T']]);
    });
  });

  describe('its batches', () => {
    it('take what comes in one turn, and give each command its own answer', async () => {
      const participant = open({ batch: { maxItems: 4 } });
      const ids = Array.from({ length: 10 }, (_, i) => `o-${i}`);
      expect(await Promise.all(ids.map((id) => sendTo(participant, id)))).to.deep.equal(ids.map(ownKey));
      expect(
        server.received
          .filter(isBatch)
          .map((request) => itemsOf(request).length)
          .sort(),
      ).to.deep.equal([2, 4, 4]);
      expect(server.received.filter(isBatch)[0]?.headers).to.include({ authorization: `Bearer ${TEST_TOKEN}` });
    });

    it('send a command that comes alone as a request of its own', async () => {
      const participant = open({ batch: { maxItems: 100 } });
      expect(await sendTo(participant, 'o-1')).to.deep.equal(ownKey('o-1'));
      expect(server.received.map(({ path }) => path)).to.deep.equal(['/saga/reserve-stock']);
    });

    it('collect what comes while all places are taken', async () => {
      const participant = open({ batch: { maxItems: 100 }, maxInFlight: 1 });
      const gate = Promise.withResolvers<void>();
      server.behave(async (request, response) => {
        await gate.promise;
        good(request, response);
      });
      const first = sendTo(participant, 'o-0');
      await until(() => server.received.length === 1, 'the first arrived');
      const rest: Promise<Answer>[] = [];
      for (let i = 1; i <= 20; i++) {
        rest.push(sendTo(participant, `o-${i}`));
        await new Promise(setImmediate);
      }
      gate.resolve();
      expect(await first).to.deep.equal(ownKey('o-0'));
      await Promise.all(rest);
      expect(server.received).to.have.length(2);
      expect(itemsOf(server.received[1]!).map(({ key }) => key.split('/')[2])).to.deep.equal(
        Array.from({ length: 20 }, (_, i) => `o-${i + 1}`),
      );
    });

    it('give each item what it was answered', async () => {
      const participant = open({ batch: { maxItems: 100 } });
      const items = [
        { status: 200, body: { ok: true } },
        { status: 422, body: { reason: 'OutOfStock', detail: 'none left' } },
        { status: 425, retryAfter: 0.2, body: {} },
        { status: 409, body: { reason: 'StaleEpoch', detail: 'older', epoch: 2 } },
        { status: 500, body: { detail: 'broken' } },
        { status: 200, body: { blob: 'x'.repeat(100_000) } },
        'nonsense',
      ];
      server.behave((_, response) => answerJson(response, 200, { items }));
      const answers = await Promise.all(items.map((_, i) => sendTo(participant, `o-${i}`)));
      expect(answers.map((answer) => ('reason' in answer ? answer.reason : answer.type))).to.deep.equal([
        'Success',
        'OutOfStock',
        'InFlight',
        'StaleEpoch',
        'HttpStatus500',
        'OutputTooLarge',
        'BadBatchAnswer',
      ]);
    });

    it('stay within 1 MiB', async () => {
      const participant = open({ batch: { maxItems: 100 } });
      const ids = Array.from({ length: 40 }, (_, i) => `o-${i}`);
      const body = { note: 'x'.repeat(60_000) };
      expect(await Promise.all(ids.map((id) => sendTo(participant, id, { body })))).to.deep.equal(ids.map(ownKey));
      for (const request of server.received) expect(Buffer.byteLength(request.body)).to.be.at.most(1_048_576);
      expect(server.received).to.have.length(3);
    });

    it('cost no attempt when the service has too much to do', async () => {
      const participant = open({ batch: { maxItems: 100 } });
      server.behave((_, response) => answerJson(response, 429, {}, { 'retry-after': '2' }));
      for (const answer of await Promise.all(['o-1', 'o-2'].map((id) => sendTo(participant, id)))) {
        expect(answer).to.include({ type: 'NotNow', reason: 'Overloaded', retryAfter: 2000 });
      }
    });

    it('leave every command its own time limit', async () => {
      const clock = new VirtualClock();
      const participant = open({ batch: { maxItems: 100 } }, testTokens, clock);
      const gate = Promise.withResolvers<void>();
      server.behave(async (request, response) => {
        await gate.promise;
        good(request, response);
      });
      const hasty = sendTo(participant, 'hasty', { timeout: 100 });
      const calm = sendTo(participant, 'calm', { timeout: 10_000 });
      await until(() => server.received.length === 1, 'both arrived');
      clock.advance(100);
      expect(await hasty).to.include({ type: 'Unknown', reason: 'Timeout' });
      gate.resolve();
      expect(await calm).to.deep.equal(ownKey('calm'));
      expect(server.received).to.have.length(1);
    });

    it('do not have a command again that was too slow for them, until it was answered', async () => {
      const clock = new VirtualClock();
      const participant = open({ batch: { maxItems: 100 } }, testTokens, clock);
      const gate = Promise.withResolvers<void>();
      server.behave(async (request, response) => {
        await gate.promise;
        good(request, response);
      });
      const hasty = sendTo(participant, 'hasty', { timeout: 100 });
      const calm = sendTo(participant, 'calm');
      await until(() => server.received.length === 1, 'both arrived');
      clock.advance(100);
      await hasty;
      gate.resolve();
      await calm;
      const round = () => Promise.all(['calm', 'hasty', 'other'].map((id) => sendTo(participant, id)));
      await round();
      expect(server.received.filter(isBatch)).to.have.length(1);
      await round();
      expect(server.received.filter(isBatch).map((request) => itemsOf(request).length)).to.deep.equal([2, 3]);
    });

    it('end their connection when nobody waits for them any more', async () => {
      const clock = new VirtualClock();
      const participant = open({ batch: { maxItems: 100 } }, testTokens, clock);
      server.behave(() => {});
      const sent = [50, 100, 150].map((timeout) => sendTo(participant, `o-${timeout}`, { timeout }));
      await until(() => server.received.length === 1, 'they arrived');
      clock.advance(150);
      for (const answer of await Promise.all(sent)) expect(answer).to.include({ type: 'Unknown', reason: 'Timeout' });
      await until(() => server.sockets.size === 0, 'the connection is closed');
    });

    it('free its neighbours from a command that spoils them: each is sent alone the next time', async () => {
      const participant = open({ batch: { maxItems: 100 } });
      const poison = (text: string) => text.includes('/poison/');
      server.behave((request, response) => {
        if (poison(request.body) || poison(String(request.headers['idempotency-key'])))
          response.socket?.resetAndDestroy();
        else good(request, response);
      });
      const ids = ['a', 'poison', 'b'];
      const round = () => Promise.all(ids.map((id) => sendTo(participant, id)));
      expect((await round()).map(({ type }) => type)).to.deep.equal(['Unknown', 'Unknown', 'Unknown']);
      expect((await round()).map(({ type }) => type)).to.deep.equal(['Success', 'Unknown', 'Success']);
      // The innocent are trusted again, the culprit stays alone.
      expect((await round()).map(({ type }) => type)).to.deep.equal(['Success', 'Unknown', 'Success']);
      expect(server.received.filter(isBatch).map((request) => itemsOf(request).length)).to.deep.equal([3]);
    });
  });

  it('mixes up nothing between many commands at once', async () => {
    const participant = open({ batch: { maxItems: 7 }, maxInFlight: 5 });
    server.behave(async (request, response) => {
      // Answers overtake each other.
      await new Promise((resolve) => setTimeout(resolve, request.body.length % 7));
      good(request, response);
    });
    const ids = Array.from({ length: 300 }, (_, i) => `o-${i}`);
    const answers = await Promise.all(
      ids.map((id, i) => sendTo(participant, id, { body: { note: 'x'.repeat(i % 13) } })),
    );
    expect(answers).to.deep.equal(ids.map(ownKey));
    const outputs = new Set(answers.map((answer) => (answer.type === 'Success' ? answer.output : undefined)));
    expect(outputs.size).to.equal(ids.length);
  });

  it('tells its observer of every command, how it was answered and how long it took', async () => {
    const seen: [string, string, string, number][] = [];
    const participant = httpParticipant({
      name: 'inventory',
      config: configOf(server.url),
      tokens: testTokens,
      observer: (...args) => void seen.push(args),
    });
    opened.push(participant);
    await sendTo(participant, 'o-1');
    await sendTo(participant, 'o-2', { command: 'dance' });
    expect(seen.map(([name, command, type]) => [name, command, type])).to.deep.equal([
      ['inventory', 'reserve-stock', 'Success'],
      ['inventory', 'dance', 'NotNow'],
    ]);
    for (const [, , , seconds] of seen) expect(seconds).to.be.within(0, 60);
  });

  describe('when it is closed', () => {
    it('lets what was sent end, and tells the rest to come again', async () => {
      const participant = open({ maxInFlight: 1 });
      const gate = Promise.withResolvers<void>();
      server.behave(async (request, response) => {
        await gate.promise;
        good(request, response);
      });
      const sent = sendTo(participant, 'o-1');
      await until(() => server.received.length === 1, 'the first arrived');
      const waiting = sendTo(participant, 'o-2');
      const closed = participant.close();
      expect(await waiting).to.include({ type: 'NotNow', reason: 'Closing', retryAfter: 0 });
      expect(await sendTo(participant, 'o-3')).to.include({ type: 'NotNow', reason: 'Closing' });
      gate.resolve();
      expect(await sent).to.deep.equal(ownKey('o-1'));
      await closed;
      await until(() => server.sockets.size === 0, 'the connections are closed');
      expect(server.received).to.have.length(1);
    });
  });
});
