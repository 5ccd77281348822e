import { expect } from 'chai';
import { UsageError } from '../flags.ts';
import { parseDrainFlags } from './options.ts';

describe("The drain's flags", () => {
  it('need nothing said', () => {
    expect(parseDrainFlags([], {})).to.deep.equal({
      namespace: 'mercato-system',
      watchNamespaces: [],
      timeoutMs: 300_000,
      force: false,
    });
  });

  it('are taken as the chart gives them', () => {
    const args = ['--watch-namespaces=a,b', '--timeout=90s', '--force=true'];
    expect(parseDrainFlags(args, { POD_NAMESPACE: 'pods' })).to.deep.equal({
      namespace: 'pods',
      watchNamespaces: ['a', 'b'],
      timeoutMs: 90_000,
      force: true,
    });
    expect(parseDrainFlags(['--watch-namespaces='], {})).to.deep.include({ watchNamespaces: [] });
  });

  for (const [flag, value] of [
    ['--force', 'yes'],
    ['--timeout', 'soon'],
    ['--forced', 'true'],
  ] as const)
    it(`name ${flag} when it is ${value}`, () => {
      expect(() => parseDrainFlags([flag, value], {})).to.throw(UsageError, flag);
    });
});
