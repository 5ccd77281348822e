import { expect } from 'chai';
import { environmentNamed, NoEnvironmentError } from './environment.ts';

describe('an environment', () => {
  it('is a folder of environments/', () => {
    for (const name of ['kind', 'staging', 'production']) expect(environmentNamed(name)).to.equal(name);
  });

  for (const name of ['prodution', '', '..'])
    it(`is not ${JSON.stringify(name)}, and those that there are, are named`, () => {
      expect(() => environmentNamed(name)).to.throw(NoEnvironmentError, /kind, production, staging/);
    });
});
