import { expect } from 'chai';
import { lineOf, showLive, tableOf } from './table.ts';
import { type Played, percentile, tally } from './tally.ts';

const played = (changes: Partial<Played> = {}): Played => ({ orderId: '1', sentMs: 0, acceptedMs: 5, ...changes });

describe('the tally of a play', () => {
  it('counts runs by phase, and takes what has no status yet for pending', () => {
    const seen = tally(5, [played(), played({ phase: 'Running' }), played({ phase: 'Held', settledMs: 90 })], 0, 100);
    expect(seen.phases).to.include({ Pending: 1, Running: 1, Held: 1, Succeeded: 0 });
    expect(seen).to.include({ planned: 5, sent: 3, accepted: 3, refused: 0, settled: 1 });
  });

  it('counts apart what the API server refused and what it has not answered yet', () => {
    const { acceptedMs: _, ...underWay } = played();
    const seen = tally(2, [underWay, { ...underWay, refusal: 'no' }], 0, 100);
    expect(seen).to.include({ sent: 2, accepted: 0, refused: 1, settled: 0 });
  });

  it('gives the rate of the last three seconds only, or of the whole play if it is younger', () => {
    const early = Array.from({ length: 50 }, () => played({ phase: 'Succeeded', settledMs: 500 }));
    expect(tally(50, early, 0, 1_000).perSecond).to.equal(50);
    expect(tally(50, early, 0, 10_000).perSecond).to.equal(0);
  });

  it('measures from the create to the end', () => {
    const runs = Array.from({ length: 100 }, (_, i) =>
      played({ sentMs: 1_000, settledMs: 1_001 + i, phase: 'Succeeded' }),
    );
    expect(tally(100, runs, 0, 2_000)).to.include({ p50Ms: 50, p99Ms: 99 });
    expect(percentile([], 0.5)).to.equal(undefined);
    expect(percentile([7], 0.99)).to.equal(7);
  });
});

describe('the table of a play', () => {
  const seen = tally(
    4,
    [played(), played({ phase: 'Succeeded', settledMs: 84 }), played({ phase: 'Held', settledMs: 2_300 })],
    0,
    3_000,
  );

  it('shows runs by phase, rate and latencies, within 100 columns', () => {
    const text = tableOf(seen, 65_000);
    expect(text.join('\n')).to.include('1:05').and.include('2 of 4 orders settled').and.include('p50 84 ms, p99 2.3 s');
    for (const line of text) expect(line.length).to.be.at.most(100);
    expect(lineOf(seen, 65_000)).to.include('2/4 settled  Pending 1, Held 1, Succeeded 1');
  });

  it('is redrawn in place on a terminal, and a plain line elsewhere', () => {
    const show = (isTTY: boolean) => {
      const written: string[] = [];
      const screen = { isTTY, columns: 20, write: (text: string) => written.push(text) };
      showLive(
        screen,
        () => ['a'.repeat(30), 'b'],
        () => 'line',
      )();
      return written;
    };
    const cut = 'a'.repeat(19);
    expect(show(false)).to.deep.equal(['line\n', 'line\n']);
    expect(show(true)).to.deep.equal([`\u001b[2K${cut}\n\u001b[2Kb\n`, `\u001b[2A\u001b[2K${cut}\n\u001b[2Kb\n`]);
  });
});
