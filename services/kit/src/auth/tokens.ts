import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import { Agent, request } from 'undici';
import { type Clock, systemClock } from '../clock.ts';
import { ProblemError } from '../problem.ts';
import { days, type Milliseconds, minutes, seconds } from '../units.ts';

/** Who calls. */
export interface Caller {
  /** As `system:serviceaccount:mercato-system:mercato-caller`. */
  readonly subject: string;
}

/** Decides from the Authorization header who calls. */
export interface TokenCheck {
  /**
   * @param allowed subjects that may call; by default those that the service was given
   * @throws ProblemError 401 (no good token), 403 (good, but not of an allowed caller), 503 (cannot be told now).
   */
  check(authorization: string | undefined, allowed?: readonly string[]): Promise<Caller>;
  close(): Promise<void>;
}

export interface TokenOptions {
  readonly issuer: string;
  /** What the token must have been made for: Participant.spec.audience. */
  readonly audience: string;
  readonly jwksUrl: string;
  /** PEM of the authority that signed the JWKS server's certificate. */
  readonly jwksCa?: string;
  /** File with a bearer token for the JWKS server, read again for each fetch because such tokens rotate. */
  readonly jwksTokenFile?: string;
  readonly allowedSubjects: readonly string[];
  readonly clock?: Clock;
  /** Shortest time between two fetches; a token with an unknown key id gets 503 meanwhile. @default 10 s */
  readonly jwksCooldown?: Milliseconds;
  /** Keys older than this are fetched again; the old ones serve while that fails. @default 10 min */
  readonly jwksMaxAge?: Milliseconds;
}

const algorithms = ['RS256', 'ES256'];
const maxCached = 4096;
/** For so long a token is not verified again: with `jwksMaxAge`, a key that is withdrawn counts for 11 minutes at most while the cluster answers. */
const verifiedFor = minutes(1);
/** Keys older than this serve nobody: one that was withdrawn meanwhile must not count for ever because the cluster cannot be asked. */
const keysServeFor = days(1);
const maxJwksBytes = 256 * 1024;

const unauthorised = (detail: string) => new ProblemError(401, 'Unauthorized', detail);
const unavailable = (detail: string) => new ProblemError(503, 'KeysUnavailable', detail);

/**
 * Verifies service-account tokens against the cluster's JWKS. A verified token is remembered by its hash for a minute: an RS256
 * verification per command would cost more than the command. Unknown key ids while the keys cannot be fetched are 503, not 401: the caller
 * may be right, and must not be told otherwise.
 */
export class JwksTokenCheck implements TokenCheck {
  readonly #options: TokenOptions;
  readonly #clock: Clock;
  readonly #agent: Agent;
  /** By hash: the tokens themselves are not kept. */
  readonly #verified = new Map<string, { caller: Caller; expires: number; at: number }>();
  #keys: { set: ReturnType<typeof createLocalJWKSet>; at: number } | undefined;
  #lastTry = Number.NEGATIVE_INFINITY;
  #fetching: Promise<void> | undefined;

  constructor(options: TokenOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#agent = new Agent({
      headersTimeout: 5000,
      bodyTimeout: 5000,
      connect: { timeout: 5000, ...(options.jwksCa === undefined ? {} : { ca: options.jwksCa }) },
    });
  }

  async check(authorization: string | undefined, allowed = this.#options.allowedSubjects): Promise<Caller> {
    const caller = await this.#callerOf(authorization);
    if (allowed.includes(caller.subject)) return caller;
    throw new ProblemError(403, 'Forbidden', `${caller.subject} may not call this`);
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }

  async #callerOf(authorization: string | undefined): Promise<Caller> {
    const token = authorization?.startsWith('Bearer ') ? authorization.slice(7).trim() : '';
    if (token === '') throw unauthorised('send Authorization: Bearer with a service-account token');
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(hash);
    const now = this.#clock.now();
    if (known !== undefined && known.expires > now && now - known.at < verifiedFor && now >= known.at)
      return known.caller;
    this.#verified.delete(hash);
    const { caller, expires } = await this.#verify(token);
    if (this.#verified.size >= maxCached) this.#verified.delete(this.#verified.keys().next().value!);
    this.#verified.set(hash, { caller, expires, at: now });
    return caller;
  }

  async #verify(token: string): Promise<{ caller: Caller; expires: number }> {
    await this.#refreshIfOld();
    let payload: JWTPayload;
    try {
      payload = await this.#verifyOnce(token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw this.#refusal(error);
      await this.#fetchForUnknownKey();
      payload = await this.#verifyOnce(token).catch((again: unknown) => {
        throw this.#refusal(again);
      });
    }
    return { caller: { subject: payload.sub! }, expires: payload.exp! * 1000 };
  }

  async #verifyOnce(token: string): Promise<JWTPayload> {
    if (this.#keys === undefined) throw unavailable("the cluster's signing keys could not be fetched yet");
    if (this.#clock.now() - this.#keys.at > keysServeFor)
      throw unavailable("the cluster's signing keys could not be fetched for a day");
    const { payload } = await jwtVerify(token, this.#keys.set, {
      issuer: this.#options.issuer,
      audience: this.#options.audience,
      algorithms,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: 5,
      currentDate: new Date(this.#clock.now()),
    });
    return payload;
  }

  #refusal(error: unknown): Error {
    if (error instanceof ProblemError) return error;
    if (error instanceof errors.JOSEError) return unauthorised(`the token is refused: ${error.message}`);
    return error as Error;
  }

  async #refreshIfOld(): Promise<void> {
    const now = this.#clock.now();
    if (this.#keys !== undefined && now - this.#keys.at < (this.#options.jwksMaxAge ?? minutes(10))) return;
    if (this.#fetching === undefined && now - this.#lastTry < this.#cooldown) return;
    await this.#fetch().catch(() => {
      // Old keys go on serving; without any, verifyOnce answers 503.
    });
  }

  async #fetchForUnknownKey(): Promise<void> {
    const mayFetch = this.#fetching !== undefined || this.#clock.now() - this.#lastTry >= this.#cooldown;
    if (!mayFetch) throw unavailable("the token's key is not known, and the keys were fetched a moment ago; try again");
    await this.#fetch().catch(() => {
      throw unavailable("the token's key is not known, and the keys cannot be fetched now");
    });
  }

  get #cooldown(): number {
    return this.#options.jwksCooldown ?? seconds(10);
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    this.#lastTry = this.#clock.now();
    const { jwksUrl, jwksTokenFile } = this.#options;
    const token = jwksTokenFile === undefined ? undefined : (await readFile(jwksTokenFile, 'utf8')).trim();
    const { statusCode, body } = await request(jwksUrl, {
      dispatcher: this.#agent,
      headers: {
        accept: 'application/jwk-set+json, application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    const text = await body.text();
    if (statusCode !== 200 || text.length > maxJwksBytes)
      throw new Error(`${jwksUrl} answered ${statusCode} with ${text.length} bytes`);
    this.#keys = { set: createLocalJWKSet(JSON.parse(text) as JSONWebKeySet), at: this.#clock.now() };
  }
}

/** Lets everybody in. For unit tests on a laptop; a service starts with it only when told to in so many words. */
export const insecureTokenCheck: TokenCheck = {
  check: async () => ({ subject: 'anonymous' }),
  close: async () => {},
};
