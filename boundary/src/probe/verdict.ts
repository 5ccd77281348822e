import { clip } from '@mercato/operator/api/clip.ts';
import { MAX_FINDING_MESSAGE, type PciProbeResult } from '@mercato/operator/api/pciboundary.ts';
import type { PlannedProbe, PlannedWay, Untried } from './plan.ts';
import type { WayReport } from './way.ts';

/** What a round of probes says about enforcement. */
export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

/** The longest text of a way's end. */
const MAX_END = 128;
/** A way that was open in a pod's first seconds only. Network plugins that start open close within one or two. */
const OPEN_AT_FIRST_MILLIS = 3_000;

/** What a probe found, for each of its ways. @param reports undefined if it left none @param why what kept it from it */
export function resultsOf(
  probe: PlannedProbe,
  reports: readonly WayReport[] | undefined,
  why: string,
): PciProbeResult[] {
  return probe.ways.map((way, index) => {
    const report = reports?.find(({ id }) => id === String(index));
    const ends = { from: clip(probe.from, MAX_END), to: clip(way.to, MAX_END), expected: way.expected };
    if (report === undefined)
      return { ...ends, observed: 'Unknown', message: clip(`not tried: ${why}`, MAX_FINDING_MESSAGE) };
    return {
      ...ends,
      observed: report.opened > 0 ? 'Open' : 'Closed',
      message: clip(tell(way, report), MAX_FINDING_MESSAGE),
    };
  });
}

/** A way that was not tried, as a result. */
export function resultOf({ from, to, expected, why }: Untried): PciProbeResult {
  return {
    from: clip(from, MAX_END),
    to: clip(to, MAX_END),
    expected,
    observed: 'Unknown',
    message: clip(`not tried: ${why}`, MAX_FINDING_MESSAGE),
  };
}

/** Whether a way was as it is declared. */
export function passed({ expected, observed }: PciProbeResult): boolean {
  return expected === observed;
}

/** Whether a report is of a way that closed soon after the pod's start. */
function closedLater({ lastOpenedMs, lastMs }: WayReport): boolean {
  return lastOpenedMs >= 0 && lastOpenedMs < OPEN_AT_FIRST_MILLIS && lastMs > lastOpenedMs;
}

/** Begins the message of a way that closed too late: {@link verdictOf} knows it by this. */
const AT_FIRST = 'open for the first';

function tell({ expected }: PlannedWay, report: WayReport): string {
  const { opened, refused, unreachable, timedOut } = report;
  const attempts = opened + refused + unreachable + timedOut;
  const counts = [
    [opened, 'opened'],
    [refused, 'refused'],
    [unreachable, 'without a route'],
    [timedOut, 'without an answer'],
  ] as const;
  const found = `${attempts} attempts: ${counts
    .filter(([count]) => count > 0)
    .map(([count, what]) => `${count} ${what}`)
    .join(', ')}`;
  if (expected === 'Closed' && opened > 0)
    return closedLater(report)
      ? `${AT_FIRST} ${report.lastOpenedMs} ms of a pod (${found}): switch the network plugin to deny until policies are in place (VPC CNI: NETWORK_POLICY_ENFORCING_MODE=strict)`
      : `it is open (${found}): the network plugin does not enforce NetworkPolicies; install one that does, or switch enforcement on`;
  if (expected === 'Open' && opened === 0)
    return `it is closed (${found}): see whether the other side listens on that port, and whether another policy denies it`;
  return found;
}

/**
 * What the results say together. One forbidden way that opened is enough for False. True takes that every way was tried and was as declared, and that one
 * of them opened: in a network where nothing reaches anything all that is forbidden is closed too.
 */
export function verdictOf(results: readonly PciProbeResult[]): Verdict {
  const open = results.filter(({ expected, observed }) => expected === 'Closed' && observed === 'Open');
  if (open.length > 0) {
    const first = open.find(({ message }) => !message.startsWith(AT_FIRST));
    const example = first ?? (open[0] as PciProbeResult);
    return {
      status: 'False',
      reason: first === undefined ? 'OpenAtFirst' : 'CniDoesNotEnforce',
      message: `${open.length} forbidden ${open.length === 1 ? 'way' : 'ways'} opened, as from ${example.from} to ${example.to}: ${example.message}`,
    };
  }
  const unknown = results.find(({ observed }) => observed === 'Unknown');
  if (unknown !== undefined)
    return {
      status: 'Unknown',
      reason: 'ProbesIncomplete',
      message: `the way from ${unknown.from} to ${unknown.to} was ${unknown.message}`,
    };
  const closed = results.find(({ expected, observed }) => expected === 'Open' && observed === 'Closed');
  if (closed !== undefined)
    return {
      status: 'Unknown',
      reason: 'AllowedWayClosed',
      message: `a declared way from ${closed.from} to ${closed.to} did not open, so what is closed proves little: ${closed.message}`,
    };
  if (!results.some(({ observed }) => observed === 'Open'))
    return {
      status: 'Unknown',
      reason: 'NothingOpened',
      message:
        'no way that is declared between pods could be tried, so what is closed proves nothing: declare one, as DNS',
    };
  return {
    status: 'True',
    reason: 'AsDeclared',
    message: `all ${results.length} ways that were tried are as declared`,
  };
}
