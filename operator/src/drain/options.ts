import { parseArgs } from 'node:util';
import { InvalidDuration, parseDuration } from '../api/durations.ts';
import { UsageError } from '../options.ts';

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

const text = { type: 'string' as const };

/** @throws UsageError that names the flag */
export function parseDrainFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): DrainFlags | 'help' {
  const values = parsed(args);
  if (values.help === true) return 'help';
  const { kubeconfig, timeout = '5m', force = 'false' } = values;
  if (force !== 'true' && force !== 'false') throw new UsageError(`--force ${force}: true or false`);
  return {
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    namespace: values.namespace ?? env['POD_NAMESPACE'] ?? 'mercato-system',
    watchNamespaces: (values['watch-namespaces'] ?? '').split(',').filter((name) => name !== ''),
    timeoutMs: duration(timeout),
    force: force === 'true',
  };
}

function parsed(args: readonly string[]) {
  try {
    const options = {
      kubeconfig: text,
      namespace: text,
      'watch-namespaces': text,
      timeout: text,
      force: text,
      help: { type: 'boolean' as const, short: 'h' },
    };
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
  }
}

function duration(given: string): number {
  try {
    return parseDuration(given);
  } catch (error) {
    if (error instanceof InvalidDuration) throw new UsageError(`--timeout ${given}: ${error.message}`);
    throw error;
  }
}
