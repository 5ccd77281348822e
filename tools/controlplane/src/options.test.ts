import { expect } from 'chai';
import { InvalidOptionsError, validateOptions } from './options.ts';

describe('options of a control plane', () => {
  it('may all be left out', () => {
    expect(() => validateOptions({})).to.not.throw();
  });

  it('refuse to detach from a temporary folder', () => {
    expect(() => validateOptions({ detached: true })).to.throw(InvalidOptionsError, 'option "dir"');
  });

  for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
    it(`refuse the port ${port} and name the option`, () => {
      expect(() => validateOptions({ ports: { apiServer: port } })).to.throw(InvalidOptionsError, 'ports.apiServer');
    });
  }
});
