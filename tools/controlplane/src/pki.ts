import 'reflect-metadata';
import { generateKeyPair, webcrypto } from 'node:crypto';
import { promisify } from 'node:util';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

/** A certificate and its private key (PKCS #8), both PEM. */
export interface KeyAndCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Who a client certificate speaks for, as the API server reads it: the common name and the organisations. */
export interface ClientIdentity {
  readonly user: string;
  /** @default none; "system:authenticated" is added by the API server */
  readonly groups?: readonly string[];
}

/** EC keys: they cost milliseconds, where RSA costs seconds. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** Kept state must still open next year. These keys guard a server on 127.0.0.1 only. */
const VALID_YEARS = 10;
/** A clock that is set back a little must not make a new certificate invalid. */
const BACKDATED_MS = 3_600_000;

/** Makes the certificate authority that signs every certificate of one control plane. */
export async function createAuthority(): Promise<KeyAndCertificate> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=mercato-controlplane-ca',
    serialNumber: newSerialNumber(),
    ...validity(),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign | x509.KeyUsageFlags.digitalSignature,
        true,
      ),
    ],
  });
  return toPem(certificate, keys);
}

/** Issues a server certificate for these host names and IP addresses. */
export function issueServerCertificate(
  authority: KeyAndCertificate,
  names: readonly x509.JsonGeneralName[],
): Promise<KeyAndCertificate> {
  return issue(authority, [{ CN: ['kube-apiserver'] }], x509.ExtendedKeyUsage.serverAuth, [
    new x509.SubjectAlternativeNameExtension([...names]),
  ]);
}

/** Issues a client certificate for a user and groups. @throws RangeError for a name that X.509's text form would change */
export async function issueClientCertificate(
  authority: KeyAndCertificate,
  { user, groups = [] }: ClientIdentity,
): Promise<KeyAndCertificate> {
  for (const name of [user, ...groups]) {
    if (name === '' || /^#|["\\]/.test(name)) {
      throw new RangeError(
        `${JSON.stringify(name)} cannot be a user or group here: give a name without " and \\, that does not begin with #`,
      );
    }
  }
  const organisations = groups.map((group) => ({ O: [group] }));
  return issue(authority, [...organisations, { CN: [user] }], x509.ExtendedKeyUsage.clientAuth, []);
}

async function issue(
  authority: KeyAndCertificate,
  subject: x509.JsonName,
  usage: string,
  extensions: x509.Extension[],
): Promise<KeyAndCertificate> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    subject,
    issuer: new x509.X509Certificate(authority.certPem).subject,
    serialNumber: newSerialNumber(),
    ...validity(),
    publicKey: keys.publicKey,
    signingKey: await importSigningKey(authority.keyPem),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([usage]),
      ...extensions,
    ],
  });
  return toPem(certificate, keys);
}

/**
 * Makes the key that signs service-account tokens: RSA, because managed clusters sign with RS256 and verifiers that
 * allow nothing else are tested against this one.
 */
export async function createServiceAccountKey(): Promise<{ readonly privatePem: string; readonly publicPem: string }> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  return { privatePem: privateKey, publicPem: publicKey };
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function importSigningKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign']);
}

/** Positive, as RFC 5280 asks: the highest bit stays clear. */
function newSerialNumber(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

function validity(): { notBefore: Date; notAfter: Date } {
  const notBefore = new Date(Date.now() - BACKDATED_MS);
  const notAfter = new Date(notBefore);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + VALID_YEARS);
  return { notBefore, notAfter };
}

async function toPem(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyAndCertificate> {
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certPem: `${certificate.toString('pem')}\n`, keyPem: `${x509.PemConverter.encode(key, 'PRIVATE KEY')}\n` };
}
