import { findCondition } from '@mercato/operator/api/conditions.ts';
import type { PciBoundary, PciBoundaryStatus } from '@mercato/operator/api/pciboundary.ts';
import { unlessConflict, writeStatus } from '@mercato/operator/controllers/status.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import type { Recorder } from '@mercato/operator/kube/events.ts';
import type { Fence } from '@mercato/operator/kube/fence.ts';
import type { Clock } from '@mercato/operator/runtime/clock.ts';
import { done, type Result, requeueAfter } from '@mercato/operator/runtime/result.ts';
import type { Found, Observed } from '../findings/types.ts';
import { pciBoundaries } from '../kube/resources.ts';
import type { Ledger } from './ledger.ts';
import { MatrixKeeper } from './matrix.ts';
import type { BoundaryMetrics } from './metrics.ts';
import { observe, type Sights } from './observe.ts';
import type { ProbeController } from './probes.ts';
import { identity, reviewAfter, statusOf } from './status.ts';

/** Every pod of the cluster that changes may be a finding; they are looked at together, at most this often for each boundary. */
const EVERY_MILLIS = 1_000;
/** The first look waits for the policies to have been looked at. */
const WAIT_MILLIS = 100;
const STATUSES = ['True', 'False', 'Unknown'] as const;

export interface ReportingControllerOptions {
  readonly client: KubeClient;
  /** Of boundaries. */
  readonly fence: Fence;
  readonly sights: Sights;
  readonly ledger: Ledger;
  readonly probes: ProbeController;
  readonly findings: (boundary: PciBoundary, observed: Observed) => readonly Found[];
  readonly recorder: Recorder;
  readonly metrics: BoundaryMetrics;
  readonly clock: Clock;
}

/** Writes what is known of a boundary into its status, when that has changed, and tells it by metrics and events. */
export class ReportingController {
  readonly #o: ReportingControllerOptions;
  readonly #matrices = new MatrixKeeper();
  readonly #looked = new Map<string, number>();
  readonly #findingLabels = new Map<
    string,
    { readonly boundary: string; readonly rule: string; readonly severity: string }[]
  >();

  constructor(options: ReportingControllerOptions) {
    this.#o = options;
  }

  async reconcile(boundary: PciBoundary): Promise<Result> {
    const { clock, ledger, probes } = this.#o;
    if (boundary.metadata.deletionTimestamp !== undefined) return done();
    const { name } = boundary.metadata;
    const standing = ledger.standingOf(boundary);
    if (standing === undefined) return requeueAfter(WAIT_MILLIS);
    const early = (this.#looked.get(name) ?? Number.NEGATIVE_INFINITY) + EVERY_MILLIS - clock.monotonic();
    if (early > 0) return requeueAfter(early);
    this.#looked.set(name, clock.monotonic());

    const observed = observe(boundary, this.#o.sights);
    const { reverts, last: lastReverted } = ledger.unwrittenOf(boundary);
    const found = this.#o.findings(boundary, observed);
    const status = statusOf({
      boundary,
      standing,
      found,
      matrix: this.#matrices.summaryOf(boundary, observed.policies, observed.namespaces),
      round: probes.lastOf(boundary),
      probed: probes.imageOf(boundary) !== undefined,
      reverts,
      lastReverted,
      now: clock.wall(),
    });
    this.#measure(boundary, status, found);
    // Somebody's write in between brings it back by its event.
    const stands = await writeStatus(this.#o, pciBoundaries, boundary, status).catch(unlessConflict);
    if (stands === true) {
      ledger.written(boundary, reverts);
      this.#tell(boundary, status, found);
    }
    const review = reviewAfter(boundary, status, clock.wall());
    return review === undefined ? done() : requeueAfter(review);
  }

  /** The boundary is gone. */
  forget(name: string): void {
    const { metrics } = this.#o;
    this.#matrices.forget(name);
    this.#looked.delete(name);
    for (const labels of this.#findingLabels.get(name) ?? []) metrics.findings.remove(labels);
    this.#findingLabels.delete(name);
    metrics.policies.remove({ boundary: name });
    metrics.probeTime.remove({ boundary: name });
    for (const type of ['Accepted', 'Compliant', 'Enforced'])
      for (const status of STATUSES) metrics.conditions.remove({ boundary: name, type, status });
    for (const expected of ['Open', 'Closed'])
      for (const observed of ['Open', 'Closed', 'Unknown'])
        metrics.probeWays.remove({ boundary: name, expected, observed });
  }

  #measure(of: PciBoundary, status: PciBoundaryStatus, found: readonly Found[]): void {
    const { metrics, probes } = this.#o;
    const { name: boundary } = of.metadata;
    // A status names some of the ways only; after a restart it is all that is known of the last round.
    const ways = probes.lastOf(of)?.results ?? status.probes?.results ?? [];
    for (const labels of this.#findingLabels.get(boundary) ?? []) metrics.findings.set(labels, 0);
    const labels = found.map(({ rule, severity }) => ({ boundary, rule, severity }));
    for (const one of labels) metrics.findings.set(one, 0);
    for (const one of labels) metrics.findings.inc(one);
    this.#findingLabels.set(boundary, [...(this.#findingLabels.get(boundary) ?? []), ...labels].filter(isFirst));
    metrics.policies.set({ boundary }, status.policyCount ?? 0);
    for (const { type, status: holds } of status.conditions ?? [])
      for (const one of STATUSES) metrics.conditions.set({ boundary, type, status: one }, one === holds ? 1 : 0);
    const last = Date.parse(status.probes?.lastTime ?? '');
    if (!Number.isNaN(last)) metrics.probeTime.set({ boundary }, last / 1000);
    for (const expected of ['Open', 'Closed'] as const)
      for (const observed of ['Open', 'Closed', 'Unknown'] as const)
        metrics.probeWays.set(
          { boundary, expected, observed },
          ways.filter((way) => way.expected === expected && way.observed === observed).length,
        );
  }

  /** Events about what differs from the status before. */
  #tell(boundary: PciBoundary, status: PciBoundaryStatus, found: readonly Found[]): void {
    const { recorder } = this.#o;
    const before = boundary.status;
    const known = new Set((before?.findings ?? []).map(identity));
    // Where the status names not all of them, nobody can tell which of the others are new.
    const whole = (before?.findingCount ?? 0) <= (before?.findings ?? []).length;
    for (const finding of found) {
      if (finding.severity !== 'Violation' || known.has(identity(finding)) || !whole) continue;
      const note = `${finding.rule} (PCI DSS ${finding.requirement}), ${finding.object}: ${finding.message}`;
      recorder.event(boundary, { type: 'Warning', reason: 'ViolationFound', action: 'Examine', note });
    }
    for (const type of ['Accepted', 'Enforced', 'Compliant'] as const) {
      const now = findCondition(status.conditions, type);
      const old = findCondition(before?.conditions, type);
      if (now === undefined || now.status === 'Unknown' || old?.status === now.status) continue;
      recorder.event(boundary, {
        type: now.status === 'True' ? 'Normal' : 'Warning',
        reason: now.status === 'True' ? type : `Not${type}`,
        action: 'Examine',
        note: now.message,
      });
    }
  }
}

function isFirst<T extends { rule: string; severity: string }>(one: T, index: number, all: readonly T[]): boolean {
  return all.findIndex(({ rule, severity }) => rule === one.rule && severity === one.severity) === index;
}
