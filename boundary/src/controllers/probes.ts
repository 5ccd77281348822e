import { findCondition } from '@mercato/operator/api/conditions.ts';
import { parseDuration } from '@mercato/operator/api/durations.ts';
import type { PciBoundary, PciProbeResult } from '@mercato/operator/api/pciboundary.ts';
import type { Cache } from '@mercato/operator/kube/cache.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { ApiError, isNotFound } from '@mercato/operator/kube/errors.ts';
import { keyOf } from '@mercato/operator/kube/key.ts';
import type { Namespace } from '@mercato/operator/kube/types.ts';
import type { Clock } from '@mercato/operator/runtime/clock.ts';
import { done, type Result, requeueAfter } from '@mercato/operator/runtime/result.ts';
import type { ObservedNode } from '../findings/types.ts';
import { jobs, type SeenPod } from '../kube/resources.ts';
import { CARD_DATA, PROBE_OF, YES } from '../labels.ts';
import type { Endpoint } from '../options.ts';
import { DEADLINE_SECONDS, jobOf, roundName } from '../probe/job.ts';
import { type Plan, type PlannedProbe, planOf } from '../probe/plan.ts';
import { passed, resultOf, resultsOf, type Verdict, verdictOf } from '../probe/verdict.ts';
import { parseReport, type WayReport } from '../probe/way.ts';
import type { Ledger } from './ledger.ts';
import type { BoundaryMetrics } from './metrics.ts';

/** An index of probes' pods by `namespace/job`. */
export const BY_JOB = 'job';
/** A round that could not tell, or not try every way, is followed by another after this long, or after the boundary's interval if that is shorter. */
const RETRY_MILLIS = 60_000;
/** Policies that were just written reach every node first. */
const SETTLE_MILLIS = 2_000;
/** Pods that the kubelet did not end in time are given up on. */
const PATIENCE_MILLIS = (DEADLINE_SECONDS + 15) * 1_000;
const LOOK_MILLIS = 5_000;
const JOB_NAME = 'batch.kubernetes.io/job-name';

/** What {@link BY_JOB} files a pod under. */
export function probeJobKeys({ metadata }: SeenPod): string[] {
  const job = metadata.labels?.[JOB_NAME];
  return job === undefined || metadata.labels?.[PROBE_OF] === undefined ? [] : [`${metadata.namespace}/${job}`];
}

/** A round that has ended. */
export interface RoundResult {
  readonly generation: number;
  /** The wall clock. */
  readonly at: number;
  readonly results: readonly PciProbeResult[];
  readonly verdict: Verdict;
}

interface Started {
  readonly probe: PlannedProbe;
  readonly namespace: string;
  readonly name: string;
  /** Of the Job; undefined if it could not be made. */
  readonly uid: string | undefined;
  /** Why it could not be made. */
  readonly failure: string;
}

interface Round {
  readonly generation: number;
  readonly plan: Plan;
  readonly started: readonly Started[];
  /** On the monotonic clock. */
  readonly deadline: number;
}

interface State {
  readonly uid: string | undefined;
  round: Round | undefined;
  last: RoundResult | undefined;
  /** The round that is being started. */
  starting: Promise<Round> | undefined;
  /** On the monotonic clock: when the next round begins. */
  due: number;
}

export interface ProbeControllerOptions {
  readonly client: KubeClient;
  /** With the index {@link BY_JOB}. */
  readonly pods: Cache<SeenPod>;
  readonly namespaces: Cache<Namespace>;
  readonly nodes: Cache<ObservedNode>;
  readonly ledger: Ledger;
  readonly metrics: BoundaryMetrics;
  readonly clock: Clock;
  /** The image for boundaries that name none. */
  readonly image: string | undefined;
  readonly outside: Endpoint;
  readonly apiServer: Endpoint | undefined;
  /** Hears that a round has ended. */
  readonly ended: (boundary: PciBoundary) => void;
}

/**
 * Proves boundaries: every interval, and after each change of a spec, it starts a round of probes, reads what their pods left as termination message, and
 * removes them. A round lives in memory: a controller that starts anew removes what it finds of an old one and begins another when it is due.
 */
export class ProbeController {
  readonly #o: ProbeControllerOptions;
  readonly #states = new Map<string, State>();

  constructor(options: ProbeControllerOptions) {
    this.#o = options;
  }

  /** The last round that this process has seen end. */
  lastOf({ metadata }: PciBoundary): RoundResult | undefined {
    const state = this.#states.get(metadata.name);
    return state?.uid === metadata.uid ? state?.last : undefined;
  }

  /** The image of a boundary's probes; without one, or without namespaces to start in, nothing is probed. */
  imageOf({ spec }: PciBoundary): string | undefined {
    return spec.probes.namespaces.length === 0 ? undefined : (spec.probes.image ?? this.#o.image);
  }

  async reconcile(boundary: PciBoundary): Promise<Result> {
    const { clock } = this.#o;
    // What is left when the boundary goes, the controller of its policies removes.
    if (boundary.metadata.deletionTimestamp !== undefined) return done();
    const state = await this.#stateOf(boundary);
    if (state.round !== undefined) return this.#collect(boundary, state, state.round);
    const image = this.imageOf(boundary);
    if (image === undefined) return done();
    const { generation = 0 } = boundary.metadata;
    // Only policies that stand can be proven.
    if (this.#o.ledger.standingOf(boundary)?.generation !== generation) return requeueAfter(SETTLE_MILLIS);
    if (this.#generationOf(boundary, state) !== generation)
      state.due = Math.min(state.due, clock.monotonic() + SETTLE_MILLIS);
    const left = state.due - clock.monotonic();
    if (left > 0) return requeueAfter(left);
    state.starting = this.#start(boundary, state, image);
    try {
      state.round = await state.starting;
    } finally {
      state.starting = undefined;
    }
    return requeueAfter(LOOK_MILLIS);
  }

  /** Removes every probe of a boundary, those that are just being started too. */
  async cleanUp({ metadata }: PciBoundary): Promise<void> {
    const state = this.#states.get(metadata.name);
    this.#states.delete(metadata.name);
    await state?.starting?.catch(() => undefined);
    const { items } = await this.#o.client.list(jobs, { labelSelector: `${PROBE_OF}=${metadata.name}` });
    for (const job of items) await this.#remove(job.metadata.namespace ?? '', job.metadata.name);
  }

  forget(name: string): void {
    this.#states.delete(name);
  }

  async #stateOf(boundary: PciBoundary): Promise<State> {
    const { name, uid } = boundary.metadata;
    const known = this.#states.get(name);
    if (known?.uid === uid && known !== undefined) return known;
    await this.cleanUp(boundary);
    const state: State = {
      uid,
      round: undefined,
      last: undefined,
      starting: undefined,
      due: this.#dueAfterStart(boundary),
    };
    this.#states.set(name, state);
    return state;
  }

  /** A new leader goes on where the last one stopped: the status says when a round last ended, and how. */
  #dueAfterStart({ spec, status }: PciBoundary): number {
    const { clock } = this.#o;
    const last = Date.parse(status?.probes?.lastTime ?? '');
    if (Number.isNaN(last)) return clock.monotonic() + SETTLE_MILLIS;
    const enforced = findCondition(status?.conditions, 'Enforced')?.status ?? 'Unknown';
    const whole = enforced !== 'Unknown' && (status?.probes?.results ?? []).every(isKnown);
    return clock.monotonic() + Math.max(0, last + waitAfter(spec.probes.interval, whole) - clock.wall());
  }

  /** The generation that was last proven. */
  #generationOf({ status }: PciBoundary, { last }: State): number | undefined {
    return last?.generation ?? findCondition(status?.conditions, 'Enforced')?.observedGeneration;
  }

  async #start(boundary: PciBoundary, state: State, image: string): Promise<Round> {
    const { client, pods, namespaces, nodes, clock, outside, apiServer } = this.#o;
    const plan = planOf(boundary.spec, {
      pods: [...pods.values()],
      hasNamespace: (name) => {
        const namespace = namespaces.get('', name);
        return namespace !== undefined && namespace.metadata.deletionTimestamp === undefined;
      },
      outside,
      apiServer,
    });
    const round = roundName(boundary.metadata.uid ?? '', clock.wall());
    const cardNodes = [...nodes.values()].some(({ metadata }) => metadata.labels?.[CARD_DATA] === YES);
    const started: Started[] = [];
    for (const [index, probe] of plan.probes.entries()) {
      // The boundary goes: what was started so far is removed by who waits for this.
      if (this.#states.get(boundary.metadata.name) !== state) break;
      const job = jobOf(boundary, probe, { round, index, image, cardNodes });
      const { namespace = '', name } = job.metadata;
      try {
        const made = await client.create(jobs, job);
        started.push({ probe, namespace, name, uid: made.metadata.uid, failure: '' });
      } catch (error) {
        const failure = `the Job could not be made: ${error instanceof ApiError ? (error.status?.message ?? error.message) : String(error)}`;
        started.push({ probe, namespace, name, uid: undefined, failure });
      }
    }
    return {
      generation: boundary.metadata.generation ?? 0,
      plan,
      started,
      deadline: clock.monotonic() + PATIENCE_MILLIS,
    };
  }

  async #collect(boundary: PciBoundary, state: State, round: Round): Promise<Result> {
    const { clock, metrics } = this.#o;
    const found = round.started.map((started) => ({ started, ...this.#reportOf(started) }));
    const left = round.deadline - clock.monotonic();
    if (left > 0 && found.some(({ ended }) => !ended)) return requeueAfter(Math.min(left, LOOK_MILLIS));
    const results = [
      ...found.flatMap(({ started, reports, why }) => resultsOf(started.probe, reports, why)),
      ...round.plan.untried.map(resultOf),
    ].sort((a, b) => Number(passed(a)) - Number(passed(b)));
    const verdict = verdictOf(results);
    state.last = { generation: round.generation, at: clock.wall(), results, verdict };
    state.due =
      clock.monotonic() +
      waitAfter(boundary.spec.probes.interval, verdict.status !== 'Unknown' && results.every(isKnown));
    state.round = undefined;
    metrics.probeRounds.inc({ boundary: boundary.metadata.name, outcome: verdict.status });
    this.#o.ended(boundary);
    for (const { namespace, name, uid } of round.started) if (uid !== undefined) await this.#remove(namespace, name);
    return requeueAfter(Math.max(0, state.due - clock.monotonic()));
  }

  /** What a probe's pod left. It must be the pod of the very Job that was started. */
  #reportOf({ namespace, name, uid, failure }: Started): {
    readonly ended: boolean;
    readonly reports: readonly WayReport[] | undefined;
    readonly why: string;
  } {
    if (uid === undefined) return { ended: true, reports: undefined, why: failure };
    const pod = this.#o.pods
      .byIndex(BY_JOB, keyOf(namespace, name))
      .find(({ metadata }) => metadata.ownerReferences?.some((owner) => owner.uid === uid));
    if (pod === undefined)
      return { ended: false, reports: undefined, why: 'its Job made no pod; see the events of the Job' };
    const [container] = pod.status?.containerStatuses ?? [];
    const terminated = container?.state?.terminated;
    if (terminated !== undefined) {
      const reports = parseReport(terminated.message ?? '');
      const why = `the probe ended with ${terminated.exitCode ?? 'an error'} and without a report`;
      return { ended: true, reports, why };
    }
    const waiting = container?.state?.waiting;
    const unscheduled = pod.status?.conditions?.find(
      ({ type, status }) => type === 'PodScheduled' && status === 'False',
    );
    const why =
      waiting?.message ?? waiting?.reason ?? unscheduled?.message ?? pod.status?.message ?? 'its pod did not end';
    return { ended: pod.status?.phase === 'Failed', reports: undefined, why };
  }

  async #remove(namespace: string, name: string): Promise<void> {
    try {
      await this.#o.client.delete(jobs, { namespace, name }, { propagationPolicy: 'Background' });
    } catch (error) {
      // What is not removed now goes by its time to live; the next round has another name.
      if (!isNotFound(error) && !(error instanceof ApiError)) throw error;
    }
  }
}

/** Whether a way was tried. */
function isKnown({ observed }: PciProbeResult): boolean {
  return observed !== 'Unknown';
}

/** How long after a round the next begins, in milliseconds: soon, if not every way could be tried. */
function waitAfter(interval: string, whole: boolean): number {
  const millis = parseDuration(interval);
  return whole ? millis : Math.min(millis, RETRY_MILLIS);
}
