import { expect } from 'chai';
import fc from 'fast-check';
import { FAULTS, parseFaultRates, rollFault, unitHash } from './faults.ts';

describe('random faults', () => {
  it('are read from text, with an error that names what is wrong', () => {
    const { rates } = parseFaultRates('seed', ' timeout=0.01, error=0.5 ');
    expect([...rates]).to.deep.equal([
      ['timeout', 0.01],
      ['error', 0.5],
    ]);
    expect(parseFaultRates('seed', '').rates.size).to.equal(0);
    expect(() => parseFaultRates('seed', 'tired=0.1')).to.throw('"tired" is none of timeout');
    expect(() => parseFaultRates('seed', 'error=2')).to.throw('fault rate "error=2"');
    expect(() => parseFaultRates('seed', 'error')).to.throw('fault rate "error"');
    expect(() => parseFaultRates('seed', 'error=0.6,drop=0.6')).to.throw('add up to 1.2');
  });

  it('are the same for the same seed, whoever else asks in between', () => {
    const rates = parseFaultRates('one', 'timeout=0.2,error=0.2,drop=0.2');
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 1, max: 9 }), fc.string(), (reference, attempt, other) => {
        const first = rollFault(rates, reference, attempt);
        rollFault(rates, other, attempt);
        return rollFault(rates, reference, attempt) === first;
      }),
    );
  });

  it('are as frequent as asked for, each of them, and others for another seed', () => {
    const text = FAULTS.map((fault) => `${fault}=0.05`).join(',');
    const rates = parseFaultRates('one', text);
    const rolled = Array.from({ length: 10_000 }, (_, i) => rollFault(rates, `reference-${i}`, 1));
    for (const fault of [...FAULTS]) {
      const count = rolled.filter((each) => each === fault).length;
      // 500 expected, standard deviation 22: the seed is fixed, so this cannot flicker.
      expect(count, fault).to.be.within(400, 600);
    }
    const other = parseFaultRates('two', text);
    expect(rolled.some((fault, i) => fault !== rollFault(other, `reference-${i}`, 1))).to.equal(true);
  });

  it('are decided by numbers from 0 to below 1', () => {
    fc.assert(fc.property(fc.string(), (text) => unitHash(text) >= 0 && unitHash(text) < 1));
  });
});
