import { ConfigError } from './kube/config.ts';
import { Operator } from './operator.ts';
import { parseOptions, USAGE, UsageError } from './options.ts';

/** `node operator/src/main.ts`: runs the operator until SIGTERM or SIGINT, then stops in order. A second signal ends it at once. */
async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort(new Error(signal))));
  }
  await new Operator(options).run(stop.signal);
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const known = error instanceof UsageError || error instanceof ConfigError;
    process.stderr.write(
      `mercato-operator: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exit(known ? 2 : 1);
  },
);
