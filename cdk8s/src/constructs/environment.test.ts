import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readConfig } from '@mercato/kit/config.ts';
import { orderConfig } from '@mercato/order/config.ts';
import { tracingOf, untraced } from '@mercato/tracing';
import { expect } from 'chai';
import type { Overrides } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { search, withSearch } from '../testing/added.ts';
import { podTemplateOf, rendered } from '../testing/rendered.ts';

function environmentOf(name: string, overrides: Overrides = {}): Record<string, string> {
  const { env } = podTemplateOf(rendered(withSearch, name, overrides)).spec.containers[0] ?? { env: [] };
  return Object.fromEntries(env.map((each) => [each.name, each.value ?? '']));
}

/** Everything over the event bus. */
const OVER_BUS = {
  global: {
    environment: 'staging',
    aws: { enabled: true, eventBus: true, accountId: '123456789012', region: 'eu-west-2' },
  },
};

describe("a program's environment", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mercato-environment-'));
    await writeFile(join(folder, 'ca.crt'), 'an authority');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  for (const { name } of mercato.services.filter(({ component }) => component === 'service'))
    it(`is what ${name} reads`, () => {
      const environment = environmentOf(name);
      const config = readConfig(name, { ...environment, MERCATO_JWKS_CA_FILE: join(folder, 'ca.crt') });
      expect(config).to.include({ host: '0.0.0.0', port: 8080, dataDir: '/data', logLevel: 'info', insecure: false });
    });

  it('names nothing that is secret, and only files in its place', () => {
    const { STRIPE_KEY_FILE } = environmentOf('payment');
    expect(STRIPE_KEY_FILE).to.equal('/etc/mercato/secrets/stripe/stripe-key');
  });

  it("says whose tokens are believed: the operator's caller, those of the values, and senders of events", () => {
    const caller = 'system:serviceaccount:mercato-system:mercato-caller';
    const administrator = 'system:serviceaccount:tools:administrator';
    expect(environmentOf('inventory')).to.include({
      MERCATO_ALLOWED_SUBJECTS: caller,
      MERCATO_EVENT_SENDERS: 'system:serviceaccount:mercato-shop:shipping',
      MERCATO_AUDIENCE: 'inventory',
    });
    const { MERCATO_ALLOWED_SUBJECTS } = environmentOf('inventory', { allowedSubjects: [administrator, 'ada'] });
    expect(MERCATO_ALLOWED_SUBJECTS).to.equal(`${caller},${administrator},ada`);
  });

  it('lets the operator send events to a service with an API of its own, and call nothing else there', () => {
    const caller = 'system:serviceaccount:mercato-system:mercato-caller';
    expect(environmentOf('order')).to.include({ MERCATO_ALLOWED_SUBJECTS: '', MERCATO_EVENT_SENDERS: caller });
    expect(environmentOf('order', { allowedSubjects: ['ada'] }).MERCATO_ALLOWED_SUBJECTS).to.equal('ada');
  });

  it('leaves the address of a call empty that is not made', () => {
    expect(environmentOf('shipping').CARRIER_URL).to.equal('');
    expect(environmentOf('order').MERCATO_INTAKE_URL).to.equal('http://mercato-intake.mercato-system.svc:8090/events');
    expect(environmentOf('order', OVER_BUS).MERCATO_INTAKE_URL).to.equal('');
  });

  it('says where events go by one way: straight, or over the bus that is declared', () => {
    expect(environmentOf('shipping')).to.include({
      MERCATO_EVENT_SUBSCRIBERS: 'http://inventory.mercato-shop.svc:8080/events',
      MERCATO_EVENT_BUS: '',
    });
    for (const name of ['order', 'inventory', 'payment', 'shipping'])
      expect(environmentOf(name, OVER_BUS), name).to.include({ MERCATO_EVENT_BUS: 'mercato-staging' });
    expect(environmentOf('shipping', OVER_BUS).MERCATO_EVENT_SUBSCRIBERS).to.equal('');
    const { global } = OVER_BUS;
    const own = { settings: { eventBus: 'theirs' } };
    expect(environmentOf('order', { global, ...own }).MERCATO_EVENT_BUS).to.equal('theirs');
    // A bus that one service alone sends to is one that nobody hears.
    expect(environmentOf('order', own).MERCATO_EVENT_BUS).to.equal('');
  });

  it('has the names of what is declared in AWS from account, region and environment, unless an installation says others', () => {
    const declared = {
      MERCATO_ORDERS_TABLE: 'mercato-staging-orders',
      MERCATO_EVENT_QUEUE: 'https://sqs.eu-west-2.amazonaws.com/123456789012/mercato-staging-order-events',
      MERCATO_ANNOUNCEMENTS_TOPIC: 'arn:aws:sns:eu-west-2:123456789012:mercato-staging-order-announcements',
      AWS_REGION: 'eu-west-2',
    };
    expect(environmentOf('order', OVER_BUS)).to.include(declared);
    expect(environmentOf('order')).to.include({
      MERCATO_ORDERS_TABLE: '',
      MERCATO_EVENT_QUEUE: '',
      MERCATO_ANNOUNCEMENTS_TOPIC: '',
    });
    const settings = {
      table: 'theirs',
      eventQueue: 'https://sqs.example/1/theirs',
      announcementsTopic: 'arn:aws:sns:eu-west-2:123456789012:theirs',
    };
    for (const global of [{}, OVER_BUS.global])
      expect(environmentOf('order', { global, settings })).to.include({
        MERCATO_ORDERS_TABLE: settings.table,
        MERCATO_EVENT_QUEUE: settings.eventQueue,
        MERCATO_ANNOUNCEMENTS_TOPIC: settings.announcementsTopic,
      });
  });

  it('is what the order service reads with all of AWS', () => {
    const environment = { ...environmentOf('order', { ...OVER_BUS, settings: { store: 'dynamodb' } }) };
    expect(environment).not.to.have.any.keys('DATA_DIR');
    const env = { ...environment, MERCATO_JWKS_CA_FILE: join(folder, 'ca.crt') };
    const config = orderConfig(env, readConfig('order', env));
    expect(config.store).to.deep.equal({ kind: 'dynamodb', table: 'mercato-staging-orders' });
    expect(config.topic).to.equal('arn:aws:sns:eu-west-2:123456789012:mercato-staging-order-announcements');
    expect(config.subscribers).to.deep.equal([]);
  });

  it('says where commands come from and answers go only where they go over queues, outside the card zone', () => {
    const global = { ...OVER_BUS.global, aws: { ...OVER_BUS.global.aws, commandQueues: true } };
    const url = 'https://sqs.eu-west-2.amazonaws.com/123456789012/mercato-staging-shipping';
    const queues = { MERCATO_COMMAND_QUEUE: `${url}-commands`, MERCATO_ANSWER_QUEUES: `${url}-answers` };
    expect(environmentOf('shipping', { global })).to.include(queues);
    expect(environmentOf('shipping', OVER_BUS)).to.include({ MERCATO_COMMAND_QUEUE: '', MERCATO_ANSWER_QUEUES: '' });
    for (const name of ['payment', 'order'])
      expect(environmentOf(name, { global }), name).not.to.have.any.keys('MERCATO_COMMAND_QUEUE');
  });

  it('sends traces of every service of the shop where there is a collector, whose credentials come from a Secret', async () => {
    const global = { tracing: { enabled: true, endpoint: 'http://collector.a.svc:4318', sampleRatio: '0.5' } };
    for (const { name, component } of mercato.services.filter(({ zone }) => zone !== 'system')) {
      const env = podTemplateOf(rendered(mercato, name, { global })).spec.containers[0]?.env ?? [];
      const said = env.filter((each) => each.name.startsWith('OTEL_'));
      if (component !== 'service') expect(said, name).to.deep.equal([]);
      else
        expect(said, name).to.deep.equal([
          { name: 'OTEL_EXPORTER_OTLP_ENDPOINT', value: 'http://collector.a.svc:4318' },
          { name: 'OTEL_TRACES_SAMPLER_ARG', value: '0.5' },
          {
            name: 'OTEL_EXPORTER_OTLP_HEADERS',
            valueFrom: { secretKeyRef: { name: 'mercato-tracing', key: 'headers', optional: true } },
          },
        ]);
    }
    expect(await tracingOf('order', environmentOf('order'))).to.equal(untraced);
    const traced = await tracingOf('order', environmentOf('order', { global }));
    await traced.close();
    expect(traced).not.to.equal(untraced);
  });

  it('follows the namespaces of an installation', () => {
    const global = { namespaces: { system: 'a', shop: 'b', simulators: 'c' } };
    expect(environmentOf('shipping', { global, settings: { carrier: 'simulated' } })).to.include({
      MERCATO_ALLOWED_SUBJECTS: 'system:serviceaccount:a:mercato-caller',
      MERCATO_EVENT_SUBSCRIBERS: 'http://inventory.b.svc:8080/events',
      CARRIER_URL: 'http://carrier.c.svc:8080',
    });
  });

  it('has the token for events only where events go', () => {
    expect(environmentOf('shipping')).to.include({ MERCATO_RELAY_TOKEN_FILE: '/var/run/mercato/relay/token' });
    expect(environmentOf('payment')).not.to.have.any.keys('MERCATO_RELAY_TOKEN_FILE', 'MERCATO_EVENT_SUBSCRIBERS');
  });

  it('says who is told what customers are told, where an installation names them, with a token for them and not for services', () => {
    const announceTo = { addresses: ['https://crm.example/events', 'http://mail.a.svc:8080/in'], audience: 'crm' };
    const { MERCATO_EVENT_SUBSCRIBERS, MERCATO_RELAY_TOKEN_FILE = '' } = environmentOf('order', { announceTo });
    expect(MERCATO_EVENT_SUBSCRIBERS).to.equal('https://crm.example/events,http://mail.a.svc:8080/in');
    expect(environmentOf('order').MERCATO_EVENT_SUBSCRIBERS).to.equal('');
    const { spec } = podTemplateOf(rendered(withSearch, 'order', { announceTo }));
    const relay = (spec.volumes as { name: string; projected?: { sources: unknown[] } }[]).find(
      ({ name }) => name === 'relay',
    );
    expect(relay?.projected?.sources).to.deep.equal([
      { serviceAccountToken: { audience: 'crm', expirationSeconds: 3_600, path: 'token' } },
    ]);
    const mounts = (spec.containers[0] as unknown as { volumeMounts: { name: string; mountPath: string }[] })
      .volumeMounts;
    expect(mounts.find(({ name }) => name === 'relay')?.mountPath).to.equal(dirname(MERCATO_RELAY_TOKEN_FILE));
  });

  it('has no token settings and no volume for them where no tokens are asked for', () => {
    expect(Object.keys(environmentOf('acquirer')).filter((name) => name.startsWith('MERCATO_'))).to.be.empty;
    const { volumes } = podTemplateOf(rendered(mercato, 'acquirer')).spec;
    expect((volumes as { name: string }[]).map(({ name }) => name)).to.deep.equal(['tmp']);
  });

  it('says settings in words, numbers and booleans too', () => {
    expect(environmentOf(search.name, { settings: { ranking: 'engine', fuzzy: false } })).to.include({
      RANKING: 'engine',
      FUZZY: 'false',
    });
    expect(environmentOf('payment', { settings: { processorTimeoutMs: 1_500 } })).to.include({
      PROCESSOR_TIMEOUT_MS: '1500',
    });
  });

  it('lets an installation add variables, after its own', () => {
    const extraEnv = [{ name: 'NODE_OPTIONS', value: '--trace-warnings' }];
    const { env } = podTemplateOf(rendered(mercato, 'payment', { extraEnv })).spec.containers[0] ?? { env: [] };
    expect(env.at(-1)).to.deep.equal(extraEnv[0]);
  });

  it('waits for a Secret only under the settings that need it', () => {
    const optional = (processor: string) => {
      const { volumes } = podTemplateOf(rendered(mercato, 'payment', { settings: { processor } })).spec;
      const secret = (volumes as { name: string; secret?: { optional: boolean } }[]).find(
        ({ name }) => name === 'secret-stripe',
      );
      return secret?.secret?.optional;
    };
    expect([optional('stripe'), optional('simulated')]).to.deep.equal([false, true]);
  });
});
