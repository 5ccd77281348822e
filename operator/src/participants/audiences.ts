import { claimsOf, type IssuedToken, type RequestedTokensOptions } from './tokens.ts';

/** Makes a TokenRequest; without an audience, the API server takes its own. */
export type RequestToken = (
  audiences: readonly string[],
  expirationSeconds: number,
  signal: AbortSignal,
) => Promise<IssuedToken>;

/**
 * Tokens for participants, and for nobody else: a token that the API server itself accepts is refused. Whoever writes a Participant says the audience
 * and where it is sent, and would otherwise have the operator's own rights sent there. Asked anew for each token: there are few, and the API server's
 * audiences are its administrator's to change.
 */
export function participantTokens(request: RequestToken): RequestedTokensOptions['requestToken'] {
  return async (audience, expirationSeconds, signal) => {
    const { token } = await request([], expirationSeconds, signal);
    const own = claimsOf(token)?.aud;
    if (own === undefined)
      throw new Error("the API server's own audiences are not known, so that none can be told from them");
    if (own.includes(audience)) {
      throw new Error(
        `${audience} is an audience of the API server: its token would hand over the operator's rights; give the Participant an audience of its own`,
      );
    }
    return request([audience], expirationSeconds, signal);
  };
}
