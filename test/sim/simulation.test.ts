import { expect } from 'chai';
import { play } from './campaign.ts';
import { SEEDS } from './gate.ts';
import { JOURNALS } from './journals.ts';
import { failureReport, Tally } from './report.ts';
import { World } from './world.ts';

describe('the simulation', () => {
  it('plays a seed the same each time', async () => {
    for (const seed of [3, 17, 101, 107, 13, 353]) {
      const traces: string[][] = [[], []];
      for (const trace of traces) await new World(seed, (line) => trace.push(line)).play();
      expect(traces[0]).to.have.length.greaterThan(50);
      expect(traces[1]).to.deep.equal(traces[0]);
    }
  });

  it(`conserves every order over ${SEEDS} seeds, whatever goes wrong`, async function () {
    this.timeout('20m');
    const tally = new Tally();
    const failed = await play({ from: 1, count: SEEDS, onOutcome: (outcome) => tally.add(outcome) });
    expect(failed.map(failureReport).join('\n'), `${failed.length} seeds failed`).to.equal('');
    expect(tally.seeds).to.equal(SEEDS);
    for (const journal of JOURNALS) expect(tally.journals.get(journal) ?? 0, journal).to.be.greaterThan(SEEDS / 4);
    // What never happens is not tested: each way to end must have been gone often.
    for (const end of ['Succeeded', 'Compensated', 'Aborted', 'StepFailed']) {
      expect(tally.ends.get(end) ?? 0, end).to.be.greaterThan(SEEDS / 50);
    }
  });
});
