import { freePort } from '@mercato/controlplane/ports.ts';
import { eventually, type TestCluster } from './cluster.ts';

/** What a 503 says when some were taken. */
interface SomeTaken {
  /** The places of the others. */
  readonly again: readonly number[];
  readonly outcomes: Record<string, number>;
}

/** The order service's relay, as the operator sees it: events over HTTP, with a token of an account of the test's namespace. */
export class OrderRelay {
  readonly #cluster: TestCluster;
  readonly #port: number;
  readonly #token: string;

  private constructor(cluster: TestCluster, port: number, token: string) {
    this.#cluster = cluster;
    this.#port = port;
    this.#token = token;
  }

  static async of(cluster: TestCluster): Promise<OrderRelay> {
    // Several relays are one account.
    const manifest = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'order', namespace: cluster.namespace },
    });
    await cluster.plane.kubectl(['apply', '--server-side', '-f', '-'], manifest);
    const account = { namespace: cluster.namespace, name: 'order' };
    const wish = { audiences: ['mercato-operator'], expirationSeconds: 600 };
    const { token } = await cluster.client.createToken(account, wish);
    return new OrderRelay(cluster, await freePort(), token);
  }

  /** What the operator is started with, to listen to this relay. */
  get flags(): string[] {
    const subject = `system:serviceaccount:${this.#cluster.namespace}:order`;
    return [`--intake-address=127.0.0.1:${this.#port}`, `--intake-subjects=${subject}`];
  }

  /** A new order, as the order service tells of it. */
  placed(orderId: string, changes: object = {}, data: object = {}): object {
    const order = {
      customer: 'ada',
      currency: 'GBP',
      lines: [{ sku: 'MUG', quantity: 2, unitPrice: 895 }],
      paymentToken: 'tok_visa',
      shipTo: { country: 'GB' },
    };
    return this.#event(orderId, 1, 'placed', { ...order, ...data }, changes);
  }

  /** A customer's cancel. */
  cancel(orderId: string): object {
    return this.#event(orderId, 2, 'cancel-requested', { reason: 'changed their mind' });
  }

  #event(orderId: string, sequence: number, type: string, data: object, changes: object = {}): object {
    return {
      specversion: '1.0',
      id: `${orderId}/${sequence}`,
      source: '/mercato/order',
      type: `dev.mercato.order.${type}`,
      subject: orderId,
      time: new Date().toISOString(),
      mercatonamespace: this.#cluster.namespace,
      mercatosaga: 'checkout',
      sequence: String(sequence),
      data,
      ...changes,
    };
  }

  /** Sends once. */
  async post(events: readonly object[], headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`http://127.0.0.1:${this.#port}/events`, {
      method: 'POST',
      headers: {
        'content-type': 'application/cloudevents-batch+json',
        authorization: `Bearer ${this.#token}`,
        ...headers,
      },
      body: JSON.stringify(events),
    });
  }

  /**
   * As a relay does: again and again until all were taken, each time only what is to come again.
   * @returns how many of them became what, when they were taken
   */
  async deliver(events: readonly object[]): Promise<Record<string, number>> {
    const answer: Record<string, number> = {};
    const add = ({ Busy: _, ...outcomes }: Record<string, number>): void => {
      for (const [outcome, count] of Object.entries(outcomes)) answer[outcome] = (answer[outcome] ?? 0) + count;
    };
    let left = events;
    let last = '';
    await eventually(
      async () => {
        const response = await this.post(left).catch((error: Error) => error);
        last = response instanceof Error ? response.message : `${response.status} ${await response.clone().text()}`;
        if (response instanceof Error) return false;
        if (response.ok) {
          add((await response.json()) as Record<string, number>);
          return true;
        }
        if (response.status !== 503) return false;
        const { again, outcomes } = (await response.json()) as Partial<SomeTaken>;
        if (again !== undefined && outcomes !== undefined) {
          add(outcomes);
          left = left.filter((_, place) => again.includes(place));
        }
        return false;
      },
      () => `the delivery was answered with ${last}`,
    );
    return answer;
  }
}
