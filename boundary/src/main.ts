import { endWith, untilSignal } from '@mercato/operator/program.ts';
import { BoundaryProgram } from './boundary.ts';
import { parseOptions, USAGE } from './options.ts';

/** `node boundary/src/main.ts`: keeps PciBoundaries until SIGTERM or SIGINT, then stops in order. A second signal ends it at once. */
async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2), process.env);
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  await new BoundaryProgram(options).run(untilSignal());
  return 0;
}

endWith('mercato-boundary', main());
