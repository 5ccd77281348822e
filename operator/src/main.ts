import { tracingOf } from '@mercato/tracing';
import { Operator } from './operator.ts';
import { parseOptions, USAGE } from './options.ts';
import { endWith, untilSignal } from './program.ts';

/** `node operator/src/main.ts`: runs the operator until SIGTERM or SIGINT, then stops in order. A second signal ends it at once. */
async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  await new Operator(options, await tracingOf('operator', process.env)).run(untilSignal());
  return 0;
}

endWith('mercato-operator', main());
