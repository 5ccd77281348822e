import { expect } from 'chai';
import { VirtualClock } from '../clock.ts';
import { ProblemError } from '../problem.ts';
import { TestIssuer, testAudience, testSubject } from '../testing/issuer.ts';
import { days, instant, minutes, seconds } from '../units.ts';
import { JwksTokenCheck } from './tokens.ts';

describe('the token check', () => {
  let clock: VirtualClock;
  let issuer: TestIssuer;
  let tokens: JwksTokenCheck;

  beforeEach(async () => {
    clock = new VirtualClock(instant(Date.UTC(2026, 10, 22)));
    issuer = await TestIssuer.start(clock);
    const { jwksUrl } = issuer;
    tokens = new JwksTokenCheck({
      issuer: issuer.issuer,
      audience: testAudience,
      jwksUrl,
      allowedSubjects: [testSubject],
      clock,
    });
  });
  afterEach(async () => {
    await tokens.close();
    await issuer.close();
  });

  const status = async (token: string): Promise<number> => {
    try {
      await tokens.check(`Bearer ${token}`);
      return 200;
    } catch (error) {
      if (error instanceof ProblemError) return error.problem.status;
      throw error;
    }
  };

  it('knows the caller, and fetches the keys once for many calls', async () => {
    const token = await issuer.mint();
    for (let call = 0; call < 5; call += 1)
      expect(await tokens.check(`Bearer ${token}`)).to.deep.equal({ subject: testSubject });
    expect(await status(await issuer.mint({ lifetime: 30 }))).to.equal(200);
    expect(issuer.fetches).to.equal(1);
  });

  it('lets in whom the call allows, instead of whom the service does', async () => {
    const authorization = `Bearer ${await issuer.mint({ subject: 'sender' })}`;
    const denied = async (allowed?: readonly string[]) =>
      (await tokens.check(authorization, allowed).catch((error: ProblemError) => error.problem.status)) === 403;
    expect([await denied(), await denied(['sender']), await denied([]), await denied()]).to.deep.equal([
      true,
      false,
      true,
      true,
    ]);
  });

  it('fetches again for a key that it does not know, and takes the new one', async () => {
    expect(await status(await issuer.mint())).to.equal(200);
    await issuer.addKey();
    clock.advance(seconds(11));
    expect(await status(await issuer.mint())).to.equal(200);
    expect(issuer.fetches).to.equal(2);
  });

  it('answers 503, not 401, to an unknown key while it may not fetch', async () => {
    expect(await status(await issuer.mint())).to.equal(200);
    await issuer.addKey();
    expect(await status(await issuer.mint())).to.equal(503);
    expect(issuer.fetches).to.equal(1);
    clock.advance(seconds(11));
    expect(await status(await issuer.mint())).to.equal(200);
  });

  it('answers 503 while the keys cannot be fetched, and serves known tokens and keys meanwhile', async () => {
    const known = await issuer.mint({ lifetime: 7200 });
    expect(await status(known)).to.equal(200);
    const sameKey = await issuer.mint({ lifetime: 7201 });
    await issuer.addKey();
    issuer.down(true);
    clock.advance(minutes(20));
    expect(await status(known)).to.equal(200);
    expect(await status(sameKey)).to.equal(200);
    expect(await status(await issuer.mint())).to.equal(503);
  });

  it('refuses a token whose key was withdrawn, eleven minutes later at most, however often it came meanwhile', async () => {
    const stolen = await issuer.mint({ lifetime: 86_400 });
    expect(await status(stolen)).to.equal(200);
    issuer.withdrawKeys();
    await issuer.addKey();
    for (let passed = 0; passed < 11 * 60; passed += 10) {
      clock.advance(seconds(10));
      await status(stolen);
    }
    expect(await status(stolen)).to.be.oneOf([401, 503]);
    expect(await status(await issuer.mint())).to.equal(200);
  });

  it('lets nobody in by keys that could not be fetched again for a day', async () => {
    const long = await issuer.mint({ lifetime: 200_000 });
    expect(await status(long)).to.equal(200);
    issuer.down(true);
    clock.advance(days(1));
    expect(await status(long)).to.equal(200);
    clock.advance(minutes(1));
    expect(await status(long)).to.equal(503);
    issuer.down(false);
    clock.advance(seconds(11));
    expect(await status(long)).to.equal(200);
  });

  it('answers 503 when it never had keys', async () => {
    issuer.down(true);
    expect(await status(await issuer.mint())).to.equal(503);
  });

  it('lets many callers wait for one fetch', async () => {
    const minted = await Promise.all(Array.from({ length: 10 }, (_, index) => issuer.mint({ lifetime: 100 + index })));
    expect(await Promise.all(minted.map(status))).to.deep.equal(minted.map(() => 200));
    expect(issuer.fetches).to.equal(1);
  });
});
