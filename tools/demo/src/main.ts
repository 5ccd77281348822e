import { parseArgs } from 'node:util';
import { BuildError, ChecksumMismatchError, ComponentError, PortTakenError } from '@mercato/controlplane';
import { demo } from './demo.ts';
import { OrdersFileError } from './intake/csv.ts';
import { JOURNALS, type Journal } from './local/programs.ts';
import { ShopBroke } from './play/day.ts';
import { down, HOME, JournalFixedError, PortsTakenError, up } from './up.ts';

const USAGE = `usage: node tools/demo/src/main.ts COMMAND

  demo [--orders FILE] [--seed TEXT] [--count N] [--journal J]
         start a shop, play a day of orders, check that nothing was lost, leave nothing behind
  up [--journal J]
         start a shop that stays, and say how to reach it
  down   end it; its state stays in .mercato

  --journal J   where runs live: ${JOURNALS.join(' or ')} (default: kubernetes, or what the shop that stays has)
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
        ...journalOf(values.journal),
      });
      return outcome.violations.length === 0 ? 0 : 1;
    }
    case 'up':
      await up(screen, HOME, journalOf(values.journal).journal);
      return 0;
    case 'down':
      await down(screen);
      return 0;
    default:
      throw new UsageError(USAGE);
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const options = { orders: text, seed: text, count: text, journal: text };
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

function journalOf(text: string | undefined): { readonly journal?: Journal } {
  if (text === undefined) return {};
  const journal = JOURNALS.find((each) => each === text);
  if (journal === undefined) throw new UsageError(`--journal ${text}: give ${JOURNALS.join(' or ')}`);
  return { journal };
}

/** What a person can put right is told in its own words; anything else with its stack. */
function explain(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as NodeJS.ErrnoException).code;
  const known = [
    BuildError,
    ChecksumMismatchError,
    ComponentError,
    JournalFixedError,
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
