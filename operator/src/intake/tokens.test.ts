import { expect } from 'chai';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { VirtualClock } from '../runtime/clock.ts';
import { CallerRefused, type KeySource, TokenVerifier } from './tokens.ts';

const ISSUER = 'https://kubernetes.default.svc';
const ORDER = 'system:serviceaccount:shop:mercato-order';

describe("Who sends events is known by the cluster's keys", () => {
  let clock: VirtualClock;
  let keys: { kid: string; privateKey: CryptoKey; jwk: JWK }[];
  let reads: number;
  let isAway: boolean;
  let errors: number;
  let verifier: TokenVerifier;

  const addKey = async (): Promise<void> => {
    const { publicKey, privateKey } = await generateKeyPair('RS256', { modulusLength: 2048 });
    const kid = `key-${keys.length}`;
    keys.push({ kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } });
  };
  const source: KeySource = async () => {
    reads += 1;
    if (isAway) throw new Error('no API server');
    return { issuer: ISSUER, keys: { keys: keys.map(({ jwk }) => jwk) } };
  };
  const token = async (wish: { sub?: string; aud?: string; iss?: string; life?: number } = {}): Promise<string> => {
    const { kid, privateKey } = keys.at(-1) as (typeof keys)[number];
    const now = Math.floor(clock.wall() / 1000);
    const made = new SignJWT({})
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(wish.iss ?? ISSUER)
      .setAudience([wish.aud ?? 'mercato-operator'])
      .setSubject(wish.sub ?? ORDER)
      .setIssuedAt(now)
      .setExpirationTime(now + (wish.life ?? 600));
    return `Bearer ${await made.sign(privateKey)}`;
  };
  /** The subject, or the status of the refusal. */
  const check = async (authorization: string | undefined): Promise<string | number> =>
    verifier.check(authorization).catch((error: unknown) => {
      expect(error).to.be.instanceOf(CallerRefused);
      return (error as CallerRefused).status;
    });

  beforeEach(async () => {
    clock = new VirtualClock();
    keys = [];
    [reads, errors, isAway] = [0, 0, false];
    await addKey();
    verifier = new TokenVerifier({
      audience: 'mercato-operator',
      subjects: [ORDER],
      source,
      clock,
      onError: () => {
        errors += 1;
      },
    });
  });

  it('lets in whom it was told, and reads the keys once', async () => {
    const good = await token();
    expect(await check(good)).to.equal(ORDER);
    expect(await check(good)).to.equal(ORDER);
    expect(await check(await token({ life: 300 }))).to.equal(ORDER);
    expect(reads).to.equal(1);
  });

  it('refuses tokens of others, for others, from others, and such as have expired', async () => {
    expect(await check(undefined)).to.equal(401);
    expect(await check('Basic eDp5')).to.equal(401);
    expect(await check('Bearer a.b.c')).to.equal(401);
    expect(await check(await token({ aud: 'order' }))).to.equal(401);
    expect(await check(await token({ iss: 'https://elsewhere' }))).to.equal(401);
    expect(await check(await token({ sub: 'system:serviceaccount:shop:web' }))).to.equal(403);
    const short = await token({ life: 60 });
    expect(await check(short)).to.equal(ORDER);
    clock.advance(70_000);
    expect(await check(short)).to.equal(401);
    expect(await check((await token()).replace(/.{10}$/, 'AAAAAAAAAA'))).to.equal(401);
  });

  it('takes a key that was added since, but asks for it no more often than every ten seconds', async () => {
    expect(await check(await token())).to.equal(ORDER);
    await addKey();
    expect(await check(await token())).to.equal(503);
    expect(reads).to.equal(1);
    clock.advance(10_000);
    expect(await check(await token())).to.equal(ORDER);
    expect(reads).to.equal(2);
  });

  it('refuses a token whose key was withdrawn, eleven minutes later at most, however often it came meanwhile', async () => {
    const stolen = await token({ life: 86_400 });
    expect(await check(stolen)).to.equal(ORDER);
    keys = [];
    await addKey();
    keys = keys.map((key) => ({ ...key, kid: 'new', jwk: { ...key.jwk, kid: 'new' } }));
    for (let passed = 0; passed < 11 * 60_000; passed += 10_000) {
      clock.advance(10_000);
      await check(stolen);
    }
    expect(await check(stolen)).to.be.oneOf([401, 503]);
    expect(await check(await token())).to.equal(ORDER);
  });

  it('lets nobody in by keys that could not be read again for a day', async () => {
    const long = await token({ life: 200_000 });
    expect(await check(long)).to.equal(ORDER);
    isAway = true;
    clock.advance(86_400_000);
    expect(await check(long)).to.equal(ORDER);
    clock.advance(60_000);
    expect(await check(long)).to.equal(503);
    isAway = false;
    clock.advance(10_000);
    expect(await check(long)).to.equal(ORDER);
  });

  it('tells nobody off while the keys cannot be read, and goes on with those that it has', async () => {
    isAway = true;
    expect(await check(await token())).to.equal(503);
    isAway = false;
    clock.advance(10_000);
    expect(await check(await token())).to.equal(ORDER);
    isAway = true;
    clock.advance(600_000);
    expect(await check(await token({ life: 500 }))).to.equal(ORDER);
    expect(errors).to.equal(2);
  });
});
