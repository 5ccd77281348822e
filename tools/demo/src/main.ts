import { parseArgs } from 'node:util';
import { BuildError, ChecksumMismatchError, ComponentError, PortTakenError } from '@mercato/controlplane';
import { demo } from './demo.ts';
import { OrdersFileError } from './intake/csv.ts';
import { ShopBroke } from './play/day.ts';
import { down, PortsTakenError, up } from './up.ts';

const USAGE = `usage: node tools/demo/src/main.ts COMMAND

  demo [--orders FILE] [--seed TEXT] [--count N]
         start a shop, play a day of orders, check that nothing was lost, leave nothing behind
  up     start a shop that stays, and say how to reach it
  down   end it; its state stays in .mercato
`;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

async function main(args: readonly string[]): Promise<number> {
  const { positionals, values } = parse(args);
  const screen = process.stdout;
  switch (positionals.length === 1 ? positionals[0] : undefined) {
    case 'demo': {
      const outcome = await demo({
        screen,
        ...(values.orders === undefined ? {} : { ordersFile: values.orders }),
        ...(values.seed === undefined ? {} : { seed: values.seed }),
        ...(values.count === undefined ? {} : { count: countOf(values.count) }),
      });
      return outcome.violations.length === 0 ? 0 : 1;
    }
    case 'up':
      await up(screen);
      return 0;
    case 'down':
      await down(screen);
      return 0;
    default:
      throw new UsageError(USAGE);
  }
}

function parse(args: readonly string[]) {
  const options = { orders: { type: 'string' }, seed: { type: 'string' }, count: { type: 'string' } } as const;
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function countOf(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1 || count > 100_000)
    throw new UsageError(`--count ${text}: a whole number from 1 to 100000`);
  return count;
}

/** What a person can put right is told in its own words; anything else with its stack. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  const known = [
    BuildError,
    ChecksumMismatchError,
    ComponentError,
    OrdersFileError,
    PortsTakenError,
    PortTakenError,
    ShopBroke,
    UsageError,
  ];
  if (known.some((type) => error instanceof type) || code === 'ENOENT' || code === 'EACCES' || code === 'EISDIR')
    return error.message;
  return error.stack ?? error.message;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
