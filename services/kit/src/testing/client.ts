import { Agent, request } from 'undici';
import type { JsonObject } from '../json.ts';
import type { CommandKind } from '../key.ts';

/** One command as a test sends it. */
export interface Sent {
  readonly command: string;
  readonly orderId: string;
  /** @default `step` */
  readonly step?: string;
  /** @default action */
  readonly kind?: CommandKind;
  /** @default 1 */
  readonly epoch?: number;
  /** @default the client's own */
  readonly begun?: string;
  readonly body: unknown;
}

export interface Received {
  readonly status: number;
  readonly body: JsonObject;
  readonly retryAfter?: number;
  readonly contentType?: string;
}

/** Speaks the participant contract over real HTTP, one command a request or as batches. */
export class TestClient {
  readonly url: string;
  readonly #token: string;
  readonly #begun: string;
  readonly #agent = new Agent({ connections: 32 });

  constructor(url: string, token: string, begun: string) {
    this.url = url;
    this.#token = token;
    this.#begun = begun;
  }

  key({ orderId, step = 'step', kind = 'action' }: Pick<Sent, 'orderId' | 'step' | 'kind'>): string {
    return `shop/checkout/${orderId}/${step}/${kind}`;
  }

  async single(sent: Sent, headers: Record<string, string> = {}): Promise<Received> {
    return this.call('POST', `/saga/${sent.command}`, sent.body, {
      'idempotency-key': this.key(sent),
      'mercato-epoch': String(sent.epoch ?? 1),
      'mercato-begun': sent.begun ?? this.#begun,
      ...headers,
    });
  }

  async batch(sent: readonly Sent[]): Promise<Received[]> {
    const items = sent.map((one) => ({
      command: one.command,
      key: this.key(one),
      epoch: one.epoch ?? 1,
      begun: one.begun ?? this.#begun,
      body: one.body,
    }));
    const answer = await this.call('POST', '/saga/batch', { items });
    if (answer.status !== 200)
      throw new Error(`the batch was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
    return answer.body['items'] as unknown as Received[];
  }

  /** Any request, with the token unless `headers` has another authorization (an empty one: none). */
  async call(
    method: 'GET' | 'PUT' | 'POST',
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Received> {
    const all: Record<string, string> = {
      authorization: `Bearer ${this.#token}`,
      'content-type': 'application/json',
      ...headers,
    };
    if (all['authorization'] === '') delete all['authorization'];
    const response = await request(this.url + path, {
      method,
      dispatcher: this.#agent,
      headers: all,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const retryAfterMs = response.headers['mercato-retry-after-ms'];
    return {
      status: response.statusCode,
      body: JSON.parse(text) as JsonObject,
      contentType: String(response.headers['content-type']),
      ...(retryAfterMs === undefined ? {} : { retryAfter: Number(retryAfterMs) / 1000 }),
    };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}
