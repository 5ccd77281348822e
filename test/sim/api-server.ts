import { FINALIZER } from '@mercato/operator/controllers/ordersagarun/run.ts';
import {
  type Journal,
  type JournalRecord,
  JournalUnavailable,
  type Version,
  VersionConflict,
} from '@mercato/operator/journals/journal.ts';
import { decode, encode, type JournalledStatus } from '@mercato/operator/journals/kubernetes/codec.ts';
import { exceptionName } from '@mercato/operator/journals/kubernetes/exceptions.ts';
import { Fence } from '@mercato/operator/kube/fence.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { runKey } from '@mercato/operator/saga/command.ts';
import type { Decision, GivenUp, Revision, RunId, RunInput, RunState } from '@mercato/operator/saga/types.ts';
import type { Faults } from './faults.ts';
import type { Network } from './network.ts';
import type { Node } from './node.ts';

/** An OrderSagaRun, as far as the simulation needs one. Never changed: a write makes a new one. */
export interface RunObject {
  readonly id: RunId;
  readonly uid: number;
  readonly version: number;
  /** Counts the changes of what people ask for, from 1. */
  readonly generation: number;
  readonly input: RunInput;
  readonly decision?: Decision;
  readonly deleting: boolean;
  readonly finalizer: boolean;
  /** The revision that the operator put beside its finalizer. */
  readonly begunWith?: string;
  /** As it went over the wire. */
  readonly status?: JournalledStatus;
}

/** What a watch delivers: the object as it is now, or that it is gone. */
export type WatchEvent = { readonly key: string; readonly version: number; readonly object?: RunObject };

export type Outcome = NonNullable<RunState['ended']>;

/** Told of every write as it happens: the observers' view, which no fault disturbs. */
export interface ApiObserver {
  changed(object: RunObject, before: RunObject | undefined): void;
  removed(object: RunObject): void;
  recorded(id: RunId, entry: GivenUp): void;
}

/**
 * What the simulation has in place of kube-apiserver and etcd: conditional writes to objects, watches, and the operator's ConfigMaps (exception records,
 * memory of finished runs) and ControllerRevisions. Statuses are what the kubernetes journal's own codec makes of them.
 */
export class ApiServer {
  readonly #observer: ApiObserver;
  readonly #objects = new Map<string, RunObject>();
  readonly #watches = new Set<(event: WatchEvent) => void>();
  readonly revisions = new Map<string, Revision>();
  readonly exceptions = new Map<string, { readonly id: RunId; readonly entry: GivenUp }>();
  readonly finished = new Map<string, Outcome>();
  #version = 1_000;
  #uid = 0;

  constructor(observer: ApiObserver) {
    this.#observer = observer;
  }

  /** Writes the lease. @returns its version: what is written later has a higher one. */
  takeLease(): number {
    this.#version += 1;
    return this.#version;
  }

  get(key: string): RunObject | undefined {
    return this.#objects.get(key);
  }

  list(): RunObject[] {
    return [...this.#objects.values()];
  }

  /** Creates a run; applying one that is there changes nothing. */
  create(id: RunId, input: RunInput): void {
    if (this.#objects.has(runKey(id))) return;
    this.#uid += 1;
    this.#put({ id, uid: this.#uid, version: 0, generation: 1, input, deleting: false, finalizer: false });
  }

  /** @throws VersionConflict when the object is gone, or has another version than the one given. */
  patch(key: string, change: (object: RunObject) => Partial<RunObject>, version?: number): RunObject {
    const object = this.#objects.get(key);
    if (object === undefined) throw new VersionConflict(`${key} is not there`);
    if (version !== undefined && version !== object.version)
      throw new VersionConflict(`${key} has version ${object.version}, not ${version}`);
    const changed = { ...object, ...change(object) };
    const isAsked =
      changed.decision !== object.decision || changed.deleting !== object.deleting || changed.input !== object.input;
    const next = { ...changed, generation: object.generation + (isAsked ? 1 : 0) };
    if (next.deleting && !next.finalizer) this.#remove(next);
    else this.#put(next);
    return this.#objects.get(key) ?? next;
  }

  /** The object comes back as a backup or its author has it: without its status. */
  restore(key: string, input: RunInput): void {
    const object = this.#objects.get(key);
    if (object === undefined) return;
    const { status: _lost, ...rest } = object;
    this.#put({ ...rest, input, generation: object.generation + (input === object.input ? 0 : 1) });
  }

  /** Marks it as being deleted; it goes when no finalizer holds it. */
  delete(key: string): void {
    if (this.#objects.get(key)?.deleting === false) this.patch(key, () => ({ deleting: true }));
  }

  watch(listener: (event: WatchEvent) => void): () => void {
    this.#watches.add(listener);
    return () => this.#watches.delete(listener);
  }

  record(id: RunId, entry: GivenUp): void {
    this.#observer.recorded(id, entry);
    this.exceptions.set(exceptionName(id, entry), { id, entry });
  }

  #put(object: RunObject): void {
    const key = runKey(object.id);
    const before = this.#objects.get(key);
    this.#version += 1;
    const next = { ...object, version: this.#version };
    this.#objects.set(key, next);
    this.#observer.changed(next, before);
    for (const tell of this.#watches) tell({ key, version: this.#version, object: next });
  }

  #remove(object: RunObject): void {
    const key = runKey(object.id);
    this.#version += 1;
    this.#objects.delete(key);
    this.#observer.removed(object);
    for (const tell of this.#watches) tell({ key, version: this.#version });
  }
}

type Decoded = ReturnType<typeof decode>;

/** Objects never change, so each is decoded once. */
const decoded = new WeakMap<RunObject, { readonly found: Decoded }>();

/** What the kubernetes journal makes of an object's status. */
export function decodedOf(object: RunObject): Decoded {
  let known = decoded.get(object);
  if (known === undefined) {
    known = { found: decode(object.id, object.status) };
    decoded.set(object, known);
  }
  return known.found;
}

/** What the journal holds of an object. */
export function stateOf(object: RunObject | undefined): RunState | undefined {
  const found = object === undefined ? undefined : decodedOf(object);
  return found !== undefined && 'state' in found ? found.state : undefined;
}

/** The object's metadata as the operator's own code reads it. */
export function asKube({ id, uid, version, generation, finalizer }: RunObject): KubeObject {
  const metadata = {
    namespace: id.namespace,
    name: `${id.saga}-${id.orderId}`,
    uid: String(uid),
    resourceVersion: String(version),
    generation,
    finalizers: finalizer ? [FINALIZER] : [],
  };
  return { metadata } as KubeObject;
}

/** How long a client waits for the API server. */
const TIMEOUT_MILLIS = 2_000;

/** The API server as one worker sees it, over a network, as a journal and as a client. */
export class ApiClient implements Journal {
  readonly #api: ApiServer;
  readonly #apiNode: Node;
  readonly #node: Node;
  readonly #network: Network;
  readonly #faults: Faults;
  /** Asked before and after everything that others can see; true when the worker died there. */
  readonly #mayDie: (point: string) => boolean;
  /** Read-your-writes for whoever acts on a cache: what the API server showed us is at least as new as what we wrote. */
  readonly fence = new Fence();

  constructor(
    api: ApiServer,
    apiNode: Node,
    node: Node,
    network: Network,
    faults: Faults,
    mayDie: (point: string) => boolean,
  ) {
    this.#api = api;
    this.#apiNode = apiNode;
    this.#node = node;
    this.#network = network;
    this.#faults = faults;
    this.#mayDie = mayDie;
  }

  /** Has something done at the API server. @throws JournalUnavailable when no answer came, whatever was done. */
  call<R>(what: string, work: () => R): Promise<R> {
    if (this.#mayDie(`before ${what}`)) return new Promise(() => {});
    return new Promise((resolve, reject) => {
      const giveUp = () => reject(new JournalUnavailable(`${what}: no answer`));
      const cancel = this.#node.after(TIMEOUT_MILLIS, giveUp);
      const done = async (): Promise<{ value: R } | { error: unknown }> => {
        try {
          return { value: work() };
        } catch (error) {
          return { error };
        }
      };
      void this.#network
        .call(this.#node, () => this.#apiNode, what, done)
        .then((answer) => {
          cancel();
          if (this.#mayDie(`after ${what}`)) return;
          if (answer === undefined || this.#faults.strikes('journal-timeout', what)) return giveUp();
          if ('error' in answer) return reject(answer.error);
          resolve(answer.value);
        });
    });
  }

  async read(id: RunId): Promise<JournalRecord | undefined> {
    const object = await this.call('read', () => this.#api.get(runKey(id)));
    if (object === undefined) return undefined;
    this.fence.wrote(asKube(object));
    return { version: String(object.version), ...(decodedOf(object) ?? { state: undefined }) };
  }

  async write(id: RunId, state: RunState, version: Version): Promise<Version> {
    // What goes over the wire is text.
    const status = JSON.parse(JSON.stringify(encode(id, state))) as JournalledStatus;
    const object = await this.call(`write ${id.orderId}`, () =>
      this.#api.patch(runKey(id), () => ({ status }), Number(version)),
    );
    this.fence.wrote(asKube(object));
    return String(object.version);
  }

  async saveRevision(_namespace: string, _saga: string, revision: Revision): Promise<void> {
    if (!this.#api.revisions.has(revision.hash))
      await this.call('save revision', () => this.#api.revisions.set(revision.hash, revision));
  }

  loadRevision(_namespace: string, _saga: string, hash: string): Promise<Revision | undefined> {
    return this.call('load revision', () => this.#api.revisions.get(hash));
  }

  recordException(id: RunId, entry: GivenUp): Promise<void> {
    return this.call(`record ${id.orderId}`, () => this.#api.record(id, entry));
  }
}
