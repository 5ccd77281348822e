import type { NamespacedName } from './key.ts';
import { apiVersionOf, pathOf, type Resource, serviceAccounts } from './resource.ts';
import type { ApiRequest, Query, Transport } from './transport.ts';
import type { KubeList, KubeObject, Status, TokenRequest } from './types.ts';

/** Options of any call. */
export interface CallOptions {
  /** In milliseconds. @default the transport's */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Must not wait behind other requests; see ApiRequest. @default false */
  urgent?: boolean;
}

/** Options of a write. */
export interface WriteOptions extends CallOptions {
  /** Who the API server records as the owner of the fields. @default the client's */
  fieldManager?: string;
  /** Check everything, admission included, and store nothing. */
  dryRun?: boolean;
}

/**
 * A write that must find the object as it was read: otherwise it fails with a conflict (`isConflict`). The version alone says which object,
 * since a re-created one has another; a uid would not help, as the API server ignores it in a patch of a custom resource's status.
 */
export interface Precondition {
  resourceVersion?: string;
}

/** Options of a server-side apply. */
export interface ApplyOptions extends WriteOptions, Precondition {
  /**
   * Take fields that other managers own. @default true, as controllers should: what they apply is theirs
   * (https://kubernetes.io/docs/reference/using-api/server-side-apply/#conflicts)
   */
  force?: boolean;
}

/** What to list or watch. */
export interface Selection {
  /** @default all namespaces */
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

/** Options of a list. */
export interface ListOptions extends Selection, CallOptions {
  /** Objects a page. @default 500, as client-go */
  pageSize?: number;
  /**
   * How old the answer may be. Left out: as new as at the time of the call, which the API server can serve from its cache since 1.31. `'0'`: any
   * state, even one older than what this process has seen from another API server.
   */
  resourceVersion?: string;
}

/** A whole list and the version from which a watch continues it. */
export interface Listed<T> {
  items: T[];
  resourceVersion: string;
}

/** What is applied: an object with any part of its fields, but always its name. */
export type Apply<T extends KubeObject> = {
  [K in keyof T]?: K extends 'metadata'
    ? Partial<T['metadata']>
    : T[K] extends object | undefined
      ? DeepPartial<T[K]>
      : T[K];
};

/** All fields optional, at every depth; lists are given whole. `null` removes a field in a merge patch. */
export type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: DeepPartial<T[K]> | null }
    : T;

/** Options of a delete. */
export interface DeleteOptions extends CallOptions, Precondition {
  /** Delete this object and not another of the same name; else a conflict. */
  uid?: string;
  /** @default the resource's own, for custom resources Background */
  propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
  gracePeriodSeconds?: number;
}

/**
 * The verbs of the Kubernetes API over raw JSON, typed by resource. Objects come without `managedFields`, which are often most of an object.
 * All methods reject with an ApiError or a TransportError.
 */
export class KubeClient {
  readonly transport: Transport;
  /** The default field manager. */
  readonly fieldManager: string;

  constructor(transport: Transport, options: { fieldManager?: string } = {}) {
    this.transport = transport;
    this.fieldManager = options.fieldManager ?? 'mercato-operator';
  }

  /** The object. `isNotFound` if there is none. */
  async get<T extends KubeObject>(of: Resource<T>, place: Place, options: CallOptions = {}): Promise<T> {
    return trimmed(await this.transport.request<T>({ method: 'GET', path: pathOf(of, place), ...call(options) }));
  }

  /** All objects that are selected, read page by page. */
  async list<T extends KubeObject>(of: Resource<T>, options: ListOptions = {}): Promise<Listed<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(of, options)) {
      for (const item of page.items) items.push(item);
      resourceVersion = page.resourceVersion;
    }
    return { items, resourceVersion };
  }

  /**
   * The pages of a list, all of one version. Rejects with `isGone` when the server forgot that version in between (about five minutes): what was
   * yielded is then worthless and the list must begin anew.
   */
  async *pages<T extends KubeObject>(of: Resource<T>, options: ListOptions = {}): AsyncGenerator<Listed<T>> {
    const path = pathOf(of, { ...(options.namespace ? { namespace: options.namespace } : {}) });
    const identity = { apiVersion: apiVersionOf(of), kind: of.kind };
    let next: string | undefined;
    do {
      const list: KubeList<T> = await this.transport.request<KubeList<T>>({
        method: 'GET',
        path,
        query: {
          ...selectionQuery(options),
          limit: options.pageSize ?? 500,
          continue: next,
          // With a continue token the version is in the token.
          resourceVersion: next === undefined ? options.resourceVersion : undefined,
        },
        ...call(options),
      });
      // Items of a list come without apiVersion and kind for built-in types.
      const items = list.items.map((item) => ({ ...identity, ...trimmed(item) }));
      yield { items, resourceVersion: list.metadata.resourceVersion ?? '' };
      next = list.metadata.continue || undefined;
    } while (next !== undefined);
  }

  /** Stores a new object. `isAlreadyExists` if there is one of that name. */
  async create<T extends KubeObject>(of: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const { namespace } = object.metadata;
    const path = pathOf(of, namespace === undefined ? {} : { namespace });
    return this.#write(of, 'POST', path, { apiVersion: apiVersionOf(of), kind: of.kind, ...object }, options);
  }

  /** Replaces an object as a whole. With a resourceVersion in it, `isConflict` if it changed since. */
  async update<T extends KubeObject>(of: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    return this.#write(
      of,
      'PUT',
      pathOf(of, placeOf(object)),
      { apiVersion: apiVersionOf(of), kind: of.kind, ...object },
      options,
    );
  }

  /** As `update`, for the status and nothing else. */
  async updateStatus<T extends KubeObject>(of: Resource<T>, object: T, options: WriteOptions = {}): Promise<T> {
    const path = pathOf(of, { ...placeOf(object), subresource: 'status' });
    return this.#write(of, 'PUT', path, { apiVersion: apiVersionOf(of), kind: of.kind, ...object }, options);
  }

  /** Merges `patch` into the object (RFC 7386: null removes, lists are replaced). Everything but the status. */
  async patch<T extends KubeObject>(
    of: Resource<T>,
    place: Place,
    patch: DeepPartial<T>,
    options: WriteOptions & Precondition = {},
  ): Promise<T> {
    return this.#mergePatch(of, pathOf(of, place), patch, options);
  }

  /** As `patch`, for the status and nothing else. */
  async patchStatus<T extends KubeObject>(
    of: Resource<T>,
    place: Place,
    patch: DeepPartial<T>,
    options: WriteOptions & Precondition = {},
  ): Promise<T> {
    return this.#mergePatch(of, pathOf(of, { ...place, subresource: 'status' }), patch, options);
  }

  /**
   * Server-side apply: makes the object have these fields, creates it if there is none, and removes fields that an earlier apply of the same
   * manager set and this one does not. Without `resourceVersion` there is no optimistic concurrency.
   */
  async apply<T extends KubeObject>(
    of: Resource<T>,
    place: Place,
    object: Apply<T>,
    options: ApplyOptions = {},
  ): Promise<T> {
    return this.#apply(of, pathOf(of, place), place, object, options);
  }

  /** As `apply`, for the status and nothing else; `isNotFound` if there is no object. */
  async applyStatus<T extends KubeObject>(
    of: Resource<T>,
    place: Place,
    object: Apply<T>,
    options: ApplyOptions = {},
  ): Promise<T> {
    return this.#apply(of, pathOf(of, { ...place, subresource: 'status' }), place, object, options);
  }

  /** Asks for an object's deletion. Returns the object if finalizers keep it, `undefined` if it is gone. `isNotFound` if there is none. */
  async delete<T extends KubeObject>(
    of: Resource<T>,
    place: Place,
    options: DeleteOptions = {},
  ): Promise<T | undefined> {
    const { uid, resourceVersion, propagationPolicy, gracePeriodSeconds } = options;
    const answer = await this.transport.request<T | Status>({
      method: 'DELETE',
      path: pathOf(of, place),
      body: {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(uid === undefined && resourceVersion === undefined ? {} : { preconditions: { uid, resourceVersion } }),
        propagationPolicy,
        gracePeriodSeconds,
      },
      ...call(options),
    });
    if (answer.kind === 'Status') return undefined;
    const object = trimmed(answer as T);
    // Some built-in types answer with the object even when nothing keeps it.
    return object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers?.length ?? 0) > 0
      ? object
      : undefined;
  }

  /** Asks for the deletion of all objects that are selected. */
  async deleteCollection<T extends KubeObject>(of: Resource<T>, options: Selection & CallOptions = {}): Promise<void> {
    await this.transport.request<unknown>({
      method: 'DELETE',
      path: pathOf(of, options.namespace ? { namespace: options.namespace } : {}),
      query: selectionQuery(options),
      ...call(options),
    });
  }

  /** A token of a service account for an audience: the TokenRequest API. The caller keeps it until shortly before it expires. */
  async createToken(
    account: NamespacedName,
    spec: TokenRequest['spec'],
    options: CallOptions = {},
  ): Promise<{ token: string; expirationTimestamp: string }> {
    const answer = await this.transport.request<TokenRequest>({
      method: 'POST',
      path: pathOf(serviceAccounts, { ...account, subresource: 'token' }),
      body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec },
      ...call(options),
    });
    if (answer.status === undefined)
      throw new Error(`the TokenRequest for ${account.namespace}/${account.name} was answered without a token`);
    return answer.status;
  }

  async #mergePatch<T extends KubeObject>(
    of: Resource<T>,
    path: string,
    patch: DeepPartial<T>,
    options: WriteOptions & Precondition,
  ): Promise<T> {
    const body = withPrecondition(patch as Record<string, unknown>, options);
    return this.#write(of, 'PATCH', path, body, options, 'application/merge-patch+json');
  }

  async #apply<T extends KubeObject>(
    of: Resource<T>,
    path: string,
    place: Place,
    object: Apply<T>,
    options: ApplyOptions,
  ): Promise<T> {
    const { name, namespace } = place;
    const metadata = { ...(object.metadata as object | undefined), name, ...(namespace ? { namespace } : {}) };
    const body = withPrecondition({ ...object, apiVersion: apiVersionOf(of), kind: of.kind, metadata }, options);
    // JSON is YAML, which is what this content type promises.
    return this.#write(of, 'PATCH', path, body, options, 'application/apply-patch+yaml', {
      force: options.force ?? true,
    });
  }

  async #write<T extends KubeObject>(
    _of: Resource<T>,
    method: ApiRequest['method'],
    path: string,
    body: object,
    options: WriteOptions,
    contentType = 'application/json',
    query: Query = {},
  ): Promise<T> {
    const answer = await this.transport.request<T>({
      method,
      path,
      query: {
        ...query,
        fieldManager: options.fieldManager ?? this.fieldManager,
        dryRun: options.dryRun ? 'All' : undefined,
      },
      body,
      contentType,
      ...call(options),
    });
    return trimmed(answer);
  }
}

/** Where an object is; `namespace` stays out (or empty) for what has none. */
export interface Place {
  readonly namespace?: string;
  readonly name: string;
}

/** The query parameters of a selection. */
export function selectionQuery(selection: Selection): Query {
  return { labelSelector: selection.labelSelector || undefined, fieldSelector: selection.fieldSelector || undefined };
}

/** Removes managedFields from an object that was just parsed. A new `metadata` keeps V8's compact shape, which `delete` would lose. */
export function trimmed<T extends KubeObject>(object: T): T {
  const metadata = object.metadata as T['metadata'] & { managedFields?: unknown };
  if (metadata?.managedFields === undefined) return object;
  const { managedFields: _, ...rest } = metadata;
  object.metadata = rest as T['metadata'];
  return object;
}

function placeOf(object: KubeObject): Place {
  const { name, namespace } = object.metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

function call({ timeoutMs, signal, urgent }: CallOptions): Pick<ApiRequest, 'timeoutMs' | 'signal' | 'urgent'> {
  return { timeoutMs, signal, urgent };
}

function withPrecondition(body: Record<string, unknown>, { resourceVersion }: Precondition): Record<string, unknown> {
  if (resourceVersion === undefined) return body;
  return { ...body, metadata: { ...(body['metadata'] as object | undefined), resourceVersion } };
}
