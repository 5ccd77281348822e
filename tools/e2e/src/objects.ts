import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { pathOf, type Resource, resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';

/** An object as a manifest has it: of any kind that the cluster serves. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

/** Something did not become so in time. */
export class NotSoError extends Error {
  override readonly name = 'NotSoError';
}

interface Discovered {
  readonly resources: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

/** Objects of any kind, found by asking the cluster what it serves. */
export class Objects {
  readonly #client: KubeClient;
  readonly #served = new Map<string, Promise<Discovered>>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** Server-side apply; fields of other managers that it names become its own. @throws ApiError; Error for a kind that is not served */
  async apply(manifest: Manifest): Promise<void> {
    const of = await this.resourceOf(manifest);
    await this.#client.transport.request({
      method: 'PATCH',
      path: pathOf(of, placeOf(manifest)),
      query: { fieldManager: this.#client.fieldManager, force: true },
      contentType: 'application/apply-patch+yaml',
      body: manifest,
    });
  }

  /** Applies one after the other: what others refer to comes first. */
  async applyAll(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) await this.apply(manifest);
  }

  /** Deletes an object, if it is there, and with it what it owns. */
  async remove(manifest: Pick<Manifest, 'apiVersion' | 'kind' | 'metadata'>): Promise<void> {
    const of = await this.resourceOf(manifest);
    await this.#client.delete(of, placeOf(manifest), { propagationPolicy: 'Background' }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  /** Deletes objects and waits until they are gone, finalizers included. @throws NotSoError */
  async removeAll(manifests: readonly Pick<Manifest, 'apiVersion' | 'kind' | 'metadata'>[], timeoutMs = 120_000) {
    for (const manifest of manifests) await this.remove(manifest);
    for (const manifest of manifests) {
      const { kind, metadata } = manifest;
      await until(`${kind} ${metadata.name} is gone`, timeoutMs, async () => (await this.find(manifest)) === undefined);
    }
  }

  /** The object, or undefined if there is none. */
  async find<T extends KubeObject>(
    manifest: Pick<Manifest, 'apiVersion' | 'kind' | 'metadata'>,
  ): Promise<T | undefined> {
    const of = (await this.resourceOf(manifest)) as Resource<T>;
    try {
      return await this.#client.get(of, placeOf(manifest));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** The resource of a kind. @throws Error when the cluster does not serve it */
  async resourceOf({ apiVersion, kind }: Pick<Manifest, 'apiVersion' | 'kind'>): Promise<Resource<KubeObject>> {
    const { resources } = await this.#discover(apiVersion);
    const found = resources.find((each) => each.kind === kind && !each.name.includes('/'));
    if (found === undefined) throw new Error(`the cluster serves no ${kind} of ${apiVersion}`);
    const [group = '', version = apiVersion] = apiVersion.includes('/') ? apiVersion.split('/') : ['', apiVersion];
    return resource<KubeObject>({ group, version, kind, plural: found.name, namespaced: found.namespaced });
  }

  /** Whether the cluster serves a kind. */
  async serves(apiVersion: string, kind: string): Promise<boolean> {
    return this.#discover(apiVersion).then(
      ({ resources }) => resources.some((each) => each.kind === kind),
      (error: unknown) => {
        if (isNotFound(error)) return false;
        throw error;
      },
    );
  }

  #discover(apiVersion: string): Promise<Discovered> {
    const known = this.#served.get(apiVersion);
    if (known !== undefined) return known;
    const path = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const asked = this.#client.transport.request<Discovered>({ method: 'GET', path });
    this.#served.set(apiVersion, asked);
    // A group may be served a moment later: its definition was just applied.
    asked.catch(() => this.#served.delete(apiVersion));
    return asked;
  }
}

function placeOf({ metadata }: Pick<Manifest, 'metadata'>): { name: string; namespace?: string } {
  const { name, namespace } = metadata;
  return namespace === undefined ? { name } : { name, namespace };
}

const POLL_MS = 200;

/** Waits until something is so. @throws NotSoError after `timeoutMs`, with what `why` then says */
export async function until(
  what: string,
  timeoutMs: number,
  isSo: () => Promise<boolean> | boolean,
  why: () => Promise<string> | string = () => '',
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) {
      const reason = await why();
      throw new NotSoError(`not so after ${timeoutMs / 1000} s: ${what}${reason === '' ? '' : `: ${reason}`}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
