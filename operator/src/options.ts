import { durationFlag, LOG_LEVELS, logLevelFlag, readFlags, UsageError } from './flags.ts';
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
    flags[flag] ?? env[`MERCATO_${flag.toUpperCase().replaceAll('-', '_')}`];
  const kubeconfig = said('kubeconfig');
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    namespace: said('namespace') ?? env['POD_NAMESPACE'] ?? 'mercato-system',
    watchNamespaces: (said('watch-namespaces') ?? '').split(',').filter((name) => name !== ''),
    serviceAccount: said('service-account') ?? CALLER,
    ...address(said('health-address') ?? '127.0.0.1:8081'),
    leaseDurationMs: durationFlag('lease-duration', said('lease-duration') ?? '15s', 3_000),
    shards: integer('shards', said('shards') ?? String(DEFAULT_SHARDS), 1, MOST_SHARDS),
    connections: integer('connections', said('connections') ?? '32', 1, 1_000),
    logLevel: logLevelFlag(said('log-level') ?? 'info'),
  };
}

function address(text: string): { healthHost: string; healthPort: number } {
  const match = /^(.*):([0-9]{1,5})$/.exec(text);
  if (match === null) throw new UsageError(`--health-address ${text}: give host:port, as 127.0.0.1:8081`);
  return {
    healthHost: match[1] === '' ? '0.0.0.0' : (match[1] as string),
    healthPort: integer('health-address', match[2] as string, 0, 65_535),
  };
}

function integer(flag: Flag, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value > most)
    throw new UsageError(`--${flag} ${text}: an integer from ${least} to ${most}`);
  return value;
}
