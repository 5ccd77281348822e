import { expect } from 'chai';
import { patiently } from './patience.ts';

describe('patience', () => {
  const failing = (times: number) => {
    let tries = 0;
    return {
      tries: () => tries,
      work: async () => {
        tries += 1;
        if (tries <= times) throw new Error(`try ${tries}`);
        return tries;
      },
    };
  };

  it('tries what passes again until it works', async () => {
    const { work } = failing(2);
    expect(await patiently(work, 60_000, () => true)).to.equal(3);
  });

  it('tells at once what does not pass', async () => {
    const { work, tries } = failing(2);
    const failure = await patiently(work, 60_000, () => false).catch((error: unknown) => error);
    expect((failure as Error).message).to.equal('try 1');
    expect(tries()).to.equal(1);
  });

  it('tries once without patience', async () => {
    const { work, tries } = failing(1);
    const failure = await patiently(work, 0, () => true).catch((error: unknown) => error);
    expect((failure as Error).message).to.equal('try 1');
    expect(tries()).to.equal(1);
  });
});
