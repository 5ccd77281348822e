import { durationFlag, LOG_LEVELS, logLevelFlag, readFlags, rememberOrdersFlag, UsageError } from './flags.ts';
import { Callers } from './intake/callers.ts';
import { CALLER } from './rights.ts';
import type { LogLevel } from './runtime/logger.ts';
import { DEFAULT_SHARDS, MOST_SHARDS } from './sharding/shard.ts';

/** What the operator is told at its start, by flags or by environment. */
export interface Options {
  /** @default `KUBECONFIG`, the pod's service account, `~/.kube/config` */
  readonly kubeconfig?: string;
  /** The operator's own namespace: its lease, its service account, exception records, the memory of finished runs. */
  readonly namespace: string;
  /** Where runs and warehouses are looked after; empty: everywhere. */
  readonly watchNamespaces: readonly string[];
  /** Whose tokens are sent to participants. */
  readonly serviceAccount: string;
  readonly healthHost: string;
  readonly healthPort: number;
  readonly leaseDurationMs: number;
  /** How many parts runs are divided into among the replicas; the same for all of them. */
  readonly shards: number;
  /** Connections to the API server. */
  readonly connections: number;
  readonly logLevel: LogLevel;
  /** Where runs live. */
  readonly journal: (typeof JOURNALS)[number];
  /** The sqlite journal's file; empty with other journals. */
  readonly journalPath: string;
  /** The dynamodb journal's table; empty with other journals. */
  readonly journalTable: string;
  readonly role: (typeof ROLES)[number];
  /** Runs in a worker's memory at most, held and waiting ones included. */
  readonly maxInWork: number;
  /** OrderSagaRuns of mode View at most; the excess is counted. */
  readonly maxViews: number;
  /** How long an order is known to have had its run. Milliseconds. */
  readonly rememberOrdersMs: number;
  /** Where `POST /events` is served. @default nowhere */
  readonly intakeAddress?: Address;
  /** URL of the SQS queue that orders come from. @default none */
  readonly intakeQueue?: string;
  /** Whose tokens may send events, as `system:serviceaccount:shop:mercato-order`. */
  readonly intakeSubjects: readonly string[];
  /** Who is told what becomes of runs. */
  readonly announceTo: readonly string[];
  /** Name or ARN of an EventBridge bus that is told too. @default none */
  readonly announceBus?: string;
  /** The audience of the tokens that subscribers get. */
  readonly announceAudience: string;
  /** A file with the token that subscribers get instead of the operator's own. */
  readonly announceTokenFile?: string;
}

/** Where runs can live (docs/concepts/journals.md). */
export const JOURNALS = ['kubernetes', 'sqlite', 'dynamodb'] as const;
/** What a process can be. */
export const ROLES = ['all', 'controllers', 'worker'] as const;

export interface Address {
  readonly host: string;
  readonly port: number;
}

export const USAGE = `mercato-operator: runs order sagas and warehouses' stock on Kubernetes

  --kubeconfig FILE         the cluster (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --namespace NAME          the operator's own namespace (default: mercato-system)
  --watch-namespaces A,B    look after these only (default: all)
  --service-account NAME    whose tokens participants get (default: mercato-caller)
  --health-address H:P      /healthz, /readyz, /metrics (default: 127.0.0.1:8081; port 0: any)
  --lease-duration D        how long a replica that died is waited for (default: 15s; at least 3s)
  --shards N                parts that runs are divided into among replicas; the same for all (default: ${DEFAULT_SHARDS})
  --connections N           to the API server (default: 32)
  --log-level L             ${LOG_LEVELS.join(', ')} (default: info)

  --journal J               where runs live: ${JOURNALS.join(', ')} (default: kubernetes)
  --journal-path FILE       of the sqlite journal
  --journal-table NAME      of the dynamodb journal
  --role R                  ${ROLES.join(', ')} (default: all); others than all for the dynamodb journal only
  --max-in-work N           runs in a worker's memory; ten held ones at rest count as one (default: 20000)
  --max-views N             OrderSagaRuns of mode View that are open; half is for held and overdue runs (default: 500)
  --remember-orders D       how long an order that is over cannot run again; older ones are not taken (default: 35d)
  --intake-address H:P      serves POST /events: CloudEvents of the order service (default: nowhere)
  --intake-queue URL        takes them from an SQS queue (default: none); AWS is reached as its SDK's environment says
  --intake-subjects A,B     whose tokens may send them, as system:serviceaccount:shop:mercato-order; with @namespace
                            behind it, of orders in that namespace only
  --announce-to URL,URL     who is told of holds and ends of runs, as CloudEvents (default: nobody)
  --announce-bus NAME       an EventBridge bus that is told too, by name or ARN (default: none)
  --announce-audience NAME  of the tokens that they get (default: order)
  --announce-token-file F   a token that they get instead of the operator's own

Each flag has an environment variable: --health-address is MERCATO_HEALTH_ADDRESS.
`;

const FLAGS = [
  'kubeconfig',
  'namespace',
  'watch-namespaces',
  'service-account',
  'health-address',
  'lease-duration',
  'shards',
  'connections',
  'log-level',
  'journal',
  'journal-path',
  'journal-table',
  'role',
  'max-in-work',
  'max-views',
  'remember-orders',
  'intake-address',
  'intake-queue',
  'intake-subjects',
  'announce-to',
  'announce-bus',
  'announce-audience',
  'announce-token-file',
] as const;
type Flag = (typeof FLAGS)[number];

/** Reads flags, then the environment. @throws UsageError that names the flag. */
export function parseOptions(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Options | 'help' {
  const flags = readFlags(args, FLAGS, USAGE);
  if (flags.help) return 'help';
  const said = (flag: Flag): string | undefined =>
    // An empty variable is one that nobody set: charts cannot leave a name out.
    flags[flag] ?? (env[`MERCATO_${flag.toUpperCase().replaceAll('-', '_')}`] || undefined);
  const kubeconfig = said('kubeconfig');
  const health = address('health-address', said('health-address') ?? '127.0.0.1:8081');
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    namespace: said('namespace') ?? env['POD_NAMESPACE'] ?? 'mercato-system',
    watchNamespaces: list(said('watch-namespaces')),
    serviceAccount: said('service-account') ?? CALLER,
    healthHost: health.host,
    healthPort: health.port,
    leaseDurationMs: durationFlag('lease-duration', said('lease-duration') ?? '15s', 3_000),
    shards: integer('shards', said('shards') ?? String(DEFAULT_SHARDS), 1, MOST_SHARDS),
    connections: integer('connections', said('connections') ?? '32', 1, 1_000),
    logLevel: logLevelFlag(said('log-level') ?? 'info'),
    ...journalOptions(said),
    ...intakeOptions(said),
    ...announceOptions(said),
  };
}

/** What a flag, or its environment variable, says. */
type Said = (flag: Flag) => string | undefined;

function journalOptions(
  said: Said,
): Pick<Options, 'journal' | 'journalPath' | 'journalTable' | 'role' | 'maxInWork' | 'maxViews' | 'rememberOrdersMs'> {
  const journal = choice('journal', said('journal') ?? 'kubernetes', JOURNALS);
  const role = choice('role', said('role') ?? 'all', ROLES);
  if (role !== 'all' && journal !== 'dynamodb')
    throw new UsageError(`--role ${role}: only the dynamodb journal has roles apart; with ${journal} leave it out`);
  return {
    journal,
    journalPath: ofJournal(said, 'journal-path', journal, 'sqlite'),
    journalTable: ofJournal(said, 'journal-table', journal, 'dynamodb'),
    role,
    maxInWork: integer('max-in-work', said('max-in-work') ?? '20000', 1, 1_000_000),
    maxViews: integer('max-views', said('max-views') ?? '500', 0, 5_000),
    rememberOrdersMs: rememberOrdersFlag(said('remember-orders')),
  };
}

/** A flag that one journal needs, and the others have no use for: said with another, somebody took one for the other. */
function ofJournal(said: Said, flag: Flag, journal: Options['journal'], owner: Options['journal']): string {
  const value = said(flag) ?? '';
  if (journal === owner && value === '') throw new UsageError(`--${flag}: --journal=${owner} needs it`);
  if (journal !== owner && value !== '')
    throw new UsageError(`--${flag} ${value}: it is for --journal=${owner}, and this is --journal=${journal}`);
  return value;
}

function intakeOptions(said: Said): Pick<Options, 'intakeAddress' | 'intakeQueue' | 'intakeSubjects'> {
  const where = said('intake-address');
  const queue = said('intake-queue');
  const intakeSubjects = list(said('intake-subjects'));
  if (queue !== undefined && !/^https?:\/\/[^/]+\/./.test(queue))
    throw new UsageError(
      `--intake-queue ${queue}: give the URL of a queue, as https://sqs.eu-west-1.amazonaws.com/111122223333/intake`,
    );
  const fromQueue = queue === undefined ? {} : { intakeQueue: queue };
  if (where === undefined) return { ...fromQueue, intakeSubjects };
  try {
    new Callers(intakeSubjects);
  } catch (error) {
    throw new UsageError(`--intake-subjects ${(error as RangeError).message}`);
  }
  if (intakeSubjects.length === 0)
    throw new UsageError('--intake-subjects: --intake-address needs it, or nobody could send anything');
  return { intakeAddress: address('intake-address', where), ...fromQueue, intakeSubjects };
}

function announceOptions(
  said: Said,
): Pick<Options, 'announceTo' | 'announceBus' | 'announceAudience' | 'announceTokenFile'> {
  const announceTo = list(said('announce-to'));
  for (const url of announceTo) {
    const protocol = URL.parse(url)?.protocol;
    if (protocol !== 'http:' && protocol !== 'https:')
      throw new UsageError(`--announce-to ${url}: give http(s) addresses, as http://order:8080/events`);
  }
  const bus = said('announce-bus');
  if (bus !== undefined && !/^(arn:aws[\w-]*:events:[\w-]+:\d{12}:event-bus\/)?[\w./-]{1,256}$/.test(bus))
    throw new UsageError(`--announce-bus ${bus}: give the name of an event bus, or its ARN`);
  const file = said('announce-token-file');
  return {
    announceTo,
    ...(bus === undefined ? {} : { announceBus: bus }),
    announceAudience: said('announce-audience') ?? 'order',
    ...(file === undefined ? {} : { announceTokenFile: file }),
  };
}

function list(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((entry) => entry !== '');
}

function choice<const Choice extends string>(flag: Flag, text: string, choices: readonly Choice[]): Choice {
  const found = choices.find((candidate) => candidate === text);
  if (found === undefined) throw new UsageError(`--${flag} ${text}: one of ${choices.join(', ')}`);
  return found;
}

function address(flag: Flag, text: string): Address {
  const match = /^(.*):([0-9]{1,5})$/.exec(text);
  if (match === null) throw new UsageError(`--${flag} ${text}: give host:port, as 127.0.0.1:8081`);
  return {
    host: match[1] === '' ? '0.0.0.0' : (match[1] as string),
    port: integer(flag, match[2] as string, 0, 65_535),
  };
}

function integer(flag: Flag, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${flag} ${text}: an integer from ${least} to ${most}`);
  return value;
}
