import { parseArgs } from 'node:util';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { ConfigError, loadConfig } from '@mercato/operator/kube/config.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { type Clock, pause, systemClock } from '@mercato/operator/runtime/clock.ts';
import { pciBoundaries } from './kube/resources.ts';
import { UsageError } from './options.ts';

const LOOK_EVERY_MILLIS = 250;
/** How long the controller may take to let a boundary go: it removes the policies that it owns. */
const TIMEOUT_MILLIS = 120_000;

const USAGE = `mercato-boundary-withdraw: deletes a PciBoundary and waits until its controller has let it go

  --name NAME               the PciBoundary (default: card)
  --kubeconfig FILE         the cluster (default: KUBECONFIG, the pod's service account, ~/.kube/config)
`;

/**
 * Deletes a PciBoundary while its controller is still there, and resolves once it is gone: without a controller its finalizer would keep it, and the
 * kind, for ever. What is left is the deny policy. Rejects with the client's errors, and with an Error when the time is over.
 *
 * @param timeoutMs @default two minutes
 */
export async function withdraw(
  client: KubeClient,
  name: string,
  { clock = systemClock, timeoutMs = TIMEOUT_MILLIS }: { clock?: Clock; timeoutMs?: number } = {},
): Promise<void> {
  const end = clock.monotonic() + timeoutMs;
  const isGone = async (asked: Promise<unknown>): Promise<boolean> =>
    asked.then(
      (left) => left === undefined,
      (error) => {
        if (isNotFound(error)) return true;
        throw error;
      },
    );
  if (await isGone(client.delete(pciBoundaries, { name }))) return;
  while (!(await isGone(client.get(pciBoundaries, { name })))) {
    if (clock.monotonic() >= end)
      throw new Error(
        `PciBoundary ${name} is still there after ${timeoutMs / 1000} s: see whether its controller runs, and what its log says`,
      );
    await pause(clock, LOOK_EVERY_MILLIS);
  }
}

/** `node boundary/src/withdraw.ts`: what the chart's hook runs before the controller is uninstalled. */
async function main(): Promise<number> {
  const { kubeconfig, name, help } = flags(process.argv.slice(2));
  if (help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const transport = createTransport(loadConfig(kubeconfig === undefined ? {} : { kubeconfig }));
  try {
    await withdraw(new KubeClient(transport), name);
    process.stdout.write(`PciBoundary ${name} is gone; its namespaces deny all\n`);
    return 0;
  } finally {
    await transport.close();
  }
}

function flags(args: readonly string[]): { kubeconfig?: string; name: string; help: boolean } {
  const text = { type: 'string' as const };
  try {
    const options = { kubeconfig: text, name: text, help: { type: 'boolean' as const, short: 'h' } };
    const { kubeconfig, name = 'card', help = false } = parseArgs({ args: [...args], options, strict: true }).values;
    return { ...(kubeconfig !== undefined && { kubeconfig }), name, help };
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

if (import.meta.main) {
  main().then(
    (code) => process.exit(code),
    (error: unknown) => {
      const known = error instanceof UsageError || error instanceof ConfigError;
      process.stderr.write(
        `mercato-boundary-withdraw: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
      );
      process.exit(known ? 2 : 1);
    },
  );
}
