import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { type HttpExchange, httpExchange } from '../exchange.ts';
import { instant, milliseconds } from '../units.ts';
import { type AppendLog, memoryLog } from './append-log.ts';
import { inProcessExchange, type SimulatedBackend } from './backend.ts';
import { DEFAULT_FAULT_TIMES, type Fault, planOf } from './faults.ts';
import { type SimulatorServer, serveSimulator } from './server.ts';

/** A backend that does what its path says, and counts what it did. */
const echo: SimulatedBackend<string> = {
  receive: ({ path, body }) => {
    const fault = path === '/ok' ? undefined : (path.slice(1) as Fault);
    return {
      plan: planOf(fault, DEFAULT_FAULT_TIMES),
      work: () => ({ status: 200, body: { path, body }, entries: [path] }),
    };
  },
};

/** What a fault looks like to a caller with a time-out of 2 s, and how often the work is in the log in the end. */
const FAULTS: [Fault | 'ok', 'answered' | 'error' | 'unknown', number][] = [
  ['ok', 'answered', 1],
  ['late', 'answered', 1],
  ['double', 'answered', 2],
  ['error', 'error', 0],
  ['error_after', 'error', 1],
  ['html', 'unknown', 0],
  ['drop', 'unknown', 1],
  ['timeout', 'unknown', 1],
  ['ghost', 'unknown', 1],
];

describe('a simulated company', () => {
  const clock = () => new VirtualClock(instant(0));

  for (const [fault, seen, done] of FAULTS) {
    it(`fails in the same process as told (${fault})`, async () => {
      const log = memoryLog<string>();
      const time = clock();
      const asked = inProcessExchange({ backend: echo, log, clock: time })({ method: 'POST', path: `/${fault}` });
      let isDone = false;
      const end = asked.then((exchanged) => {
        isDone = true;
        return exchanged;
      });
      while (!isDone) {
        await new Promise((resolve) => setImmediate(resolve));
        time.advance(milliseconds(100));
      }
      const exchanged = await end;
      expect(exchanged.kind === 'answered' && exchanged.status === 500 ? 'error' : exchanged.kind).to.equal(seen);
      time.advance(milliseconds(20_000));
      expect(log.read(0, 10).entries).to.have.length(done);
    });
  }

  describe('over HTTP', () => {
    let log: AppendLog<string>;
    let server: SimulatorServer;
    let client: HttpExchange;
    let time: VirtualClock;
    const failures: unknown[] = [];
    beforeEach(async () => {
      log = memoryLog<string>();
      time = clock();
      server = await serveSimulator({ backend: echo, log, clock: time, onFailure: (error) => failures.push(error) });
      client = httpExchange({ baseUrl: server.url, timeoutMs: 15_000 });
    });
    afterEach(async () => {
      await client.close();
      await server.close();
      expect(failures).to.deep.equal([]);
    });

    for (const [fault, seen, done] of FAULTS.filter(([name]) => !['timeout', 'late', 'ghost'].includes(name))) {
      it(`fails as told (${fault})`, async () => {
        const exchanged = await client.exchange({ method: 'POST', path: `/${fault}`, body: { a: 1 } });
        expect(exchanged.kind === 'answered' && exchanged.status === 500 ? 'error' : exchanged.kind).to.equal(seen);
        if (fault === 'ok') expect(exchanged).to.deep.include({ body: { path: '/ok', body: { a: 1 } } });
        expect(log.read(0, 10).entries).to.have.length(done);
      });
    }

    it('answers late when its clock says so', async () => {
      let isAnswered = false;
      const asked = client.exchange({ method: 'POST', path: '/late' }).then((exchanged) => {
        isAnswered = true;
        return exchanged;
      });
      while (log.read(0, 10).entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(isAnswered).to.equal(false);
      time.advance(milliseconds(DEFAULT_FAULT_TIMES.lateMs));
      expect(await asked).to.include({ kind: 'answered', status: 200 });
    });

    it('serves its log in pages, and says how it is', async () => {
      for (const path of ['/ok', '/double']) await client.exchange({ method: 'POST', path });
      const page = await client.exchange({ method: 'GET', path: '/log?cursor=1&limit=1' });
      expect(page).to.deep.include({ body: { entries: ['/double'], next: 2 } });
      expect(await client.exchange({ method: 'GET', path: '/log?cursor=x' })).to.include({ status: 400 });
      expect(await client.exchange({ method: 'GET', path: '/health' })).to.include({ status: 200 });
    });

    it('refuses a body that is none or too large', async () => {
      const text = { method: 'POST', path: '/ok', headers: { 'content-type': 'application/json' } } as const;
      expect(await client.exchange({ ...text, body: '{"half' })).to.include({ status: 400 });
      expect(await client.exchange({ ...text, body: `"${'x'.repeat(70_000)}"` })).to.include({ status: 413 });
      expect(log.read(0, 10).entries).to.deep.equal([]);
    });
  });
});
