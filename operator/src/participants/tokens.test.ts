import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { VirtualClock } from '../runtime/clock.ts';
import { fileTokens, type IssuedToken, NoTokenError, requestedTokens, type TokenSource } from './tokens.ts';

const HOUR = 3_600_000;

/** A token that says its own times, as the API server's do; `n` tells one from the next. */
function jwt(n: number, claims: { iat?: number; exp?: number }): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${part({ alg: 'none' })}.${part({ n, ...claims })}.c2ln`;
}

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

describe('requestedTokens', () => {
  let clock: VirtualClock;
  /** What the API server does; how often it was asked. */
  let answer: (n: number) => Promise<IssuedToken>;
  let asked: string[];
  let failures: unknown[];
  let tokens: TokenSource;
  const issue = async (n: number, lifeSeconds = 3600): Promise<IssuedToken> => {
    // The API server's clock is a day off: only the difference of its own times may count.
    const iat = Math.floor(clock.wall() / 1000) + 86_400;
    return {
      token: jwt(n, { iat, exp: iat + lifeSeconds }),
      expirationTimestamp: new Date((iat + lifeSeconds) * 1000).toISOString(),
    };
  };
  const numberOf = (token: string): number => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).n;
  const get = async (audience = 'inventory'): Promise<number> => numberOf(await tokens(audience));
  /** Lets what was begun in the background end. */
  const settle = async () => {
    for (let i = 0; i < 20; i++) await Promise.resolve();
  };

  beforeEach(() => {
    clock = new VirtualClock();
    answer = issue;
    asked = [];
    failures = [];
    tokens = requestedTokens({
      clock,
      requestToken: (audience, expirationSeconds) => {
        asked.push(`${audience} ${expirationSeconds}`);
        return answer(asked.length);
      },
      onError: (_, error) => void failures.push(error),
    });
  });

  it('requests once for many, and by audience', async () => {
    expect(await Promise.all([get(), get(), get('payment'), get()])).to.deep.equal([1, 1, 2, 1]);
    expect(asked).to.deep.equal(['inventory 3600', 'payment 3600']);
  });

  it('renews at 80% of the lifetime, in the background', async () => {
    await get();
    clock.advance(0.79 * HOUR);
    await get();
    expect(asked).to.have.length(1);
    clock.advance(0.02 * HOUR);
    expect(await get()).to.equal(1);
    await settle();
    expect(await get()).to.equal(2);
    expect(asked).to.have.length(2);
  });

  it('goes by the lifetime that the server gave, not by the one it was asked for', async () => {
    answer = (n) => issue(n, 600);
    await get();
    clock.advance(500_000);
    await get();
    expect(asked).to.have.length(2);
  });

  it('uses the old token until it expires while no new one can be had, and says so', async () => {
    await get();
    answer = async () => {
      throw new Error('connection refused');
    };
    clock.advance(0.9 * HOUR);
    expect(await get()).to.equal(1);
    await settle();
    expect(failures).to.have.length(1);
    clock.advance(0.09 * HOUR);
    expect(await get()).to.equal(1);
    clock.advance(0.02 * HOUR);
    const error = await errorOf(get());
    expect(error).to.be.instanceOf(NoTokenError).with.property('message', 'connection refused');
  });

  it('asks rarely while it fails, and recovers', async () => {
    answer = async () => {
      throw new Error('no');
    };
    for (let i = 0; i < 100; i++) await errorOf(get());
    expect(asked).to.have.length(1);
    clock.advance(250);
    await errorOf(get());
    await errorOf(get());
    expect(asked).to.have.length(2);
    answer = issue;
    clock.advance(500);
    expect(await get()).to.equal(3);
  });

  it('gives up a request that hangs, and aborts it', async () => {
    let aborted = false;
    const hanging = requestedTokens({
      clock,
      requestToken: (_, __, signal) => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        return new Promise(() => {});
      },
    });
    const error = errorOf(hanging('inventory'));
    clock.advance(10_000);
    expect(await error)
      .to.be.instanceOf(NoTokenError)
      .with.property('message')
      .that.includes('10000 ms');
    expect(aborted).to.equal(true);
  });

  it('asks for another when a participant rejects the one it has, but not again at once', async () => {
    const token = await tokens('inventory');
    tokens.rejected?.('inventory', token);
    expect(await get()).to.equal(1);
    expect(asked).to.have.length(1);
    clock.advance(10_000);
    tokens.rejected?.('inventory', 'another token');
    await get();
    expect(asked).to.have.length(1);
    tokens.rejected?.('inventory', token);
    await get();
    await settle();
    expect(await get()).to.equal(2);
    expect(asked).to.have.length(2);
  });

  it('goes by the expiry of the answer for a token that says nothing', async () => {
    answer = async (n) => ({
      token: `opaque-${n}`,
      expirationTimestamp: new Date(clock.wall() + 1_000_000).toISOString(),
    });
    expect(await tokens('inventory')).to.equal('opaque-1');
    clock.advance(799_000);
    await tokens('inventory');
    await settle();
    expect(asked).to.have.length(1);
    clock.advance(2000);
    await tokens('inventory');
    await settle();
    expect(await tokens('inventory')).to.equal('opaque-2');
  });

  it('tells no token in its errors', async () => {
    answer = async () => ({ token: 'secret', expirationTimestamp: 'never' });
    expect(await tokens('inventory')).to.equal('secret');
    answer = async () => {
      throw new Error('503');
    };
    clock.advance(HOUR);
    const error = (await errorOf(tokens('inventory'))) as NoTokenError;
    expect(JSON.stringify([error.message, error.audience])).to.not.include('secret');
  });
});

describe('fileTokens', () => {
  let folder: string;
  let path: string;
  const clock = new VirtualClock();
  const tokenFor = (n: number) => jwt(n, { exp: Math.floor(clock.wall() / 1000) + 3600 });

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mercato-tokens-'));
    path = join(folder, 'inventory');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('reads the file, without its line end, and again after a minute', async () => {
    const tokens = fileTokens({ paths: { inventory: path }, clock });
    await writeFile(path, `${tokenFor(1)}\n`);
    expect(await tokens('inventory')).to.equal(tokenFor(1));
    const before = tokenFor(1);
    await writeFile(path, tokenFor(2));
    clock.advance(59_000);
    expect(await tokens('inventory')).to.equal(before);
    await writeFile(path, tokenFor(3));
    clock.advance(2000);
    const deadline = performance.now() + 15_000;
    while ((await tokens('inventory')) === before) {
      if (performance.now() > deadline) throw new Error('the file was not read again');
      await new Promise(setImmediate);
    }
  });

  it('goes on with the old token while the file is away', async () => {
    const failed = Promise.withResolvers<void>();
    const tokens = fileTokens({ paths: { inventory: path }, clock, onError: () => failed.resolve() });
    await writeFile(path, tokenFor(1));
    const first = await tokens('inventory');
    await rm(path);
    clock.advance(61_000);
    expect(await tokens('inventory')).to.equal(first);
    await failed.promise;
    expect(await tokens('inventory')).to.equal(first);
    clock.advance(HOUR);
    expect(await errorOf(tokens('inventory'))).to.be.instanceOf(NoTokenError);
  });

  it('has no token for an audience without a file, or from an empty one', async () => {
    await writeFile(path, '\n');
    const tokens = fileTokens({ paths: { inventory: path }, clock });
    expect(await errorOf(tokens('payment')))
      .to.have.property('message')
      .that.includes('no file is configured');
    expect(await errorOf(tokens('inventory')))
      .to.have.property('message')
      .that.includes('is empty');
    expect(await errorOf(tokens('toString'))).to.be.instanceOf(NoTokenError);
  });
});
