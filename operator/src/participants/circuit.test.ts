import { expect } from 'chai';
import fc from 'fast-check';
import { CIRCUIT_POLICY, Circuit, type Permit } from './circuit.ts';
import type { Verdict } from './verdict.ts';

const policy = { ...CIRCUIT_POLICY, jitterPercent: 0 };

/** Sends one command that ends so, at once. @returns what came of it. */
function command(circuit: Circuit, verdict: Verdict, now: number, key = 'k'): 'refused' | 'costs' | 'free' {
  const permit = circuit.admit(now, key);
  if ('retryIn' in permit) return 'refused';
  return circuit.settle(permit, verdict, now) ? 'costs' : 'free';
}

const commands = (circuit: Circuit, verdict: Verdict, count: number, now: number): string[] =>
  Array.from({ length: count }, () => command(circuit, verdict, now));

function admitted(circuit: Circuit, now: number): Permit {
  const permit = circuit.admit(now, 'k');
  if ('retryIn' in permit) throw new Error(`refused for ${permit.retryIn} ms`);
  return permit;
}

/** Open since `now`, for a second. */
function open(now: number): Circuit {
  const circuit = new Circuit('shop/inventory', policy);
  commands(circuit, 'Unreachable', 5, now);
  expect(circuit.stateAt(now)).to.equal('Open');
  return circuit;
}

describe('Circuit', () => {
  describe('closed', () => {
    it('opens when half of the window failed, and not below the minimum', () => {
      const circuit = new Circuit('shop/inventory', policy);
      commands(circuit, 'Fails', 19, 0);
      expect(circuit.stateAt(0)).to.equal('Closed');
      expect(command(circuit, 'Fails', 0)).to.equal('free');
      expect(circuit.stateAt(0)).to.equal('Open');
    });

    it('stays closed while more than half is answered', () => {
      const circuit = new Circuit('shop/inventory', policy);
      for (let i = 0; i < 1000; i++) commands(circuit, i % 5 < 3 ? 'Answers' : 'Fails', 1, i);
      expect(circuit.stateAt(1000)).to.equal('Closed');
    });

    it('opens within its window however many successes came before: they are counted, not timed', () => {
      const circuit = new Circuit('shop/inventory', policy);
      commands(circuit, 'Answers', 10_000, 0);
      const outcomes = commands(circuit, 'Fails', 100, 1);
      expect(outcomes.filter((outcome) => outcome === 'costs')).to.have.length(24);
      expect(outcomes[24]).to.equal('free');
      expect(outcomes.slice(25).every((outcome) => outcome === 'refused')).to.equal(true);
    });

    it('forgets what is older than the window', () => {
      const circuit = new Circuit('shop/inventory', policy);
      commands(circuit, 'Fails', 19, 0);
      command(circuit, 'Fails', policy.windowMillis + 1);
      expect(circuit.stateAt(policy.windowMillis + 1)).to.equal('Closed');
    });

    it('opens at the fifth connection in a row that could not be made, also after it was idle', () => {
      const circuit = new Circuit('shop/inventory', policy);
      commands(circuit, 'Answers', 50, 0);
      const afterIdle = 3_600_000;
      expect(commands(circuit, 'Unreachable', 6, afterIdle)).to.deep.equal([
        ...['costs', 'costs', 'costs', 'costs'],
        'free',
        'refused',
      ]);
    });

    it('does not take refused connections for a row when there was an answer, or a long time, between them', () => {
      const circuit = new Circuit('shop/inventory', policy);
      for (let i = 0; i < 9; i++) {
        commands(circuit, 'Unreachable', 4, i * 1000);
        commands(circuit, 'Answers', 8, i * 1000);
      }
      expect(circuit.stateAt(9000)).to.equal('Closed');
      const rare = new Circuit('shop/inventory', policy);
      for (let i = 1; i < 50; i++) command(rare, 'Unreachable', i * 61_000);
      expect(rare.stateAt(50 * 61_000)).to.equal('Closed');
    });

    it('learns nothing from what was not asked', () => {
      const circuit = new Circuit('shop/inventory', policy);
      commands(circuit, 'Fails', 19, 0);
      commands(circuit, 'Silent', 1000, 0);
      expect(circuit.stateAt(0)).to.equal('Closed');
      command(circuit, 'Fails', 0);
      expect(circuit.stateAt(0)).to.equal('Open');
    });
  });

  describe('open', () => {
    it('refuses, and says when to come again, spread by key', () => {
      const circuit = open(0);
      const waits = Array.from({ length: 100 }, (_, i) => circuit.refusal(400, `o-${i}`)?.retryIn ?? -1);
      expect(Math.min(...waits)).to.be.within(600, 620);
      expect(Math.max(...waits)).to.be.within(800, 850);
    });

    it('takes no cost of what was sent before it opened, whenever that fails', () => {
      const circuit = new Circuit('shop/inventory', policy);
      const early = Array.from({ length: 3 }, () => admitted(circuit, 0));
      commands(circuit, 'Unreachable', 5, 1);
      expect(circuit.settle(early[0]!, 'Fails', 2)).to.equal(false);
      expect(circuit.until).to.equal(1001);
      expect(command(circuit, 'Answers', 1001)).to.equal('costs');
      expect(circuit.stateAt(1001)).to.equal('Closed');
      for (let i = 0; i < 30; i++) expect(circuit.settle(early[1]!, 'Fails', 1002)).to.equal(false);
      expect(circuit.stateAt(1002)).to.equal('Closed');
    });

    it('is not closed by a late answer to what was sent before', () => {
      const circuit = new Circuit('shop/inventory', policy);
      const early = admitted(circuit, 0);
      commands(circuit, 'Unreachable', 5, 0);
      circuit.settle(early, 'Answers', 1);
      expect(circuit.stateAt(1)).to.equal('Open');
    });

    it('stays open for twice as long each time, up to its bound, and begins anew after a long time closed', () => {
      const circuit = open(0);
      const spans: number[] = [];
      let now = 1000;
      for (let i = 0; i < 7; i++) {
        expect(command(circuit, 'Fails', now)).to.equal('free');
        spans.push(circuit.until! - now);
        now = circuit.until!;
      }
      expect(spans).to.deep.equal([2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
      command(circuit, 'Answers', now);
      commands(circuit, 'Unreachable', 5, now + 60_000);
      expect(circuit.until! - now - 60_000).to.equal(30_000);
      command(circuit, 'Answers', circuit.until!);
      now = circuit.until ?? now + 90_000;
      commands(circuit, 'Unreachable', 5, now + 61_000);
      expect(circuit.until! - now - 61_000).to.equal(1000);
    });

    it('has its time moved by a hash of its seed, the same each time', () => {
      const openFor = (seed: string) => {
        const circuit = new Circuit(seed);
        commands(circuit, 'Unreachable', 5, 0);
        return circuit.until!;
      };
      const spans = Array.from({ length: 50 }, (_, i) => openFor(`shop/p-${i}`));
      expect(spans).to.deep.equal(Array.from({ length: 50 }, (_, i) => openFor(`shop/p-${i}`)));
      expect(new Set(spans).size).to.be.greaterThan(40);
      for (const span of spans) expect(span).to.be.within(800, 1200);
    });
  });

  describe('half-open', () => {
    it('lets few probes through at once', () => {
      const circuit = open(0);
      const probes = Array.from({ length: 3 }, () => admitted(circuit, 1000));
      expect(circuit.stateAt(1000)).to.equal('HalfOpen');
      expect(circuit.admit(1000, 'k')).to.have.property('retryIn').that.is.within(500, 1500);
      circuit.settle(probes[0]!, 'Silent', 1100);
      admitted(circuit, 1100);
      expect(circuit.admit(1100, 'k')).to.have.property('retryIn');
    });

    it('closes on an answer, and counts from nothing', () => {
      const circuit = open(0);
      command(circuit, 'Answers', 1000);
      expect(circuit.stateAt(1000)).to.equal('Closed');
      expect(commands(circuit, 'Unreachable', 4, 1001)).to.deep.equal(['costs', 'costs', 'costs', 'costs']);
      expect(circuit.stateAt(1001)).to.equal('Closed');
    });

    it('opens again once for all probes that fail, and none of them costs anything', () => {
      const circuit = open(0);
      const probes = Array.from({ length: 3 }, () => admitted(circuit, 1000));
      for (const probe of probes) expect(circuit.settle(probe, 'Fails', 2000)).to.equal(false);
      expect(circuit.until).to.equal(4000);
    });
  });

  it('costs fewer attempts in all than its window is wide, however an outage comes and however long it lasts', () => {
    const verdicts = fc.constantFrom<Verdict>('Answers', 'Fails', 'Unreachable', 'Silent');
    const before = fc.array(fc.tuple(verdicts, fc.nat(100)), { maxLength: 200 });
    const outage = fc.array(fc.tuple(fc.constantFrom<Verdict>('Fails', 'Unreachable'), fc.nat(200), fc.nat(5)), {
      minLength: 1000,
      maxLength: 3000,
    });
    fc.assert(
      fc.property(before, outage, (first, down) => {
        const circuit = new Circuit('shop/inventory');
        let now = 0;
        for (const [verdict, millis] of first) {
          now += millis;
          command(circuit, verdict, now);
        }
        let costs = 0;
        const flying: Permit[] = [];
        for (const [verdict, millis, most] of down) {
          now += millis;
          const permit = circuit.admit(now, 'k');
          if (!('retryIn' in permit)) flying.push(permit);
          // Answers come in any order of what is in flight.
          while (flying.length > most) if (circuit.settle(flying.pop()!, verdict, now)) costs++;
        }
        expect(costs).to.be.lessThan(CIRCUIT_POLICY.window);
      }),
      { numRuns: 100 },
    );
  });

  it('lets commands through again within its longest time, whatever came before', () => {
    const verdicts = fc.constantFrom<Verdict>('Answers', 'Fails', 'Unreachable', 'Silent');
    fc.assert(
      fc.property(fc.array(fc.tuple(verdicts, fc.nat(5000)), { maxLength: 500 }), (steps) => {
        const circuit = new Circuit('shop/inventory');
        let now = 0;
        for (const [verdict, millis] of steps) {
          now += millis;
          command(circuit, verdict, now);
        }
        const later = now + CIRCUIT_POLICY.longestOpenMillis * 1.2;
        expect(command(circuit, 'Answers', later)).not.to.equal('refused');
        expect(circuit.stateAt(later)).to.equal('Closed');
      }),
    );
  });
});
