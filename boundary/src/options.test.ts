import { UsageError } from '@mercato/operator/flags.ts';
import { expect } from 'chai';
import { parseOptions, USAGE } from './options.ts';

describe('parseOptions of the boundary', () => {
  it('needs nothing said', () => {
    expect(parseOptions([], {})).to.deep.equal({
      namespace: 'mercato-boundary',
      outside: { host: '1.1.1.1', port: 443 },
      healthHost: '127.0.0.1',
      healthPort: 8081,
      leaseDurationMs: 15_000,
      logLevel: 'info',
    });
  });

  it('takes flags before the environment, and an empty variable for none', () => {
    const env = {
      MERCATO_PROBE_IMAGE: 'mercato/boundary:1',
      MERCATO_OUTSIDE_ADDRESS: '192.0.2.1:80',
      MERCATO_HEALTH_ADDRESS: ':8081',
      MERCATO_LOG_LEVEL: 'debug',
      MERCATO_NAMESPACE: '',
      POD_NAMESPACE: 'pods',
    };
    expect(parseOptions(['--log-level', 'warn'], env)).to.deep.equal({
      namespace: 'pods',
      probeImage: 'mercato/boundary:1',
      outside: { host: '192.0.2.1', port: 80 },
      healthHost: '0.0.0.0',
      healthPort: 8081,
      leaseDurationMs: 15_000,
      logLevel: 'warn',
    });
  });

  for (const [args, words] of [
    [['--health-address', '8081'], '--health-address 8081'],
    [['--health-address', ':70000'], '--health-address :70000'],
    [['--outside-address', ':443'], '--outside-address'],
    [['--lease-duration', '1s'], 'at least 3000 ms'],
    [['--lease-duration', 'soon'], '--lease-duration soon'],
    [['--log-level', 'loud'], 'debug, info, warn, error'],
    [['--colour', 'red'], '--probe-image'],
  ] as const) {
    it(`refuses ${args.join(' ')}, and says what to give`, () => {
      expect(() => parseOptions(args, {})).to.throw(UsageError, words);
    });
  }

  it('explains itself', () => {
    expect(parseOptions(['--help'], {})).to.equal('help');
    expect(USAGE).to.include('--outside-address');
  });
});
