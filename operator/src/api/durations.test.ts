import { expect } from 'chai';
import fc from 'fast-check';
import { asMilliseconds, formatDuration, InvalidDuration, type Milliseconds, parseDuration } from './durations.ts';
import { DURATION } from './schema.ts';

const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }).map((value) => value as Milliseconds);

describe('durations', () => {
  it('read back as they were written', () => {
    fc.assert(fc.property(time, (value) => parseDuration(formatDuration(value)) === value));
  });

  it('are written in one way only', () => {
    fc.assert(
      fc.property(time, (value) => formatDuration(parseDuration(formatDuration(value))) === formatDuration(value)),
    );
  });

  it('add up their parts in any order', () => {
    const part = fc.tuple(
      fc.nat(999_999),
      fc.constantFrom(['ms', 1], ['s', 1000], ['m', 60_000], ['h', 3_600_000], ['d', 86_400_000]),
    );
    fc.assert(
      fc.property(
        fc.array(part as fc.Arbitrary<[number, [string, number]]>, { minLength: 1, maxLength: 4 }),
        (parts) => {
          const text = parts.map(([count, [unit]]) => `${count}${unit}`).join('');
          return parseDuration(text) === parts.reduce((total, [count, [, factor]]) => total + count * factor, 0);
        },
      ),
    );
  });

  it('take every text that the API server takes', () => {
    fc.assert(
      fc.property(fc.stringMatching(new RegExp(DURATION.pattern)), (text) => {
        expect(parseDuration(text)).to.be.at.least(0);
      }),
    );
  });

  it('are read by their units', () => {
    const cases: Record<string, number> = {
      '250ms': 250,
      '15m': 900_000,
      '1h30m': 5_400_000,
      '35d': 3_024_000_000,
      '0s': 0,
      '1m1ms': 60_001,
    };
    for (const [text, value] of Object.entries(cases)) expect(parseDuration(text), text).to.equal(value);
  });

  it('are written with the largest units first', () => {
    expect(formatDuration(asMilliseconds(90_061_001))).to.equal('1d1h1m1s1ms');
    expect(formatDuration(asMilliseconds(0))).to.equal('0s');
    expect(formatDuration(asMilliseconds(1500))).to.equal('1s500ms');
  });

  it('are refused when they are none, with what to write instead', () => {
    for (const text of ['', '15', 'm', '-1s', '1.5h', '1 h', '1h ', 'PT15M', '1w', '0', '١s', '1hh']) {
      expect(() => parseDuration(text), text).to.throw(InvalidDuration, 'as 250ms, 15m or 1h30m');
    }
    expect(() => parseDuration('999999999d')).to.throw(InvalidDuration, '2^53-1');
    for (const value of [-1, 0.5, Number.NaN, 2 ** 53]) expect(() => asMilliseconds(value)).to.throw(RangeError);
  });
});
