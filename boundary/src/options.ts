import { durationFlag, LOG_LEVELS, logLevelFlag, readFlags, UsageError } from '@mercato/operator/flags.ts';
import type { LogLevel } from '@mercato/operator/runtime/logger.ts';

/** An address that probes try to reach, as `1.1.1.1:443`. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** What the boundary's controller is told at its start, by flags or by environment. */
export interface Options {
  /** @default `KUBECONFIG`, the pod's service account, `~/.kube/config` */
  readonly kubeconfig?: string;
  /** Its own namespace, where its lease is. */
  readonly namespace: string;
  /** The image of probes, for boundaries that name none. Without either nothing is probed. */
  readonly probeImage?: string;
  /** What stands for the outside world in probes of card pods. Nothing is sent there but the start of a TCP connection. */
  readonly outside: Endpoint;
  readonly healthHost: string;
  readonly healthPort: number;
  readonly leaseDurationMs: number;
  readonly logLevel: LogLevel;
}

export const USAGE = `mercato-boundary: keeps the network boundary of card namespaces as PciBoundaries declare it, and proves it

  --kubeconfig FILE         the cluster (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --namespace NAME          its own namespace (default: mercato-boundary)
  --probe-image IMAGE       the image of probes where a PciBoundary names none (default: none, nothing is probed)
  --outside-address A:P     what probes of card pods take for the outside (default: 1.1.1.1:443)
  --health-address H:P      /healthz, /readyz, /metrics (default: 127.0.0.1:8081; port 0: any)
  --lease-duration D        how long a leader that died is waited for (default: 15s; at least 3s)
  --log-level L             ${LOG_LEVELS.join(', ')} (default: info)

Each flag has an environment variable: --health-address is MERCATO_HEALTH_ADDRESS.
`;

const FLAGS = [
  'kubeconfig',
  'namespace',
  'probe-image',
  'outside-address',
  'health-address',
  'lease-duration',
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
    (flags[flag] ?? env[`MERCATO_${flag.toUpperCase().replaceAll('-', '_')}`]) || undefined;
  const kubeconfig = said('kubeconfig');
  const probeImage = said('probe-image');
  const health = address('health-address', said('health-address') ?? '127.0.0.1:8081');
  const outside = address('outside-address', said('outside-address') ?? '1.1.1.1:443');
  if (outside.host === '' || outside.port === 0)
    throw new UsageError('--outside-address: give an address and a port, as 1.1.1.1:443');
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    namespace: said('namespace') ?? env['POD_NAMESPACE'] ?? 'mercato-boundary',
    ...(probeImage === undefined ? {} : { probeImage }),
    outside,
    healthHost: health.host === '' ? '0.0.0.0' : health.host,
    healthPort: health.port,
    leaseDurationMs: durationFlag('lease-duration', said('lease-duration') ?? '15s', 3_000),
    logLevel: logLevelFlag(said('log-level') ?? 'info'),
  };
}

function address(flag: Flag, text: string): Endpoint {
  const match = /^(.*):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match === null || port > 65_535) throw new UsageError(`--${flag} ${text}: give host:port, as 127.0.0.1:8081`);
  return { host: match[1] as string, port };
}
