import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { type Clock, systemClock } from '../clock.ts';

export interface TokenWish {
  readonly audience?: string;
  readonly subject?: string;
  readonly issuer?: string;
  /** Seconds from now; negative for one that has expired. @default 600 */
  readonly lifetime?: number;
}

export const testAudience = 'participant-under-test';
export const testSubject = 'system:serviceaccount:mercato-system:mercato-caller';

/** A small issuer of service-account tokens with a JWKS server on 127.0.0.1, as the cluster has one. Tokens are really signed (RS256). */
export class TestIssuer {
  readonly issuer = 'https://kubernetes.default.svc.cluster.local';
  readonly #clock: Clock;
  readonly #server: Server;
  #keys: { kid: string; privateKey: CryptoKey; jwk: JWK }[] = [];
  #made = 0;
  #down = false;
  #fetches = 0;

  private constructor(clock: Clock) {
    this.#clock = clock;
    this.#server = createServer((_request, response) => {
      this.#fetches += 1;
      if (this.#down) return void response.writeHead(503).end();
      response.setHeader('Content-Type', 'application/jwk-set+json');
      response.end(JSON.stringify({ keys: this.#keys.map(({ jwk }) => jwk) }));
    });
  }

  static async start(clock: Clock = systemClock): Promise<TestIssuer> {
    const issuer = new TestIssuer(clock);
    await issuer.addKey();
    await new Promise<void>((resolve) => issuer.#server.listen(0, '127.0.0.1', resolve));
    return issuer;
  }

  get jwksUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/openid/v1/jwks`;
  }

  /** How often the JWKS was asked for. */
  get fetches(): number {
    return this.#fetches;
  }

  /** Makes the JWKS server answer 503, or well again. */
  down(down: boolean): void {
    this.#down = down;
  }

  /** Signs with a new key from now on; the old ones stay published. */
  async addKey(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair('RS256', { modulusLength: 2048 });
    const kid = `key-${++this.#made}`;
    this.#keys.push({ kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' } });
  }

  /** Publishes none of the keys that there are any more. */
  withdrawKeys(): void {
    this.#keys = [];
  }

  async mint(wish: TokenWish = {}): Promise<string> {
    const { kid, privateKey } = this.#keys.at(-1)!;
    const now = Math.floor(this.#clock.now() / 1000);
    const lifetime = wish.lifetime ?? 600;
    return new SignJWT({})
      .setProtectedHeader({ alg: 'RS256', kid })
      .setIssuer(wish.issuer ?? this.issuer)
      .setAudience([wish.audience ?? testAudience])
      .setSubject(wish.subject ?? testSubject)
      .setIssuedAt(Math.min(now, now + lifetime - 1))
      .setExpirationTime(now + lifetime)
      .sign(privateKey);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
