import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import {
  createAuthority,
  createServiceAccountKey,
  issueClientCertificate,
  issueServerCertificate,
  type KeyAndCertificate,
} from './pki.ts';

describe('certificates', () => {
  let authority: KeyAndCertificate;

  before(async () => {
    authority = await createAuthority();
  });

  const parse = (pair: KeyAndCertificate) => new X509Certificate(pair.certPem);

  it('come from an authority that says it is one', () => {
    expect(parse(authority).ca).to.equal(true);
    expect(parse(authority).verify(parse(authority).publicKey)).to.equal(true);
  });

  it('of a server cover its names and addresses, and no others', async () => {
    const names = [{ type: 'dns', value: 'localhost' } as const, { type: 'ip', value: '127.0.0.1' } as const];
    const certificate = parse(await issueServerCertificate(authority, names));
    expect(certificate.verify(parse(authority).publicKey)).to.equal(true);
    expect(certificate.checkHost('localhost')).to.equal('localhost');
    expect(certificate.checkIP('127.0.0.1')).to.equal('127.0.0.1');
    expect(certificate.checkHost('example.com')).to.equal(undefined);
  });

  it('of a client name the user and every group', async () => {
    const pair = await issueClientCertificate(authority, {
      user: 'system:serviceaccount:a, b+c=d',
      groups: ['one', 'two'],
    });
    const subject = parse(pair).toLegacyObject().subject;
    expect(subject).to.deep.include({ CN: 'system:serviceaccount:a, b+c=d', O: ['one', 'two'] });
    expect(parse(pair).checkPrivateKey(createPrivateKey(pair.keyPem))).to.equal(true);
  });

  for (const user of ['', 'a "quoted" name', '#abc', '\\']) {
    it(`refuse the user ${JSON.stringify(user)}, which would come out as another`, async () => {
      const error = await issueClientCertificate(authority, { user }).catch((reason: Error) => reason);
      expect(error).to.be.instanceOf(RangeError);
    });
  }

  it('hold already, and for years', () => {
    expect(Date.parse(parse(authority).validFrom)).to.be.below(Date.now());
    expect(Date.parse(parse(authority).validTo)).to.be.above(Date.now() + 9 * 365 * 86_400_000);
  });

  it('have serial numbers of their own', async () => {
    const [one, two] = await Promise.all([
      issueClientCertificate(authority, { user: 'a' }),
      issueClientCertificate(authority, { user: 'a' }),
    ]);
    expect(parse(one).serialNumber).to.not.equal(parse(two).serialNumber);
  });
});

describe('the key of service-account tokens', () => {
  it('is RSA, so that tokens are signed with RS256', async () => {
    const { privatePem, publicPem } = await createServiceAccountKey();
    expect(createPrivateKey(privatePem).asymmetricKeyType).to.equal('rsa');
    expect(createPublicKey(privatePem).export({ type: 'spki', format: 'pem' })).to.equal(publicPem);
  });
});
