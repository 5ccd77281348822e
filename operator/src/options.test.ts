import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { UsageError } from './flags.ts';
import { parseOptions, USAGE } from './options.ts';

describe('parseOptions', () => {
  const failure = (args: string[], env: Record<string, string> = {}): string => {
    try {
      parseOptions(args, env);
    } catch (error) {
      expect(error).to.be.instanceOf(UsageError);
      return (error as Error).message;
    }
    throw new Error('it was accepted');
  };

  it('needs nothing said', () => {
    expect(parseOptions([], {})).to.deep.equal({
      namespace: 'mercato-system',
      watchNamespaces: [],
      serviceAccount: 'mercato-caller',
      healthHost: '127.0.0.1',
      healthPort: 8081,
      leaseDurationMs: 15_000,
      shards: 16,
      connections: 32,
      logLevel: 'info',
      journal: 'kubernetes',
      journalPath: '',
      journalTable: '',
      role: 'all',
      maxInWork: 20_000,
      maxViews: 500,
      rememberOrdersMs: 35 * 86_400_000,
      intakeSubjects: [],
      announceTo: [],
      announceAudience: 'order',
    });
  });

  it('takes flags before the environment, and the environment before what is assumed', () => {
    const env = { MERCATO_LEASE_DURATION: '20s', MERCATO_LOG_LEVEL: 'debug', POD_NAMESPACE: 'pods' };
    expect(parseOptions(['--log-level', 'warn', '--watch-namespaces', 'a,b,'], env)).to.include({
      leaseDurationMs: 20_000,
      logLevel: 'warn',
      namespace: 'pods',
    });
    expect(parseOptions(['--watch-namespaces', 'a,b,'], {})).to.deep.include({ watchNamespaces: ['a', 'b'] });
    expect(parseOptions([], { ...env, MERCATO_NAMESPACE: 'said' })).to.include({ namespace: 'said' });
  });

  it('reads the health address', () => {
    expect(parseOptions(['--health-address', ':9'], {})).to.include({ healthHost: '0.0.0.0', healthPort: 9 });
    expect(parseOptions(['--health-address', '[::1]:0'], {})).to.include({ healthHost: '[::1]', healthPort: 0 });
  });

  it('wants of a journal what it needs, and nothing that another needs', () => {
    expect(parseOptions(['--journal=sqlite', '--journal-path=/data/j.db'], {})).to.include({
      journalPath: '/data/j.db',
    });
    expect(parseOptions(['--role=worker'], { MERCATO_JOURNAL: 'dynamodb', MERCATO_JOURNAL_TABLE: 'runs' })).to.include({
      role: 'worker',
      journalTable: 'runs',
    });
    expect(failure(['--journal=etcd'])).to.equal('--journal etcd: one of kubernetes, sqlite, dynamodb');
    expect(failure(['--journal=sqlite'])).to.equal('--journal-path: --journal=sqlite needs it');
    expect(failure(['--journal=dynamodb'])).to.equal('--journal-table: --journal=dynamodb needs it');
    expect(failure(['--journal-path=/data/j.db'])).to.match(/^--journal-path .*this is --journal=kubernetes$/);
    expect(failure(['--role=worker'])).to.match(/^--role worker: only the dynamodb journal/);
    expect(failure(['--role=boss'])).to.equal('--role boss: one of all, controllers, worker');
    expect(failure(['--max-in-work=0'])).to.equal('--max-in-work 0: an integer from 1 to 1000000');
  });

  it('serves intake only to callers that are named, and tells only addresses', () => {
    expect(
      parseOptions(['--intake-address=:0', '--intake-subjects=a,b', '--announce-to=http://order/events'], {}),
    ).to.deep.include({
      intakeAddress: { host: '0.0.0.0', port: 0 },
      intakeSubjects: ['a', 'b'],
      announceTo: ['http://order/events'],
    });
    const queue = 'https://sqs.eu-west-1.amazonaws.com/111122223333/intake';
    expect(parseOptions([`--intake-queue=${queue}`], {})).to.include({ intakeQueue: queue });
    expect(failure(['--intake-queue=intake'])).to.match(/^--intake-queue intake: give the URL of a queue/);
    expect(failure(['--intake-address=:0'])).to.match(/^--intake-subjects: --intake-address needs it/);
    expect(failure(['--intake-address=:0', '--intake-subjects=a,b@Shop'])).to.match(/^--intake-subjects b@Shop: say/);
    expect(failure(['--intake-address=here', '--intake-subjects=a'])).to.match(
      /^--intake-address here: give host:port/,
    );
    expect(failure(['--announce-to=order'])).to.match(/^--announce-to order: give http\(s\) addresses/);
    expect(parseOptions(['--announce-bus=mercato-staging'], {})).to.include({ announceBus: 'mercato-staging' });
    expect(failure(['--announce-bus=arn:aws:sns:x'])).to.match(/^--announce-bus arn:aws:sns:x: give the name/);
  });

  it('names the flag that cannot be used, and what can', () => {
    expect(failure(['--health-address', 'localhost'])).to.match(/^--health-address localhost: give host:port/);
    expect(failure(['--health-address', 'localhost:70000'])).to.match(
      /^--health-address 70000: an integer from 0 to 65535/,
    );
    expect(failure(['--lease-duration', 'soon'])).to.match(/^--lease-duration soon: /);
    expect(failure(['--lease-duration', '1s'])).to.equal('--lease-duration 1s: at least 3000 ms');
    expect(failure([], { MERCATO_CONNECTIONS: '0' })).to.equal('--connections 0: an integer from 1 to 1000');
    expect(failure(['--shards', '257'])).to.equal('--shards 257: an integer from 1 to 256');
    expect(failure(['--log-level', 'loud'])).to.equal('--log-level loud: one of debug, info, warn, error');
    expect(parseOptions([], { MERCATO_REMEMBER_ORDERS: '2m' })).to.include({ rememberOrdersMs: 120_000 });
    expect(failure(['--remember-orders', '59s'])).to.equal('--remember-orders 59s: from 1m to 3650d');
    expect(failure(['--remember-orders', '3651d'])).to.equal('--remember-orders 3651d: from 1m to 3650d');
    expect(failure(['--speed', 'high']))
      .to.contain('--speed')
      .and.to.contain(USAGE);
    expect(failure(['word'])).to.contain('word');
  });

  it('is told in the reference, flag by flag', async () => {
    const page = await readFile(new URL('../../docs/reference/operator-flags.md', import.meta.url), 'utf8');
    const written = [...page.matchAll(/^\| `(--[a-z-]+)`/gm)].map((match) => match[1]);
    expect(written).to.deep.equal(USAGE.match(/^ {2}--[a-z-]+/gm)?.map((flag) => flag.trim()));
  });

  it('knows every flag that its usage tells', () => {
    expect(parseOptions(['--help'], {})).to.equal('help');
    expect(parseOptions(['-h'], {})).to.equal('help');
    const flags = new Set(USAGE.match(/^ {2}--[a-z-]+/gm)?.map((flag) => flag.trim()));
    expect(flags.size).to.equal(23);
    // Each wants a value; a flag that it does not know is told in other words.
    for (const flag of flags) expect(failure([flag])).to.match(/argument missing|value/);
  });
});
