import { readFile } from 'node:fs/promises';
import { Agent, request } from 'undici';
import { excerpt } from '../participants/excerpt.ts';
import type { TokenSource } from '../participants/tokens.ts';
import type { Announce } from './announce.ts';
import type { AnnouncedEvent } from './event.ts';

const TIMEOUT_MILLIS = 10_000;

/** Gives a bearer token for each request. Rejects where there is none. */
export type Bearer = () => Promise<string>;

/** Reads the token anew for each request, since such tokens rotate. */
export function bearerFromFile(path: string): Bearer {
  return async () => (await readFile(path, 'utf8')).trim();
}

/** The operator's own tokens (of the account without rights) for the audience that subscribers verify. */
export function bearerFor(tokens: TokenSource, audience: string): Bearer {
  return () => tokens(audience);
}

/** A subscriber that takes CloudEvents in batched JSON mode over HTTP, and answers 2xx once it has them. */
export class HttpSubscriber implements Announce {
  readonly name: string;
  readonly #url: string;
  readonly #bearer: Bearer;
  // One request at a time keeps the order; the second connection is for while the first one hangs.
  readonly #agent = new Agent({ connections: 2, headersTimeout: TIMEOUT_MILLIS, bodyTimeout: TIMEOUT_MILLIS });

  constructor(url: string, bearer: Bearer) {
    this.#url = url;
    this.#bearer = bearer;
    const { host, pathname } = new URL(url);
    this.name = `${host}${pathname}`;
  }

  async send(events: readonly AnnouncedEvent[]): Promise<void> {
    const { statusCode, body } = await request(this.#url, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: {
        'content-type': 'application/cloudevents-batch+json',
        authorization: `Bearer ${await this.#bearer()}`,
      },
      body: JSON.stringify(events),
    });
    if (statusCode >= 200 && statusCode <= 299) return body.dump();
    throw new Error(
      `${this.name} answered ${statusCode} to ${events.length} events: ${excerpt(await body.text(), 300)}`,
    );
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
