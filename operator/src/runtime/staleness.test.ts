import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import type { Syncable } from '../kube/cache.ts';
import { createTransport, type Transport } from '../kube/transport.ts';
import { VirtualClock } from './clock.ts';
import type { HealthCheck } from './health.ts';
import { stalenessCheck } from './staleness.ts';

const MINUTE = 60_000;

describe('stalenessCheck', () => {
  let clock: VirtualClock;
  let server: Server;
  let transport: Transport;
  let answer: number | 'none';
  let probes: number;
  let lastProgress: number;
  let check: HealthCheck;

  const cache = (): Syncable => ({
    name: 'runs',
    hasSynced: true,
    lastProgress,
    stalenessMs: clock.monotonic() - lastProgress,
    run: async () => {},
    synced: async () => {},
  });

  beforeEach(async () => {
    clock = new VirtualClock();
    answer = 200;
    probes = 0;
    lastProgress = 0;
    server = createServer((request, response) => {
      probes += 1;
      if (answer === 'none') request.socket.destroy();
      else response.writeHead(answer).end('ok');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    transport = createTransport(
      { server: `http://127.0.0.1:${port}`, namespace: '', tls: () => ({}), authorization: async () => undefined },
      { maxRetries: 0 },
    );
    check = stalenessCheck({ transport, clock, caches: () => [cache()], boundMs: 5 * MINUTE, answeringMs: 30_000 });
  });

  afterEach(async () => {
    await transport.close();
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });

  const verdict = async () => {
    try {
      await check();
      return 'alive';
    } catch (error) {
      return (error as Error).message;
    }
  };

  it('asks the API server nothing while the watches advance', async () => {
    clock.advance(5 * MINUTE);
    expect(await verdict()).to.equal('alive');
    expect(probes).to.equal(0);
  });

  it('fails when the API server has answered for a while and nothing was heard', async () => {
    clock.advance(6 * MINUTE);
    expect(await verdict()).to.equal('alive');
    clock.advance(29_000);
    expect(await verdict()).to.equal('alive');
    clock.advance(1000);
    expect(await verdict()).to.equal('the API server answers but nothing was heard of: runs (390 s)');
    lastProgress = clock.monotonic();
    expect(await verdict()).to.equal('alive');
  });

  for (const down of ['none', 500, 503, 429] as const) {
    it(`never fails while the API server is down (${down}), and gives the watches time when it is back`, async () => {
      answer = down;
      for (let i = 0; i < 60; i++) {
        clock.advance(MINUTE);
        expect(await verdict()).to.equal('alive');
      }
      answer = 200;
      expect(await verdict()).to.equal('alive');
      clock.advance(20_000);
      expect(await verdict()).to.equal('alive');
      // It goes down again: the time it answered before counts no more.
      answer = down;
      clock.advance(20_000);
      expect(await verdict()).to.equal('alive');
      answer = 200;
      clock.advance(20_000);
      expect(await verdict()).to.equal('alive');
      clock.advance(30_000);
      expect(await verdict()).to.include('nothing was heard of: runs');
    });
  }

  it('takes a refusal for an answer', async () => {
    answer = 403;
    clock.advance(6 * MINUTE);
    await verdict();
    clock.advance(30_000);
    expect(await verdict()).to.include('nothing was heard of');
  });
});
