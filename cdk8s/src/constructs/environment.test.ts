import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { readConfig } from '@mercato/kit/config.ts';
import { expect } from 'chai';
import type { Overrides } from '../backends/values.ts';
import { mercato } from '../model/mercato.ts';
import { search, withSearch } from '../testing/added.ts';
import { podTemplateOf, rendered } from '../testing/rendered.ts';

function environmentOf(name: string, overrides: Overrides = {}): Record<string, string> {
  const { env } = podTemplateOf(rendered(withSearch, name, overrides)).spec.containers[0] ?? { env: [] };
  return Object.fromEntries(env.map((each) => [each.name, each.value ?? '']));
}

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
    expect(environmentOf('order', { settings: { intake: 'bus' } }).MERCATO_INTAKE_URL).to.equal('');
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
