import { readFile } from 'node:fs/promises';
import { Backoff } from '../runtime/backoff.ts';
import { type Clock, systemClock } from '../runtime/clock.ts';

/**
 * Where the bearer tokens of requests come from. Resolves with a token that the named audience accepts now, or rejects with a {@link NoTokenError};
 * settles within seconds.
 */
export interface TokenSource {
  (audience: string): Promise<string>;
  /** Told that a participant answered 401 to this token: the signing keys or the service account may have been replaced. */
  readonly rejected?: (audience: string, token: string) => void;
}

/** No token could be had. Its message says for which audience and why, and never holds a token. */
export class NoTokenError extends Error {
  readonly audience: string;

  constructor(audience: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'NoTokenError';
    this.audience = audience;
  }
}

/** What the API server answers to a TokenRequest (`status` of authentication.k8s.io/v1). */
export interface IssuedToken {
  readonly token: string;
  /** RFC 3339. Only used when the token does not say its own lifetime. */
  readonly expirationTimestamp: string;
}

/** How tokens are had from the TokenRequest API: POST /api/v1/namespaces/{namespace}/serviceaccounts/{name}/token. */
export interface RequestedTokensOptions {
  /** Makes the request. Should end when `signal` aborts; its answer is not waited for any longer then. */
  readonly requestToken: (audience: string, expirationSeconds: number, signal: AbortSignal) => Promise<IssuedToken>;
  /** The lifetime to ask for; the API server may give another, and gives none below 600. @default 3600 */
  readonly expirationSeconds?: number;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Told of each request that failed, also where the old token still serves. @default none */
  readonly onError?: (audience: string, error: unknown) => void;
}

/** How tokens are read from files that something else keeps fresh, as the kubelet does with projected tokens. */
export interface FileTokensOptions {
  /** The file of each audience. */
  readonly paths: Readonly<Record<string, string>>;
  /** How long a token is used before its file is read again, in milliseconds. @default 60 s, as client-go */
  readonly refreshMs?: number;
  /** @default the machine's clock */
  readonly clock?: Clock;
  /** Told of each read that failed, also where the old token still serves. @default none */
  readonly onError?: (audience: string, error: unknown) => void;
}

/** A request for a token that takes longer has failed. */
const FETCH_TIMEOUT_MS = 10_000;

/** A token is not used in its last seconds: it has to live until the participant looks at it. */
const MARGIN_MS = 10_000;

/** A token is renewed after this part of its lifetime, as the kubelet does. */
const REFRESH_AT = 0.8;

/** A token whose lifetime nobody knows is taken to live as long as the shortest that Kubernetes issues. */
const SHORTEST_LIFE_MS = 600_000;

/** Tokens that are younger are not given up on a 401: the participant is wrong, and asking for more would only be load. */
const REJECTABLE_AFTER_MS = 10_000;

/**
 * Tokens from the TokenRequest API, cached by audience: requested once at a time, renewed at 80% of their lifetime while the old one goes on being
 * used, and used until they expire when no new one can be had.
 */
export function requestedTokens(options: RequestedTokensOptions): TokenSource {
  const { requestToken, expirationSeconds = 3600, clock = systemClock, onError } = options;
  return cachedTokens({
    clock,
    onError,
    async fetch(audience, signal) {
      const { token, expirationTimestamp } = await requestToken(audience, expirationSeconds, signal);
      const lifeMs = lifetimeOf(token) ?? remaining(Date.parse(expirationTimestamp), clock);
      return { token, refreshAfterMs: lifeMs * REFRESH_AT, expiresAfterMs: lifeMs - MARGIN_MS };
    },
  });
}

/** Tokens from files, one for each audience. An audience without a file has no token. */
export function fileTokens(options: FileTokensOptions): TokenSource {
  const { paths, refreshMs = 60_000, clock = systemClock, onError } = options;
  return cachedTokens({
    clock,
    onError,
    async fetch(audience, signal) {
      const path = Object.hasOwn(paths, audience) ? paths[audience] : undefined;
      if (path === undefined)
        throw new Error('no file is configured for it; project a token for this audience into the pod');
      const token = (await readFile(path, { encoding: 'utf8', signal })).trim();
      if (token === '') throw new Error(`${path} is empty`);
      const expiry = claimsOf(token)?.exp;
      const lifeMs = remaining(expiry === undefined ? Number.NaN : expiry * 1000, clock);
      return { token, refreshAfterMs: refreshMs, expiresAfterMs: lifeMs - MARGIN_MS };
    },
  });
}

interface FetchedToken {
  readonly token: string;
  readonly refreshAfterMs: number;
  readonly expiresAfterMs: number;
}

interface CacheOptions {
  readonly fetch: (audience: string, signal: AbortSignal) => Promise<FetchedToken>;
  readonly clock: Clock;
  readonly onError: ((audience: string, error: unknown) => void) | undefined;
}

function cachedTokens(options: CacheOptions): TokenSource {
  const cells = new Map<string, TokenCell>();
  const cellOf = (audience: string): TokenCell => {
    let cell = cells.get(audience);
    if (cell === undefined) {
      cell = new TokenCell(audience, options);
      cells.set(audience, cell);
    }
    return cell;
  };
  return Object.assign(async (audience: string) => cellOf(audience).get(), {
    rejected: (audience: string, token: string) => cellOf(audience).rejected(token),
  });
}

/** The token of one audience. All times by the monotonic clock: a wall clock that jumps must not make a good token look expired. */
class TokenCell {
  readonly #audience: string;
  readonly #options: CacheOptions;
  readonly #backoff = new Backoff({ baseMs: 250, maxMs: 30_000 });
  #current: { token: string; since: number; refreshAt: number; expiresAt: number } | undefined;
  #pending: Promise<void> | undefined;
  #failure: NoTokenError | undefined;
  #retryAt = Number.NEGATIVE_INFINITY;

  constructor(audience: string, options: CacheOptions) {
    this.#audience = audience;
    this.#options = options;
  }

  async get(): Promise<string> {
    const now = this.#options.clock.monotonic();
    const current = this.#current;
    if (current !== undefined && now < current.refreshAt) return current.token;
    if (this.#pending === undefined && now >= this.#retryAt) this.#pending = this.#refresh();
    if (current !== undefined && now < current.expiresAt) return current.token;
    await this.#pending;
    // A token that just came is good, however short its life; a stale one is not.
    if (this.#current !== undefined && this.#current !== current) return this.#current.token;
    throw this.#failure ?? new NoTokenError(this.#audience, `the token for ${this.#audience} has expired`);
  }

  rejected(token: string): void {
    const current = this.#current;
    const now = this.#options.clock.monotonic();
    if (current?.token === token && now - current.since >= REJECTABLE_AFTER_MS) current.refreshAt = now;
  }

  /** Never rejects: the outcome is in the fields. */
  async #refresh(): Promise<void> {
    const { clock, fetch, onError } = this.#options;
    const started = clock.monotonic();
    try {
      const { token, refreshAfterMs, expiresAfterMs } = await this.#bounded(fetch);
      // A lifetime counts from before the request, so that its own duration is not added to it.
      this.#current = {
        token,
        since: clock.monotonic(),
        refreshAt: started + refreshAfterMs,
        expiresAt: started + expiresAfterMs,
      };
      this.#failure = undefined;
      this.#retryAt = Number.NEGATIVE_INFINITY;
      this.#backoff.reset();
    } catch (error) {
      const told = error instanceof Error ? error.message : String(error);
      this.#failure = new NoTokenError(this.#audience, told, error);
      this.#retryAt = clock.monotonic() + this.#backoff.next();
      onError?.(this.#audience, error);
    } finally {
      this.#pending = undefined;
    }
  }

  async #bounded(fetch: CacheOptions['fetch']): Promise<FetchedToken> {
    const { clock } = this.#options;
    const controller = new AbortController();
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(FETCH_TIMEOUT_MS, () => {
      const error = new Error(`no token came within ${FETCH_TIMEOUT_MS} ms`);
      controller.abort(error);
      late.reject(error);
    });
    try {
      return await Promise.race([fetch(this.#audience, controller.signal), late.promise]);
    } finally {
      cancel();
    }
  }
}

/**
 * How long a token lives from its issue to its expiry, in milliseconds, by its own claims: both times are the issuer's, so that a local clock that is
 * wrong does not matter.
 */
function lifetimeOf(token: string): number | undefined {
  const { iat, exp } = claimsOf(token) ?? {};
  return iat === undefined || exp === undefined || exp <= iat ? undefined : (exp - iat) * 1000;
}

function remaining(expiresAt: number, clock: Clock): number {
  return Number.isNaN(expiresAt) ? SHORTEST_LIFE_MS : expiresAt - clock.wall();
}

/** Some of a JWT's claims: its times, in seconds since the epoch, and its audiences. Nothing is verified: it comes from the API server, or from a file of ours. */
export function claimsOf(token: string): { iat?: number; exp?: number; aud?: readonly string[] } | undefined {
  try {
    const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'));
    if (typeof payload !== 'object' || payload === null) return undefined;
    const { iat, exp, aud } = payload as { iat?: unknown; exp?: unknown; aud?: unknown };
    const audiences = (Array.isArray(aud) ? aud : [aud]).filter((audience) => typeof audience === 'string');
    return {
      ...(typeof iat === 'number' ? { iat } : {}),
      ...(typeof exp === 'number' ? { exp } : {}),
      ...(audiences.length === 0 ? {} : { aud: audiences }),
    };
  } catch {
    return undefined;
  }
}
