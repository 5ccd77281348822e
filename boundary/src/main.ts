import { ConfigError } from '@mercato/operator/kube/config.ts';
import { BoundaryProgram } from './boundary.ts';
import { parseOptions, USAGE, UsageError } from './options.ts';

/** `node boundary/src/main.ts`: keeps PciBoundaries until SIGTERM or SIGINT, then stops in order. A second signal ends it at once. */
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
  await new BoundaryProgram(options).run(stop.signal);
  return 0;
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    const known = error instanceof UsageError || error instanceof ConfigError;
    process.stderr.write(
      `mercato-boundary: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exit(known ? 2 : 1);
  },
);
