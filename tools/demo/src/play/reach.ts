import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { NamespacedName } from '@mercato/operator/kube/key.ts';

/** The services that carry out commands: each is a Participant of its own name. */
export const SERVICES = ['inventory', 'payment', 'shipping'] as const;

/** What a play asks: the services, and the simulated companies' logs. */
export type Asked = (typeof SERVICES)[number] | 'order' | 'acquirer' | 'carrier';

/** How a play reaches the shop: on this machine, or inside a cluster. */
export interface Reach {
  /** Where something answers, without a slash at its end. */
  urlOf(name: Asked): string;
  /** A token that a service of this audience lets in. */
  tokenFor(audience: string): Promise<string>;
  /** For how long a question is asked again while nobody answers, in milliseconds: pods are killed in the middle of it. @default 0 */
  readonly patienceMs?: number;
}

/** Asks for tokens that live this long, in seconds, and for new ones after half of it. */
const TOKEN_SECONDS = 3_600;

/** Tokens of a service account, asked of the API server and kept as long as they last. The client must be allowed to create them. */
export function requestedTokens(client: KubeClient, account: NamespacedName): Reach['tokenFor'] {
  const known = new Map<string, { readonly token: Promise<string>; readonly askedMs: number }>();
  return (audience) => {
    const kept = known.get(audience);
    if (kept !== undefined && performance.now() - kept.askedMs < (TOKEN_SECONDS * 1000) / 2) return kept.token;
    const token = client
      .createToken(account, { audiences: [audience], expirationSeconds: TOKEN_SECONDS })
      .then((answer) => answer.token);
    known.set(audience, { token, askedMs: performance.now() });
    // One that was refused is asked for again, not remembered.
    token.catch(() => known.delete(audience));
    return token;
  };
}
