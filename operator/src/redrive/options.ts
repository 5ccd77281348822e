import { readFlags, rememberOrdersFlag, UsageError } from '../flags.ts';

/** What the redrive is told, by flags. */
export interface RedriveFlags {
  readonly queue: string;
  /** @default where the queue's redrive policy puts them */
  readonly deadLetters?: string;
  /** Where orders are asked about. */
  readonly orderService?: string;
  /** The file of the token that the order service is shown. */
  readonly tokenFile?: string;
  readonly selection: Selection;
  readonly move: boolean;
  /** Also run orders whose customers were told that they failed. */
  readonly revive: boolean;
  readonly discardEnded: boolean;
  readonly limit: number;
  /** How long the operator remembers finished orders: its own `--remember-orders`. */
  readonly rememberOrdersMs: number;
}

/** Which letters are meant: those of one of the orders, or of one of the reasons; 'All' is all. */
export type Selection = 'All' | { readonly orders: readonly string[]; readonly reasons: readonly string[] };

export const USAGE = `mercato-redrive: shows what lies in intake's dead-letter queue, and moves back what is chosen

  --queue URL               the intake queue
  --dead-letter URL         its dead-letter queue (default: that of its redrive policy)
  --reason A,B              choose the letters with these reasons
  --order A,B               choose the letters of these orders
  --all true|false          choose all letters (default: false)
  --move true|false         move what is chosen back to the queue (default: false: only show)
  --order-service URL       where orders are asked about that were refused, or are older than the operator remembers;
                            without it they are not moved
  --token-file FILE         the token that the order service is shown
  --revive true|false       with --move: also move orders that failed for their customers when they were refused, and
                            are remembered still; ask those customers first (default: false)
  --discard-ended true|false  with --move: delete what is chosen and of an order that has ended (default: false)
  --limit N                 look at so many letters (default: 1000)
  --remember-orders D       as the operator's flag of that name says (default: 35d)

AWS is reached as the AWS SDK's environment says (AWS_REGION, AWS_ENDPOINT_URL_SQS, credentials).
Shows neither payment tokens nor addresses. Ends with 0; with 1 when something chosen was not moved.
`;

const FLAGS = [
  'queue',
  'dead-letter',
  'reason',
  'order',
  'all',
  'move',
  'order-service',
  'token-file',
  'revive',
  'discard-ended',
  'limit',
  'remember-orders',
] as const;

/** @throws UsageError that names the flag */
export function parseRedriveFlags(args: readonly string[]): RedriveFlags | 'help' {
  const values = readFlags(args, FLAGS, USAGE);
  if (values.help === true) return 'help';
  const { queue } = values;
  if (queue === undefined) throw new UsageError(`--queue is missing\n\n${USAGE}`);
  const limit = Number(values.limit ?? '1000');
  if (!Number.isInteger(limit) || limit < 1) throw new UsageError(`--limit ${values.limit}: an integer from 1`);
  const move = flag('move', values.move);
  const selection = selectionOf(flag('all', values.all), list(values.order), list(values.reason));
  if (move && selection !== 'All' && selection.orders.length + selection.reasons.length === 0)
    throw new UsageError('--move true: say what to move, with --reason, --order or --all true');
  const discardEnded = flag('discard-ended', values['discard-ended']);
  if (discardEnded && !move) throw new UsageError('--discard-ended true: goes with --move true');
  const revive = flag('revive', values.revive);
  if (revive && !move) throw new UsageError('--revive true: goes with --move true');
  if (revive && discardEnded) throw new UsageError('--revive true: goes without --discard-ended true');
  return {
    queue: url('queue', queue),
    selection,
    move,
    revive,
    discardEnded,
    limit,
    rememberOrdersMs: rememberOrdersFlag(values['remember-orders']),
    ...optional('deadLetters', 'dead-letter', values['dead-letter'], url),
    ...optional('orderService', 'order-service', values['order-service'], url),
    ...optional('tokenFile', 'token-file', values['token-file'], (_, text) => text),
  };
}

function selectionOf(all: boolean, orders: readonly string[], reasons: readonly string[]): Selection {
  if (!all) return { orders, reasons };
  if (orders.length + reasons.length > 0) throw new UsageError('--all true: goes without --order and --reason');
  return 'All';
}

function optional<Key extends string>(
  key: Key,
  name: string,
  text: string | undefined,
  read: (name: string, text: string) => string,
): { [key in Key]?: string } {
  return text === undefined ? {} : ({ [key]: read(name, text) } as { [key in Key]?: string });
}

function flag(name: string, text = 'false'): boolean {
  if (text !== 'true' && text !== 'false') throw new UsageError(`--${name} ${text}: true or false`);
  return text === 'true';
}

function list(text = ''): string[] {
  return text.split(',').filter((entry) => entry !== '');
}

function url(name: string, text: string): string {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) throw new UsageError(`--${name} ${text}: give an http(s) URL`);
  return text.replace(/\/+$/, '');
}
