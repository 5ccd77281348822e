import { createHash } from 'node:crypto';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose';
import type { Transport } from '../kube/transport.ts';
import type { Clock } from '../runtime/clock.ts';

/** Reads what the cluster publishes about its service-account tokens. Rejects where that cannot be had now. */
export type KeySource = () => Promise<{ readonly issuer: string; readonly keys: JSONWebKeySet }>;

/**
 * The issuer and its keys as the API server itself serves them; every service account may read both (the role system:service-account-issuer-discovery).
 */
export function clusterKeys(transport: Transport): KeySource {
  return async () => {
    const [discovery, keys] = await Promise.all(
      ['/.well-known/openid-configuration', '/openid/v1/jwks'].map((path) =>
        transport.requestText({ method: 'GET', path }),
      ),
    );
    const { issuer } = JSON.parse(discovery ?? '') as { issuer?: unknown };
    if (typeof issuer !== 'string' || issuer === '')
      throw new Error('the cluster does not name the issuer of its tokens');
    return { issuer, keys: JSON.parse(keys ?? '') as JSONWebKeySet };
  };
}

/** Why a caller is not let in, as an HTTP status: 401 no good token, 403 a good one of somebody else, 503 it cannot be told now. */
export class CallerRefused extends Error {
  override readonly name = 'CallerRefused';
  readonly status: 401 | 403 | 503;

  constructor(status: 401 | 403 | 503, message: string) {
    super(message);
    this.status = status;
  }
}

export interface TokenVerifierOptions {
  readonly audience: string;
  /** Subjects that may call, as `system:serviceaccount:shop:mercato-order`. */
  readonly subjects: readonly string[];
  readonly source: KeySource;
  readonly clock: Clock;
  /** Told when the keys could not be read, also where the old ones still serve. */
  readonly onError: (error: unknown) => void;
}

const ALGORITHMS = ['RS256', 'ES256'];
/** Tokens that are remembered; the oldest gives way. */
const REMEMBERED = 1_024;
/** For so long a token is not verified again: with what follows, a key that is withdrawn counts for 11 minutes at most while the API server answers. */
const VERIFIED_MILLIS = 60_000;
/** Keys older than this are read again; the old ones serve while that fails. */
const KEYS_LIVE_MILLIS = 600_000;
/** Keys older than this serve nobody: one that was withdrawn meanwhile must not count for ever because the API server cannot be asked. */
const KEYS_SERVE_MILLIS = 86_400_000;
/** The shortest time between two reads: a token with an invented key id must not be a load on the API server. */
const COOLDOWN_MILLIS = 10_000;

/** What is remembered of a token. */
interface Verified {
  readonly subject: string;
  /** By its own word, in Unix milliseconds. */
  readonly expires: number;
  /** When it is verified again, by the monotonic clock. */
  readonly until: number;
}

/**
 * Verifies service-account tokens by the cluster's published keys, as services do (services/kit/src/auth/tokens.ts, which the operator does not import).
 *
 * A verified token is remembered by its hash for a minute: verifying it for each request would cost more than the request. A key that is not
 * known while the keys cannot be read is 503 and not 401: the caller may be right.
 */
export class TokenVerifier {
  readonly #o: TokenVerifierOptions;
  readonly #verified = new Map<string, Verified>();
  #known: { issuer: string; set: ReturnType<typeof createLocalJWKSet>; at: number } | undefined;
  #lastTry = Number.NEGATIVE_INFINITY;
  #reading: Promise<void> | undefined;

  constructor(options: TokenVerifierOptions) {
    this.#o = options;
  }

  /** @returns the caller's subject. @throws CallerRefused */
  async check(authorization: string | undefined): Promise<string> {
    const subject = await this.#subjectOf(authorization);
    if (this.#o.subjects.includes(subject)) return subject;
    throw new CallerRefused(403, `${subject} may not send events: name it in --intake-subjects`);
  }

  async #subjectOf(authorization: string | undefined): Promise<string> {
    const token = authorization?.startsWith('Bearer ') ? authorization.slice(7).trim() : '';
    if (token === '') throw new CallerRefused(401, 'send Authorization: Bearer with a service-account token');
    const hash = createHash('sha256').update(token).digest('base64');
    const known = this.#verified.get(hash);
    const { clock } = this.#o;
    if (known !== undefined && known.expires > clock.wall() && known.until > clock.monotonic()) return known.subject;
    this.#verified.delete(hash);
    const { sub = '', exp = 0 } = await this.#verify(token);
    if (this.#verified.size >= REMEMBERED) this.#verified.delete(this.#verified.keys().next().value as string);
    this.#verified.set(hash, { subject: sub, expires: exp * 1000, until: clock.monotonic() + VERIFIED_MILLIS });
    return sub;
  }

  async #verify(token: string): Promise<JWTPayload> {
    await this.#readIfOld();
    try {
      return await this.#verifyOnce(token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw refused(error);
    }
    if (this.#reading === undefined && this.#o.clock.monotonic() - this.#lastTry < COOLDOWN_MILLIS)
      throw new CallerRefused(503, "the token's key is not known, and the keys were read a moment ago: try again");
    await this.#read().catch(() => {
      throw new CallerRefused(503, "the token's key is not known, and the keys cannot be read now: try again");
    });
    return this.#verifyOnce(token).catch((error: unknown) => {
      throw refused(error);
    });
  }

  async #verifyOnce(token: string): Promise<JWTPayload> {
    if (this.#known === undefined) throw new CallerRefused(503, "the cluster's keys could not be read yet: try again");
    if (this.#o.clock.monotonic() - this.#known.at > KEYS_SERVE_MILLIS)
      throw new CallerRefused(503, "the cluster's keys could not be read for a day: try again");
    const { payload } = await jwtVerify(token, this.#known.set, {
      issuer: this.#known.issuer,
      audience: this.#o.audience,
      algorithms: ALGORITHMS,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: 5,
      currentDate: new Date(this.#o.clock.wall()),
    });
    return payload;
  }

  async #readIfOld(): Promise<void> {
    const now = this.#o.clock.monotonic();
    if (this.#known !== undefined && now - this.#known.at < KEYS_LIVE_MILLIS) return;
    if (this.#reading === undefined && now - this.#lastTry < COOLDOWN_MILLIS) return;
    // Old keys go on serving; without any, verifyOnce answers 503.
    await this.#read().catch(() => undefined);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOnce().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOnce(): Promise<void> {
    this.#lastTry = this.#o.clock.monotonic();
    try {
      const { issuer, keys } = await this.#o.source();
      this.#known = { issuer, set: createLocalJWKSet(keys), at: this.#o.clock.monotonic() };
    } catch (error) {
      this.#o.onError(error);
      throw error;
    }
  }
}

function refused(error: unknown): unknown {
  return error instanceof errors.JOSEError ? new CallerRefused(401, `the token is refused: ${error.message}`) : error;
}
