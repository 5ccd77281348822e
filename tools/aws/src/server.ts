import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Component, endComponent, startComponent, waitUntilReady } from '@mercato/controlplane/component.ts';
import { freePort, LOOPBACK } from '@mercato/controlplane/ports.ts';
import { startWatchdog } from '@mercato/controlplane/watchdog.ts';

/** What a client of an AWS SDK is made with. */
export interface ClientConfig {
  readonly endpoint: string;
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

/** An emulator that runs. */
export interface Emulator {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly pid: number;
  /** For clients of this process: `new SQSClient(emulator.client)`. */
  readonly client: ClientConfig;
  /** For other processes: the AWS SDK's own variables, which lead every client to the emulator. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends it; nothing that it stored is kept. */
  close(): Promise<void>;
}

/** How one emulator is started. */
export interface ServerSettings {
  readonly name: string;
  readonly binary: string;
  args(port: number, folder: string): readonly string[];
  /** What is added to this process's environment. */
  env?(port: number, folder: string): Readonly<Record<string, string>>;
  /** Whether an answer to GET of this path says that it serves. */
  readonly path: string;
  serves(status: number): boolean;
}

/** Patience for a machine that does a dozen other things; an idle one needs 1 to 3 s. */
const READY_TIMEOUT_MS = 60_000;

/** Starts until a port is found that nobody took between the look and the start. */
const PORT_ATTEMPTS = 3;

/** Emulators take any; DynamoDB Local wants letters and digits. */
const REGION = 'eu-west-1';
const ACCESS_KEY_ID = 'mercatotests';
const SECRET_ACCESS_KEY = 'mercatotests';

/**
 * Starts an emulator on 127.0.0.1, in a temporary folder of its own, and answers when it serves. It ends with this process, however that ends.
 *
 * @throws ComponentError with the end of its log
 */
export async function startServer(settings: ServerSettings): Promise<Emulator> {
  const folder = await mkdtemp(join(tmpdir(), `mercato-${settings.name}-`));
  const watchdog = startWatchdog(folder);
  const end = async (component: Component) => {
    // Nothing of a temporary folder is kept, so nothing has to be finished.
    await endComponent(component, 0);
    watchdog.guard([]);
  };
  const close = async (component: Component) => {
    await end(component);
    watchdog.dismiss();
    await rm(folder, { recursive: true, force: true });
  };
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    const url = `http://${LOOPBACK}:${port}`;
    const env = { ...process.env, ...settings.env?.(port, folder) };
    const log = join(folder, `${settings.name}.log`);
    const component = await startComponent(settings.name, settings.binary, settings.args(port, folder), log, env);
    watchdog.guard([component.pid]);
    try {
      await waitUntilReady(component, () => answers(`${url}${settings.path}`, settings.serves), READY_TIMEOUT_MS);
      let closed: Promise<void> | undefined;
      return {
        url,
        pid: component.pid,
        client: clientConfig(url),
        environment: environmentOf(url),
        close: () => {
          closed ??= close(component);
          return closed;
        },
      };
    } catch (error) {
      if (attempt === PORT_ATTEMPTS) {
        await close(component);
        throw error;
      }
      await end(component);
    }
  }
}

async function answers(url: string, serves: (status: number) => boolean): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) });
    await response.arrayBuffer();
    return serves(response.status);
  } catch {
    return false;
  }
}

function clientConfig(endpoint: string): ClientConfig {
  return {
    endpoint,
    region: REGION,
    credentials: { accessKeyId: ACCESS_KEY_ID, secretAccessKey: SECRET_ACCESS_KEY },
  };
}

function environmentOf(url: string): Readonly<Record<string, string>> {
  return {
    AWS_ENDPOINT_URL: url,
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
  };
}
