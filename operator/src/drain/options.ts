import { durationFlag, readFlags, UsageError } from '../flags.ts';

/** What the drain is told, by flags. */
export interface DrainFlags {
  /** @default `KUBECONFIG`, the pod's service account, `~/.kube/config` */
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly watchNamespaces: readonly string[];
  readonly timeoutMs: number;
  readonly force: boolean;
}

export const USAGE = `mercato-drain: brings all runs to an end before the operator is uninstalled

  --kubeconfig FILE         the cluster (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --namespace NAME          the operator's own namespace (default: POD_NAMESPACE, mercato-system)
  --watch-namespaces A,B    where it looks after runs (default: all)
  --timeout D               how long runs in flight are waited for (default: 5m)
  --force true|false        abort runs that are held for a person, with exception records (default: false)

Ends with 0 when no run needs an operator any more, with 1 when some do, and names them.
`;

const FLAGS = ['kubeconfig', 'namespace', 'watch-namespaces', 'timeout', 'force'] as const;

/** @throws UsageError that names the flag */
export function parseDrainFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DrainFlags | 'help' {
  const values = readFlags(args, FLAGS, USAGE);
  if (values.help === true) return 'help';
  const { kubeconfig, timeout = '5m', force = 'false' } = values;
  if (force !== 'true' && force !== 'false') throw new UsageError(`--force ${force}: true or false`);
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    namespace: values.namespace ?? env['POD_NAMESPACE'] ?? 'mercato-system',
    watchNamespaces: (values['watch-namespaces'] ?? '').split(',').filter((name) => name !== ''),
    timeoutMs: durationFlag('timeout', timeout),
    force: force === 'true',
  };
}
