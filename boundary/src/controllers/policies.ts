import { isDeepStrictEqual } from 'node:util';
import { findCondition } from '@mercato/operator/api/conditions.ts';
import type { PciBoundary } from '@mercato/operator/api/pciboundary.ts';
import type { Cache } from '@mercato/operator/kube/cache.ts';
import type { DeepPartial, KubeClient } from '@mercato/operator/kube/client.ts';
import { ApiError, isForbidden, isInvalid, isNamespaceTerminating, isNotFound } from '@mercato/operator/kube/errors.ts';
import type { Recorder } from '@mercato/operator/kube/events.ts';
import type { Fence } from '@mercato/operator/kube/fence.ts';
import { keyOfObject } from '@mercato/operator/kube/key.ts';
import type { Namespace } from '@mercato/operator/kube/types.ts';
import type { Clock } from '@mercato/operator/runtime/clock.ts';
import { done, type Result, requeueAfter } from '@mercato/operator/runtime/result.ts';
import { networkPolicies, pciBoundaries } from '../kube/resources.ts';
import { address, declared, denyAll, desired } from '../policy/desired.ts';
import type { DesiredPolicy, NetworkPolicy } from '../policy/types.ts';
import type { DriftClock } from './drift.ts';
import type { Ledger, Problem } from './ledger.ts';
import type { BoundaryMetrics } from './metrics.ts';
import { territoryOf } from './namespaces.ts';

/** Keeps a PciBoundary until its policies are gone: they are what deleting it must leave behind nothing of. */
export const FINALIZER = 'mercato.dev/pciboundary';
/** An index of boundaries by the namespaces that they name. */
export const BY_NAMESPACE = 'namespace';
/** An index of policies by the boundary whose label they carry. */
export const BY_BOUNDARY = 'boundary';
/** The cache shows our own last write within milliseconds; this is for when its event is late. */
const STALE_RECHECK_MILLIS = 100;

export interface PolicyControllerOptions {
  readonly client: KubeClient;
  readonly boundaries: Cache<PciBoundary>;
  /** With the index {@link BY_BOUNDARY}. */
  readonly policies: Cache<NetworkPolicy>;
  readonly namespaces: Cache<Namespace>;
  /** Of boundaries. */
  readonly fence: Fence;
  readonly policyFence: Fence;
  readonly ledger: Ledger;
  readonly drift: DriftClock;
  readonly recorder: Recorder;
  readonly metrics: BoundaryMetrics;
  readonly clock: Clock;
  /** Removes what else the boundary has in the cluster, before it goes. */
  readonly cleanUp: (boundary: PciBoundary) => Promise<void>;
}

/** What a pass over a boundary's policies came to. */
interface Pass {
  stale: boolean;
  readonly problems: Problem[];
  readonly errors: unknown[];
}

/**
 * Makes the NetworkPolicies of a boundary's namespaces what it declares: what is missing or differs is applied, its own that it no longer declares
 * are deleted. It comes at each change of a policy, so that drift lasts as long as a watch and a write take.
 *
 * Policies of others are left alone: admission keeps them out, and what got in before or past it is a violation for people to look at
 * (docs/concepts/pci-boundary.md), since deleting what another controller makes would be a fight without end and might cut off what works.
 */
export class PolicyController {
  readonly #o: PolicyControllerOptions;

  constructor(options: PolicyControllerOptions) {
    this.#o = options;
  }

  async reconcile(boundary: PciBoundary): Promise<Result> {
    if (boundary.metadata.deletionTimestamp !== undefined) return this.#release(boundary);
    if (!(boundary.metadata.finalizers ?? []).includes(FINALIZER)) await this.#setFinalizer(boundary, true);
    const { boundaries, namespaces, ledger } = this.#o;
    const territory = territoryOf(boundary, boundaries.values(), (name) => namespaces.get('', name));
    const wanted = declared(boundary).filter(({ metadata }) => !territory.taken.has(metadata.namespace));
    const pass: Pass = { stale: false, problems: [...territory.problems], errors: [] };
    const settledBefore = this.#wasSettled(boundary);
    for (const policy of wanted)
      if (territory.namespaces.has(policy.metadata.namespace)) await this.#keep(boundary, policy, settledBefore, pass);
    await this.#removeStrays(boundary, new Set(wanted.map(address)), pass);
    ledger.settled(boundary, {
      // What the cache has yet to show was written by us, so that it stands.
      generation: pass.errors.length === 0 && (settledBefore || !pass.stale) ? boundary.metadata.generation : undefined,
      problems: pass.problems,
    });
    if (pass.errors.length > 0) throw pass.errors[0];
    return pass.stale ? requeueAfter(STALE_RECHECK_MILLIS) : done();
  }

  /** Whether all policies of this generation stood before: what differs now was changed by somebody. */
  #wasSettled(boundary: PciBoundary): boolean {
    const standing = this.#o.ledger.standingOf(boundary);
    const accepted = findCondition(boundary.status?.conditions, 'Accepted');
    // A new leader knows no more than what its predecessor wrote.
    const generation = standing === undefined ? accepted?.observedGeneration : standing.generation;
    return generation === boundary.metadata.generation && (standing !== undefined || accepted?.status === 'True');
  }

  /** One policy. What fails is noted: the others must be kept all the same. */
  async #keep(boundary: PciBoundary, wanted: DesiredPolicy, settledBefore: boolean, pass: Pass): Promise<void> {
    const { policies, policyFence } = this.#o;
    const { namespace, name } = wanted.metadata;
    const found = policies.get(namespace, name);
    if (!policyFence.isFreshAt({ namespace, name }, found)) {
      pass.stale = true;
      return;
    }
    if (found !== undefined && isAsDeclared(found, wanted)) return;
    try {
      policyFence.wrote(await this.#apply(wanted));
    } catch (error) {
      this.#note(wanted, error, pass);
      return;
    }
    if (settledBefore) this.#reverted(boundary, wanted, found === undefined ? 'deleted' : 'changed');
  }

  /**
   * Server-side apply, by force. What another manager added beside our fields (say `egress`, to a policy that governs ingress) it leaves alone; that is
   * removed by a merge patch that names it.
   */
  async #apply(wanted: DesiredPolicy): Promise<NetworkPolicy> {
    const { client } = this.#o;
    const place = { namespace: wanted.metadata.namespace, name: wanted.metadata.name };
    const { labels, ownerReferences } = wanted.metadata;
    const metadata = { labels, ...(ownerReferences === undefined ? {} : { ownerReferences }) };
    const spec: object = wanted.spec;
    const applied = await client.apply<NetworkPolicy>(networkPolicies, place, { metadata, spec });
    if (isDeepStrictEqual(applied.spec, wanted.spec)) return applied;
    const surplus = Object.keys(applied.spec ?? {}).filter((field) => !(field in wanted.spec));
    const patch = { spec: { ...spec, ...Object.fromEntries(surplus.map((field) => [field, null])) } };
    return client.patch<NetworkPolicy>(networkPolicies, place, patch as DeepPartial<NetworkPolicy>);
  }

  /** Policies with the boundary's label that it does not declare: of an earlier spec, or somebody's who took its label. */
  async #removeStrays(boundary: PciBoundary, wanted: ReadonlySet<string>, pass: Pass): Promise<void> {
    for (const policy of this.#ownOf(boundary)) {
      if (wanted.has(address(policy))) continue;
      if (!this.#o.policyFence.isFresh(policy)) {
        pass.stale = true;
        continue;
      }
      try {
        await this.#delete(policy);
      } catch (error) {
        this.#note(policy, error, pass);
      }
    }
  }

  #ownOf(boundary: PciBoundary): NetworkPolicy[] {
    return this.#o.policies.byIndex(BY_BOUNDARY, boundary.metadata.name);
  }

  async #delete(policy: NetworkPolicy): Promise<void> {
    const { client, policyFence } = this.#o;
    const { namespace = '', name, uid } = policy.metadata;
    try {
      await client.delete(networkPolicies, { namespace, name }, uid === undefined ? {} : { uid });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    policyFence.deleted(policy);
  }

  #note(policy: NetworkPolicy, error: unknown, pass: Pass): void {
    // The namespace's own event says so in a moment.
    if (isNamespaceTerminating(error)) return;
    pass.errors.push(error);
    const refused = isForbidden(error) || isInvalid(error);
    const said = error instanceof ApiError ? (error.status?.message ?? error.message) : String(error);
    const message = `NetworkPolicy ${address(policy)} could not be written: ${said}`;
    pass.problems.push({ reason: refused ? 'WriteRefused' : 'WriteFailed', message });
  }

  #reverted(boundary: PciBoundary, policy: DesiredPolicy, change: 'changed' | 'deleted'): void {
    const { ledger, metrics, recorder, drift, clock } = this.#o;
    const since = drift.take(keyOfObject(policy));
    metrics.reverts.inc({ boundary: boundary.metadata.name, change });
    if (since !== undefined) metrics.revertSeconds.observe((clock.monotonic() - since) / 1000);
    ledger.reverted(boundary, clock.wall());
    recorder.event(boundary, {
      type: 'Warning',
      reason: 'DriftReverted',
      action: 'Apply',
      note: `NetworkPolicy ${address(policy)} was ${change} and has been put back; the API server's audit log says by whom`,
      related: policy,
    });
  }

  /** Deletion: first deny stands, then what opens ways goes, and only then the boundary. */
  async #release(boundary: PciBoundary): Promise<Result> {
    if (!(boundary.metadata.finalizers ?? []).includes(FINALIZER)) return done();
    const { boundaries, namespaces } = this.#o;
    const territory = territoryOf(boundary, boundaries.values(), (name) => namespaces.get('', name));
    const pass: Pass = { stale: false, problems: [], errors: [] };
    for (const namespace of territory.namespaces)
      await this.#keep(boundary, denyAll(namespace) as DesiredPolicy, false, pass);
    if (pass.errors.length > 0) throw pass.errors[0];
    if (pass.stale || !this.#isShown(boundary)) return requeueAfter(STALE_RECHECK_MILLIS);
    const own = this.#ownOf(boundary);
    for (const policy of own) await this.#delete(policy);
    // The cache must say that they are gone before the only one who would look for them goes.
    if (own.length > 0) return requeueAfter(STALE_RECHECK_MILLIS);
    await this.#o.cleanUp(boundary);
    await this.#setFinalizer(boundary, false);
    return done();
  }

  /** Whether the cache shows all that was written for the boundary: what it does not show yet, nobody would delete. */
  #isShown(boundary: PciBoundary): boolean {
    const { policies, policyFence } = this.#o;
    return desired(boundary).every(({ metadata: { namespace, name } }) =>
      policyFence.isFreshAt({ namespace, name }, policies.get(namespace, name)),
    );
  }

  async #setFinalizer(boundary: PciBoundary, wanted: boolean): Promise<void> {
    const { client, fence } = this.#o;
    const { name, resourceVersion, finalizers = [] } = boundary.metadata;
    const others = finalizers.filter((finalizer) => finalizer !== FINALIZER);
    const metadata = { finalizers: wanted ? [...others, FINALIZER] : others };
    const precondition = resourceVersion === undefined ? {} : { resourceVersion };
    try {
      fence.wrote(await client.patch(pciBoundaries, { name }, { metadata } as DeepPartial<PciBoundary>, precondition));
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Whether a policy has the declared spec, labels and owner; what else it carries does not matter. */
function isAsDeclared(found: NetworkPolicy, wanted: DesiredPolicy): boolean {
  const { labels = {}, ownerReferences = [] } = found.metadata;
  return (
    isDeepStrictEqual(found.spec, wanted.spec) &&
    Object.entries(wanted.metadata.labels).every(([key, value]) => labels[key] === value) &&
    (wanted.metadata.ownerReferences ?? []).every(({ uid }) => ownerReferences.some((owner) => owner.uid === uid))
  );
}
