import { readFlags } from '@mercato/operator/flags.ts';
import { KubeClient } from '@mercato/operator/kube/client.ts';
import { loadConfig } from '@mercato/operator/kube/config.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { createTransport } from '@mercato/operator/kube/transport.ts';
import { endWith } from '@mercato/operator/program.ts';
import { type Clock, pause, systemClock } from '@mercato/operator/runtime/clock.ts';
import { pciBoundaries } from './kube/resources.ts';

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
  const { kubeconfig, name = 'card', help } = readFlags(process.argv.slice(2), ['kubeconfig', 'name'], USAGE);
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

if (import.meta.main) endWith('mercato-boundary-withdraw', main());
