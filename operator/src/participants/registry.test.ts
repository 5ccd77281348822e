import { expect } from 'chai';
import { ParticipantConfigError } from './config.ts';
import { ParticipantRegistry } from './registry.ts';
import { configOf, effectOf, patient, runOf, testTokens } from './testing/commands.ts';
import { answerJson, type LocalServer, localServer, until } from './testing/local-server.ts';

describe('ParticipantRegistry', () => {
  let one: LocalServer;
  let two: LocalServer;
  let registry: ParticipantRegistry;
  const send = (orderId: string) => registry.send(runOf(orderId), effectOf(orderId), patient());

  beforeEach(async () => {
    one = await localServer((_, response) => answerJson(response, 200, { from: 'one' }));
    two = await localServer((_, response) => answerJson(response, 200, { from: 'two' }));
    registry = new ParticipantRegistry({ tokens: testTokens });
  });
  afterEach(async () => {
    await registry.close();
    await one.close();
    await two.close();
  });

  it('answers ParticipantUnknown, at no cost, until the participant is there', async () => {
    const answer = await send('o-1');
    expect(answer).to.include({ type: 'NotNow', reason: 'ParticipantUnknown', retryAfter: 5000 });
    expect(answer).to.have.property('message').that.includes('inventory').and.includes('shop');
    registry.set('shop', 'inventory', configOf(one.url));
    expect(await send('o-1')).to.deep.equal({ type: 'Success', output: { from: 'one' } });
    registry.delete('shop', 'inventory');
    expect(await send('o-1')).to.include({ type: 'NotNow', reason: 'ParticipantUnknown' });
  });

  it("reaches only the participants of the run's namespace", async () => {
    registry.set('elsewhere', 'inventory', configOf(one.url));
    expect(await send('o-1')).to.include({ type: 'NotNow', reason: 'ParticipantUnknown' });
    expect(one.received).to.have.length(0);
  });

  it('changes the address live, and what was sent to the old one is still answered', async () => {
    const gate = Promise.withResolvers<void>();
    one.behave(async (_, response) => {
      await gate.promise;
      answerJson(response, 200, { from: 'one' });
    });
    registry.set('shop', 'inventory', configOf(one.url, { maxInFlight: 1 }));
    const sent = send('o-1');
    await until(() => one.received.length === 1, 'the first arrived');
    const waiting = send('o-2');
    registry.set('shop', 'inventory', configOf(two.url));
    expect(await waiting).to.include({ type: 'NotNow', reason: 'Closing', retryAfter: 0 });
    expect(await send('o-2')).to.deep.equal({ type: 'Success', output: { from: 'two' } });
    gate.resolve();
    expect(await sent).to.deep.equal({ type: 'Success', output: { from: 'one' } });
    await until(() => one.sockets.size === 0, 'the old connections are closed');
  });

  it('keeps its connections when the same config is set again', async () => {
    for (let i = 0; i < 10; i++) {
      registry.set('shop', 'inventory', configOf(one.url));
      await send(`o-${i}`);
    }
    expect(new Set(one.received.map(({ connection }) => connection)).size).to.be.at.most(2);
  });

  for (const [what, over, field] of [
    ['an address that is no URL', { baseUrl: 'inventory:8080' }, 'baseUrl'],
    ['an address with a password', { baseUrl: 'http://a:b@inventory' }, 'baseUrl'],
    ['an address with a query', { baseUrl: 'http://inventory?x=1' }, 'baseUrl'],
    ['no audience', { audience: '' }, 'audience'],
    ['no places', { maxInFlight: 0 }, 'maxInFlight'],
    ['answers of no size', { maxAnswerBytes: 10 }, 'maxAnswerBytes'],
    ['batches larger than the contract allows', { batch: { maxItems: 101 } }, 'batch'],
  ] as const) {
    it(`refuses ${what}, and keeps what it had`, async () => {
      registry.set('shop', 'inventory', configOf(one.url));
      const wrong = () => registry.set('shop', 'inventory', configOf(one.url, over));
      expect(wrong).to.throw(ParticipantConfigError).with.property('field', field);
      expect(await send('o-1')).to.have.property('type', 'Success');
    });
  }

  it('counts commands for unknown participants too', async () => {
    const seen: unknown[][] = [];
    const observed = new ParticipantRegistry({ tokens: testTokens, observer: (...args) => void seen.push(args) });
    await observed.send(runOf('o-1'), effectOf('o-1'), patient());
    expect(seen).to.deep.equal([['inventory', 'reserve-stock', 'NotNow', 0]]);
  });
});
