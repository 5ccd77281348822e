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
