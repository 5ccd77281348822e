import { connect, createServer, type Server, type Socket } from 'node:net';
import { type ControlPlane, startControlPlane } from '@mercato/controlplane';
import { requireBinaries } from '@mercato/controlplane/testing.ts';
import { KubeClient } from './client.ts';
import { type ClusterConfig, configFromText } from './config.ts';
import { createTransport, type TransportOptions } from './transport.ts';

/** Helpers of tests that talk to a real API server. */

let breakable: Promise<ControlPlane> | undefined;

if (typeof after === 'function') {
  after('stop the breakable control plane', async function () {
    this.timeout(60_000);
    await (await breakable)?.stop();
  });
}

/** A control plane that tests may kill and compact; each leaves it running. One for all such tests, since a start takes seconds. */
export function breakableControlPlane(): Promise<ControlPlane> {
  breakable ??= (async () => {
    requireBinaries();
    return startControlPlane({ etcdUnsafeNoFsync: true });
  })();
  return breakable;
}

/** How to reach a control plane as its administrator, or through something at another address. */
export async function configOf(plane: ControlPlane, server = plane.url): Promise<ClusterConfig> {
  return { ...configFromText(await plane.kubeconfigYaml()), server };
}

/** A client of a control plane. Close its transport at the end. */
export async function clientOf(
  plane: ControlPlane,
  options: TransportOptions & { server?: string; fieldManager?: string } = {},
): Promise<KubeClient> {
  const { server, fieldManager = 'test', ...transport } = options;
  return new KubeClient(createTransport(await configOf(plane, server), transport), { fieldManager });
}

/**
 * Waits until `probe` returns something other than `undefined` or `false`, and returns that. What it throws counts as "not yet"; after
 * `timeoutMs` the last of it is the cause of the failure.
 */
export async function eventually<R>(
  what: string,
  probe: () => R | Promise<R>,
  timeoutMs = 30_000,
): Promise<Exclude<R, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value as Exclude<R, undefined | false>;
      last = undefined;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A TCP proxy that can stop forwarding without closing anything: what a network does that loses a connection's state. */
export class FreezableProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #url = '';
  #port = 0;

  private constructor(target: URL) {
    this.#server = createServer((inbound) => {
      const outbound = connect(Number(target.port), target.hostname);
      const pair = [inbound, outbound] as const;
      this.#pairs.add(pair);
      inbound.pipe(outbound);
      outbound.pipe(inbound);
      const end = () => {
        this.#pairs.delete(pair);
        inbound.destroy();
        outbound.destroy();
      };
      for (const socket of pair) socket.on('error', end).on('close', end);
    });
  }

  /** Forwards to a URL's host and port. */
  static async start(target: string): Promise<FreezableProxy> {
    const url = new URL(target);
    const proxy = new FreezableProxy(url);
    await proxy.restart();
    const address = proxy.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    proxy.#port = address.port;
    proxy.#url = `${url.protocol}//127.0.0.1:${address.port}`;
    return proxy;
  }

  /** Listens again, on the same port, after `stop`. */
  async restart(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  get url(): string {
    return this.#url;
  }

  /** How many connections there are. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Stops forwarding on the connections that there are; new ones work. */
  freeze(): void {
    for (const [inbound, outbound] of this.#pairs) {
      inbound.unpipe(outbound);
      outbound.unpipe(inbound);
      inbound.pause();
      outbound.pause();
    }
  }

  /** Ends all connections and listens no more. Safe to repeat. */
  async stop(): Promise<void> {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
