/** What the controller and the probe say to each other: a task in the probe's environment, a report in its termination message. */

/** One way to try. */
export interface ProbeWay {
  /** Short: the report must fit into 4 KB. */
  readonly id: string;
  readonly host: string;
  readonly port: number;
  /** UDP is tried with a question to a DNS server: nothing else is known to answer. */
  readonly protocol: 'TCP' | 'UDP';
}

/** What a probe is asked to do. */
export interface ProbeTask {
  readonly ways: readonly ProbeWay[];
  /** How long each way is tried again and again, in milliseconds: some network plugins are open, or closed, for a pod's first seconds. */
  readonly lastsMs: number;
  /** How long one attempt may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** How one attempt ended. Refused: an answer came, and it was no; unreachable: the pod's own network has no way there. */
export type Outcome = 'opened' | 'refused' | 'unreachable' | 'timed out';

/** What became of a way's attempts. */
export interface WayReport {
  readonly id: string;
  readonly opened: number;
  readonly refused: number;
  readonly unreachable: number;
  readonly timedOut: number;
  /** When the last attempt that opened had begun, in milliseconds since the probe's start; -1 if none did. */
  readonly lastOpenedMs: number;
  /** When the last attempt of all had begun. */
  readonly lastMs: number;
}

/** The variable of a probe's environment that holds its task. */
export const TASK_VARIABLE = 'MERCATO_PROBE';
/** More ways than these would not fit into a termination message: https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/ */
export const MAX_WAYS = 32;

type Row = readonly [
  id: string,
  opened: number,
  refused: number,
  unreachable: number,
  timedOut: number,
  lastOpenedMs: number,
  lastMs: number,
];

/** The report as text of at most 4 KB for {@link MAX_WAYS} ways with ids of up to 4 characters. */
export function formatReport(reports: readonly WayReport[]): string {
  const rows = reports.map(
    ({ id, opened, refused, unreachable, timedOut, lastOpenedMs, lastMs }): Row => [
      id,
      opened,
      refused,
      unreachable,
      timedOut,
      lastOpenedMs,
      lastMs,
    ],
  );
  return JSON.stringify({ ways: rows });
}

/** Reads what {@link formatReport} wrote; undefined for what is no report, such as the last lines of a crash. */
export function parseReport(text: string): readonly WayReport[] | undefined {
  let rows: unknown;
  try {
    rows = (JSON.parse(text) as { ways?: unknown } | null)?.ways;
  } catch {
    return undefined;
  }
  if (!Array.isArray(rows) || !rows.every(isRow)) return undefined;
  return rows.map(([id, opened, refused, unreachable, timedOut, lastOpenedMs, lastMs]) => ({
    id,
    opened,
    refused,
    unreachable,
    timedOut,
    lastOpenedMs,
    lastMs,
  }));
}

function isRow(row: unknown): row is Row {
  return (
    Array.isArray(row) && row.length === 7 && typeof row[0] === 'string' && row.slice(1).every(Number.isSafeInteger)
  );
}
