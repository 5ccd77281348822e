import { TracingConfigError } from '@mercato/tracing';
import { UsageError } from './flags.ts';
import { ConfigError } from './kube/config.ts';

/** Aborted by the first SIGTERM or SIGINT. A second one ends the process at once. */
export function untilSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => (stop.signal.aborted ? process.exit(130) : stop.abort(new Error(signal))));
  }
  return stop.signal;
}

/**
 * Ends the process with what its program answers. What a person can put right (a flag, a kubeconfig) is told in its own words, with status 2; anything
 * else with its stack, and 1.
 * @param name of the program, for the message
 */
export function endWith(name: string, program: Promise<number>): void {
  program.then(
    (code) => process.exit(code),
    (failure: unknown) => {
      // A part of the program says which part it is; what its flag should be is in the cause.
      const error = failure instanceof Error && failure.cause instanceof UsageError ? failure.cause : failure;
      const known = error instanceof UsageError || error instanceof ConfigError || error instanceof TracingConfigError;
      process.stderr.write(
        `${name}: ${known ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
      );
      process.exit(known ? 2 : 1);
    },
  );
}
