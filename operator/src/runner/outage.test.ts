import { expect } from 'chai';
import { CIRCUIT_POLICY } from '../participants/circuit.ts';
import type { Participants } from '../participants/participants.ts';
import { ParticipantRegistry } from '../participants/registry.ts';
import { answerJson, type Behaviour, type LocalServer, localServer } from '../participants/testing/local-server.ts';
import { VirtualClock } from '../runtime/clock.ts';
import { INPUT, revision, step } from '../saga/rehearsal.ts';
import type { RunId, RunState } from '../saga/types.ts';
import { MemoryJournal } from '../testing/memory-journal.ts';
import { Runner } from './runner.ts';

const RUNS = 1000;
const MINUTE = 60_000;

/** As an OrderSaga's defaults are. */
const RETRY = { maxAttempts: 10, initialInterval: 250, maxInterval: 30_000, backoffPercent: 200, jitterPercent: 20 };
const REVISION = revision([step('reserve', { participant: 'inventory', timeout: 10_000, retry: RETRY })], {
  deadline: 60 * MINUTE,
});

const answer200: Behaviour = (_, response) => answerJson(response, 200, {});

describe('A participant that is down for ten minutes', function () {
  this.timeout(120_000);
  let clock: VirtualClock;
  let service: LocalServer;
  let registry: ParticipantRegistry;
  let runner: Runner;
  let journal: MemoryJournal;
  let ended: string[];
  let opened: number;
  let waiting: number;
  let sent: number;

  beforeEach(async () => {
    clock = new VirtualClock();
    service = await localServer(answer200);
    ended = [];
    opened = waiting = sent = 0;
    registry = new ParticipantRegistry({
      tokens: async () => 'token',
      clock,
      onCircuit: (_namespace, _name, { state }) => {
        if (state === 'Open') opened++;
      },
      observer: (_name, _command, type) => {
        if (type !== 'NotNow') sent++;
      },
    });
    registry.set('shop', 'inventory', {
      baseUrl: service.url,
      audience: 'inventory',
      reasons: { 'do-reserve': [] },
    });
    const counted: Participants = {
      async send(...args) {
        waiting++;
        try {
          return await registry.send(...args);
        } finally {
          waiting--;
        }
      },
    };
    journal = new MemoryJournal();
    runner = new Runner({
      journal,
      participants: counted,
      clock,
      observer: { ended: (_, { ended: how }) => void ended.push(how ?? '') },
    });
  });
  afterEach(async () => {
    runner.abandon();
    await registry.close();
    await service.close();
  });

  const idOf = (i: number): RunId => ({ namespace: 'shop', saga: 'checkout', orderId: `o-${i}` });
  const states = (): RunState[] =>
    Array.from({ length: RUNS }, (_, i) => runner.find(idOf(i))?.state).filter((state) => state !== undefined);
  const attempts = (): number => states().reduce((sum, { steps }) => sum + (steps[0]?.action.attempts ?? 0), 0);

  /** Waits until whatever was sent is answered: answers take time of the machine, everything else the virtual clock's. */
  async function quiet(): Promise<void> {
    const end = performance.now() + 30_000;
    do {
      if (performance.now() > end) throw new Error(`${waiting} commands were not answered within 30 s`);
      await new Promise(setImmediate);
    } while (waiting > 0);
    await new Promise(setImmediate);
  }

  async function pass(millis: number, until: () => boolean = () => false): Promise<void> {
    for (const end = clock.monotonic() + millis; clock.monotonic() < end && !until(); ) {
      clock.advance(250);
      await quiet();
    }
  }

  function begin(): void {
    for (let i = 0; i < RUNS; i++) {
      const id = idOf(i);
      const context = { id, input: INPUT };
      void runner.adopt({ context, revision: REVISION, version: journal.create(id), from: { type: 'New' } });
    }
  }

  async function comeBack(): Promise<void> {
    service = await localServer(answer200, service.port);
    await pass(5 * MINUTE, () => ended.length === RUNS);
    expect(ended).to.deep.equal(Array.from({ length: RUNS }, () => 'Succeeded'));
    expect(registry.circuitOf('shop', 'inventory')).to.have.property('state', 'Closed');
  }

  it('that refuses connections, costs a thousand runs four attempts in all', async () => {
    await service.close();
    begin();
    await quiet();
    await pass(10 * MINUTE);
    expect(attempts()).to.equal(CIRCUIT_POLICY.unreachable - 1);
    expect(states().filter(({ hold, direction }) => hold === undefined && direction === 'Forward')).to.have.length(
      RUNS,
    );
    const view = registry.circuitOf('shop', 'inventory');
    expect(view?.state).to.be.oneOf(['Open', 'HalfOpen']);
    expect(view?.cause).to.have.property('reason', 'ConnectionRefused');
    // Tried at a growing distance, by few commands each time.
    expect(opened).to.be.within(15, 40);
    expect(sent).to.be.lessThan(64 + 4 * opened);
    await comeBack();
  });

  it('that answers 503, costs a thousand runs fewer attempts than the window is wide', async () => {
    service.behave((_, response) => answerJson(response, 503, { title: 'down' }));
    begin();
    await quiet();
    await pass(10 * MINUTE);
    expect(attempts()).to.be.within(1, CIRCUIT_POLICY.window - 1);
    expect(states()).to.have.length(RUNS);
    await service.close();
    await comeBack();
  });

  it('that goes away while its connections are idle, costs no more', async () => {
    const id = { namespace: 'shop', saga: 'checkout', orderId: 'first' };
    void runner.adopt({
      context: { id, input: INPUT },
      revision: REVISION,
      version: journal.create(id),
      from: { type: 'New' },
    });
    await quiet();
    expect(ended).to.deep.equal(['Succeeded']);
    ended.length = 0;
    await service.close();
    clock.advance(60 * MINUTE);
    begin();
    await quiet();
    await pass(10 * MINUTE);
    expect(attempts()).to.be.at.most(CIRCUIT_POLICY.minimum);
    expect(states()).to.have.length(RUNS);
    await comeBack();
  });
});
