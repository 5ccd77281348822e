import type { OrderSagaRun } from '@mercato/operator/api/ordersagarun.ts';
import { Doubts } from '@mercato/operator/controllers/ordersagarun/doubts.ts';
import { Inheritance } from '@mercato/operator/controllers/ordersagarun/inheritance.ts';
import { JournalUnavailable, VersionConflict } from '@mercato/operator/journals/journal.ts';
import { encode } from '@mercato/operator/journals/kubernetes/codec.ts';
import type { Participants } from '@mercato/operator/participants/participants.ts';
import { type Adoption, Runner } from '@mercato/operator/runner/runner.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import { begin } from '@mercato/operator/saga/engine.ts';
import type { Revision, RunId } from '@mercato/operator/saga/types.ts';
import {
  type ApiClient,
  type ApiServer,
  asKube,
  decodedOf,
  type Outcome,
  type RunObject,
  stateOf,
  type WatchEvent,
} from './api-server.ts';
import type { Node } from './node.ts';

export interface WorkerPorts {
  readonly api: ApiServer;
  readonly client: ApiClient;
  readonly participants: Participants;
  readonly node: Node;
  /** When an event of the watch arrives here, in milliseconds from now. */
  readonly watchLag: () => number;
  /** The definition as this worker's cache shows it. */
  readonly currentRevision: () => Revision;
  /** Why runs that are being deleted cannot be kept. */
  readonly reasonToLetGo: () => string | undefined;
  /** Whether the OrderSaga is paused. */
  readonly isPaused: () => boolean;
  /** A run is said to have ended. */
  readonly ended: (id: RunId) => void;
  readonly onError: (error: unknown) => void;
}

/** Why a run ended that had ended before. */
export const FINISHED_BEFORE = 'FinishedBefore';

const LOOK_AGAIN_MILLIS = 1_000;

/**
 * An operator process, from the moment it leads: the real runner, and around it what operator/src/controllers/ordersagarun does with the API server, on
 * the simulation's. It acts on a cache that lags, never on one older than its own last write.
 */
export class Worker {
  readonly runner: Runner;
  readonly #ports: WorkerPorts;
  readonly #cache = new Map<string, RunObject>();
  readonly #busy = new Set<string>();
  readonly #again = new Set<string>();
  readonly #inheritance: Inheritance;
  /** What whoever led before left when it died. */
  readonly #left: Doubts;
  #beginsNothing = false;
  #stopWatch: () => void = () => {};
  #stopped = false;
  #lastDelivery = 0;
  readonly #onTheWay: WatchEvent[] = [];

  /** `died`: whoever led before did not hand over. */
  constructor(ports: WorkerPorts, died: boolean) {
    this.#ports = ports;
    const since = String(ports.api.takeLease());
    this.#inheritance = new Inheritance(since, died);
    this.#left = new Doubts(since);
    const retry = (id: RunId) => ports.node.after(1, () => this.#enqueue(runKey(id)));
    this.runner = new Runner({
      journal: ports.client,
      participants: ports.participants,
      clock: ports.node,
      observer: {
        ended: (id) => {
          ports.ended(id);
          retry(id);
        },
        transitioned: (id, _before, _after, event) => {
          if (event.type === 'TakenOver' || event.type === 'Damaged') this.#left.tookUp(id);
        },
        dropped: (id) => retry(id),
      },
    });
  }

  get node(): Node {
    return this.#ports.node;
  }

  /** Takes stock of what there is, then works. */
  start(): void {
    const { api } = this.#ports;
    for (const object of api.list()) {
      this.#cache.set(runKey(object.id), object);
      if (this.#inheritance.died) this.#left.found(asRun(object));
    }
    this.#stopWatch = api.watch((event) => this.#deliver(event));
    for (const key of this.#cache.keys()) this.#enqueue(key);
  }

  /** The end of the process, or of its right to work: nothing more is sent or written. */
  stop(): void {
    this.#stopped = true;
    this.node.die();
    this.#stopWatch();
    this.runner.abandon();
  }

  /** Its lease is over, and it does not know: it goes on with what it has, but new runs are not begun without a look at the lease. */
  beginNothing(): void {
    this.#beginsNothing = true;
  }

  /** The OrderSaga has changed: every run is looked at. */
  sagaChanged(): void {
    for (const key of this.#cache.keys()) this.#enqueue(key);
  }

  /** Hands over in good order. @returns whether the next one needs to doubt nothing */
  async release(): Promise<boolean> {
    this.#stopped = true;
    this.#stopWatch();
    await this.runner.release();
    return this.#left.areSettled((id) => {
      const object = this.#cache.get(runKey(id));
      return object && asRun(object);
    });
  }

  #deliver(event: WatchEvent): void {
    // A watch is late as a whole: its events come in order.
    const at = Math.max(this.#lastDelivery, this.node.monotonic() + this.#ports.watchLag());
    this.#lastDelivery = at;
    this.#onTheWay.push(event);
    this.node.after(at - this.node.monotonic(), () => this.#arrive(this.#onTheWay.shift() as WatchEvent));
  }

  #arrive({ key, object }: WatchEvent): void {
    if (this.#stopped) return;
    if (object === undefined) this.#cache.delete(key);
    else {
      this.#cache.set(key, object);
      if (this.#inheritance.died) this.#left.heard(asRun(object));
    }
    this.#enqueue(key);
  }

  #enqueue(key: string): void {
    if (this.#stopped || !this.node.alive) return;
    if (this.#busy.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#busy.add(key);
    void this.#reconcile(key)
      .catch((error: unknown) => {
        if (!(error instanceof VersionConflict || error instanceof JournalUnavailable)) this.#ports.onError(error);
        return true;
      })
      .then((again) => {
        this.#busy.delete(key);
        if (again) this.node.after(LOOK_AGAIN_MILLIS, () => this.#enqueue(key));
        if (this.#again.delete(key)) this.#enqueue(key);
      });
  }

  /** One look at a run. @returns true to look again after a while. */
  async #reconcile(key: string): Promise<boolean> {
    const object = this.#cache.get(key);
    if (object === undefined) return false;
    const driven = this.runner.find(object.id);
    if (!this.#ports.client.fence.isFresh(asKube(object))) return false;
    if (driven !== undefined) return this.#steer(object);
    const state = stateOf(object);
    if (state?.ended !== undefined) return this.#clearAway(object);
    return this.#take(object);
  }

  #steer(object: RunObject): boolean {
    const { id, decision } = object;
    const driven = this.runner.find(id);
    if (driven === undefined) return false;
    if (object.version > Number(driven.version)) {
      if (object.status?.checksum === encode(id, driven.durable).checksum)
        this.runner.newVersion(id, String(object.version));
      const found = decodedOf(object);
      if (found === undefined) this.runner.rewrite(id);
      else if ('damaged' in found) this.runner.tell(id, { type: 'Damaged', message: found.damaged });
    }
    const { observedDecision: seen, cancel } = driven.state;
    const settled = seen?.holdId === decision?.holdId && seen?.outcome === 'Accepted';
    if (decision !== undefined && !settled) this.runner.tell(id, { type: 'Decided', decision });
    const isPaused = this.#ports.isPaused();
    if (driven.state.paused !== isPaused) this.runner.tell(id, { type: isPaused ? 'Paused' : 'Resumed' });
    if (!object.deleting) return isPaused;
    const reason = this.#ports.reasonToLetGo();
    if (reason !== undefined) this.runner.tell(id, { type: 'LetGo', reason });
    else if (cancel === undefined) this.runner.tell(id, { type: 'Cancelled', reason: 'its object was deleted' });
    return true;
  }

  async #take(object: RunObject): Promise<boolean> {
    const { api, client } = this.#ports;
    const { id } = object;
    const key = runKey(id);
    const before = api.finished.get(key);
    if (before !== undefined) return this.#recall(object, before);
    const found = decodedOf(object);
    if (found === undefined && this.#beginsNothing) return false;
    // Before anything is written of a run, its object says which revision it was begun with.
    const hash = found === undefined ? object.begunWith : object.status?.revision;
    const known = hash === undefined ? undefined : await client.loadRevision(id.namespace, id.saga, hash);
    const revision = known ?? this.#ports.currentRevision();
    await client.saveRevision(id.namespace, id.saga, revision);
    const isClaimed = object.finalizer || object.deleting;
    const version = isClaimed
      ? object.version
      : await this.#patch(object, { finalizer: true, begunWith: revision.hash });
    if (this.#stopped) return false;
    const context = { id, input: object.input };
    void this.runner.adopt({
      context,
      revision,
      version: String(version),
      from: this.#origin(object, found),
      paused: this.#ports.isPaused(),
    });
    return this.#steer(this.#cache.get(key) ?? object);
  }

  #origin(object: RunObject, found: ReturnType<typeof decodedOf>): Adoption['from'] {
    if (found !== undefined && 'damaged' in found) return { type: 'Damaged', message: found.damaged };
    const state = found !== undefined && 'state' in found ? found.state : undefined;
    if (state === undefined && !object.finalizer) return { type: 'New' };
    const isInherited = this.#inheritance.includes(asKube(object) as OrderSagaRun);
    return { type: 'TakenOver', state, died: this.#inheritance.died && (state !== undefined || isInherited) };
  }

  /** The run has ended before, and its object came back without its status: nothing is done a second time. */
  async #recall(object: RunObject, ended: Outcome): Promise<boolean> {
    const { client, node } = this.#ports;
    const blank = begin({ hash: '', steps: [], deadline: 0, onStepFailure: 'Hold' }, node.wall());
    const cause = { reason: FINISHED_BEFORE, message: 'it is not carried out again' };
    await client.write(object.id, { ...blank, ended, finishedAt: node.wall(), cause }, String(object.version));
    return false;
  }

  async #clearAway(object: RunObject): Promise<boolean> {
    const { api, client } = this.#ports;
    const key = runKey(object.id);
    const state = stateOf(object);
    const outcome = state?.ended;
    if (state === undefined || outcome === undefined) return false;
    if (!api.finished.has(key))
      await client.call(`remember ${object.id.orderId}`, () => api.finished.set(key, outcome));
    for (const entry of state.givenUp) await client.recordException(object.id, entry);
    if (object.deleting && object.finalizer) await this.#patch(object, { finalizer: false });
    return false;
  }

  async #patch(object: RunObject, change: Partial<RunObject>): Promise<number> {
    const { api, client } = this.#ports;
    const key = runKey(object.id);
    const patched = await client.call(`patch ${object.id.orderId}`, () => api.patch(key, () => change, object.version));
    client.fence.wrote(asKube(patched));
    return patched.version;
  }
}

/** An object as the operator's cache keeps it: one that has ended without its input. */
function asRun(object: RunObject): OrderSagaRun {
  const ended = stateOf(object)?.ended;
  const spec = { sagaRef: { name: object.id.saga }, orderId: object.id.orderId, mode: 'Execute' };
  return {
    ...asKube(object),
    spec: ended === undefined ? { ...spec, input: object.input } : spec,
    status: { phase: ended },
  } as OrderSagaRun;
}
