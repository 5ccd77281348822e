import { drain } from './drain/drain.ts';
import { parseDrainFlags, USAGE } from './drain/options.ts';
import { KubeClient } from './kube/client.ts';
import { loadConfig } from './kube/config.ts';
import { createTransport } from './kube/transport.ts';
import { endWith } from './program.ts';
import { DRAIN } from './rights.ts';
import { systemClock } from './runtime/clock.ts';
import { createLogger } from './runtime/logger.ts';

/**
 * `node operator/src/drain.ts`: brings all runs to an end before the operator is uninstalled (docs/tasks/uninstall.md). Its exit code says whether
 * anything is left that only an operator could end.
 */
async function main(): Promise<number> {
  const flags = parseDrainFlags(process.argv.slice(2), process.env);
  if (flags === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop.abort(new Error(signal)));
  const config = loadConfig(flags.kubeconfig === undefined ? {} : { kubeconfig: flags.kubeconfig });
  const transport = createTransport(config, { userAgent: DRAIN });
  const logger = createLogger({ level: 'info' });
  try {
    const { left, ...counts } = await drain({
      ...flags,
      client: new KubeClient(transport, { fieldManager: DRAIN }),
      user: `system:serviceaccount:${flags.namespace}:${DRAIN}`,
      clock: systemClock,
      logger,
      signal: stop.signal,
    });
    for (const run of left) logger.error('this run needs an operator', { ...run });
    if (counts.leftCount === 0) {
      logger.info('no run needs an operator any more', counts);
      return 0;
    }
    logger.error(
      'the operator cannot go: decide the held runs, or set drain.force to abort them; give those in flight more time with drain.timeout',
      counts,
    );
    return 1;
  } finally {
    await transport.close();
  }
}

endWith('mercato-drain', main());
