import { expect } from 'chai';
import { ConfigError, readConfig } from './config.ts';
import { parseDuration } from './units.ts';

const good = {
  MERCATO_TOKEN_ISSUER: 'https://kubernetes.default.svc',
  MERCATO_JWKS_URL: 'https://127.0.0.1:6443/openid/v1/jwks',
  MERCATO_AUDIENCE: 'inventory',
  MERCATO_ALLOWED_SUBJECTS: 'system:serviceaccount:mercato-system:mercato-caller',
};

describe('the configuration', () => {
  it('has defaults for all but who may call', () => {
    expect(readConfig('inventory', good)).to.include({
      host: '127.0.0.1',
      port: 8080,
      dataDir: './.mercato/inventory',
      insecure: false,
    });
  });

  for (const name of Object.keys(good)) {
    it(`refuses to start without ${name}, unless told to let everybody in`, () => {
      const env = { ...good, [name]: undefined };
      expect(() => readConfig('inventory', env)).to.throw(ConfigError, name);
      expect(readConfig('inventory', { MERCATO_INSECURE_NO_AUTH: 'true' }).insecure).to.equal(true);
      expect(() => readConfig('inventory', { MERCATO_INSECURE_NO_AUTH: '1' })).to.throw(ConfigError);
    });
  }

  it('needs no caller where events are all that is heard', () => {
    const env = { ...good, MERCATO_ALLOWED_SUBJECTS: '', MERCATO_EVENT_SENDERS: 'system:serviceaccount:a:b' };
    expect(readConfig('order', env).eventSenders).to.deep.equal(['system:serviceaccount:a:b']);
  });

  it('remembers events for 35 days, keeps sent ones for an hour, and counts for longer than anybody remembers', () => {
    const days = 86_400_000;
    expect(readConfig('inventory', good)).to.include({
      inboxRetention: 35 * days,
      outboxRetention: 3_600_000,
      sequenceRetention: 70 * days,
    });
    const set = { ...good, MERCATO_INBOX_RETENTION: '20d', MERCATO_OUTBOX_RETENTION: '10m' };
    expect(readConfig('inventory', set)).to.include({
      inboxRetention: 20 * days,
      outboxRetention: 600_000,
      sequenceRetention: 70 * days,
    });
    const both = { ...good, MERCATO_INBOX_RETENTION: '2m', MERCATO_KEY_RETENTION: '1m' };
    expect(readConfig('inventory', both).sequenceRetention).to.equal(240_000);
  });

  for (const [name, value, said] of [
    ['MERCATO_INBOX_RETENTION', '59s', 'must be from 1m to 3650d, not "59s"'],
    ['MERCATO_INBOX_RETENTION', '3651d', 'must be from 1m to 3650d, not "3651d"'],
    ['MERCATO_OUTBOX_RETENTION', '59s', 'must be from 1m to 30d, not "59s"'],
    ['MERCATO_OUTBOX_RETENTION', '31d', 'must be from 1m to 30d, not "31d"'],
    ['MERCATO_OUTBOX_RETENTION', 'long', '"long" is no duration'],
  ] as const)
    it(`refuses ${value} for ${name}, and says what it takes`, () => {
      expect(() => readConfig('inventory', { ...good, [name]: value })).to.throw(
        ConfigError,
        new RegExp(`^${name}:? ${said}`),
      );
    });

  const wrong: Record<string, string> = {
    PORT: '80a',
    MERCATO_MAX_IN_FLIGHT: '0',
    MERCATO_KEY_RETENTION: 'long',
    MERCATO_EVENT_SUBSCRIBERS: 'ftp://x',
  };
  for (const [name, value] of Object.entries(wrong)) {
    it(`names ${name} when it is "${value}"`, () => {
      expect(() => readConfig('inventory', { ...good, [name]: value })).to.throw(ConfigError, name);
    });
  }
});

describe('a duration', () => {
  it('is read as people write it', () => {
    expect(['250ms', '15m', '1h30m', '35d'].map(parseDuration)).to.deep.equal([250, 900_000, 5_400_000, 3_024_000_000]);
  });
  it('is refused otherwise', () => {
    for (const text of ['', '15', 'm', '15 m', '-1s', '1.5s', '1x'])
      expect(() => parseDuration(text)).to.throw(RangeError);
  });
});
