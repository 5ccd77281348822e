import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { until } from '../objects.ts';

/** Where Argo CD runs. */
export const ARGOCD = 'argocd';

interface ApplicationObject extends KubeObject {
  readonly spec?: { readonly project?: string; readonly source?: { readonly targetRevision?: string } };
  readonly status?: {
    readonly sync?: {
      readonly status?: string;
      readonly comparedTo?: { readonly source?: { readonly targetRevision?: string } };
    };
    readonly health?: { readonly status?: string };
    readonly operationState?: { readonly phase?: string; readonly message?: string };
    readonly conditions?: readonly { readonly type: string; readonly message: string }[];
  };
}

/** Argo CD's Application. */
export const applications = resource<ApplicationObject>({
  group: 'argoproj.io',
  version: 'v1alpha1',
  kind: 'Application',
  plural: 'applications',
  namespaced: true,
});

const appProjects = resource<KubeObject>({ ...applications, kind: 'AppProject', plural: 'appprojects' });

/**
 * Deletes projects once no Application is theirs any more. Their finalizer is taken off here: Argo CD 3.2 writes an Application that it has just changed back
 * into its memory, even one that went in between, and then keeps the project of an Application that is no longer there until the controller is restarted.
 * @throws NotSoError
 */
export async function removeProjects(client: KubeClient, names: readonly string[]): Promise<void> {
  const theirs = async () =>
    (await client.list(applications, { namespace: ARGOCD })).items.filter(({ spec }) =>
      names.includes(spec?.project ?? ''),
    );
  await until(
    'no Application is left',
    180_000,
    async () => (await theirs()).length === 0,
    async () => (await theirs()).map(({ metadata }) => metadata.name).join(', '),
  );
  for (const name of names) {
    const place = { namespace: ARGOCD, name };
    try {
      await client.patch(appProjects, place, { metadata: { finalizers: null } });
      await client.delete(appProjects, place);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** An Application as Argo CD sees it at one moment. */
export interface Seen {
  readonly name: string;
  readonly wave: number;
  /** The commit that it is told to install. */
  readonly target: string;
  /** The commit that its state below speaks of. */
  readonly compared: string;
  readonly sync: string;
  readonly health: string;
  /** Of its newest sync. */
  readonly phase: string;
  readonly message: string;
}

function seen({ metadata, spec, status }: ApplicationObject): Seen {
  const { operationState, conditions = [] } = status ?? {};
  return {
    name: metadata.name,
    wave: Number(metadata.annotations?.['argocd.argoproj.io/sync-wave'] ?? 0),
    target: spec?.source?.targetRevision ?? '',
    compared: status?.sync?.comparedTo?.source?.targetRevision ?? '',
    sync: status?.sync?.status ?? '',
    health: status?.health?.status ?? '',
    phase: operationState?.phase ?? '',
    message: [operationState?.message, ...conditions.map(({ type, message }) => `${type}: ${message}`)].join('; '),
  };
}

/** Whether a commit is installed, and works. */
export function isDone({ target, compared, sync, health, phase }: Seen, commit: string): boolean {
  return target === commit && compared === commit && sync === 'Synced' && health === 'Healthy' && phase !== 'Running';
}

/** The Applications of an environment, and the order in which they took each commit. */
export class EnvironmentWatch {
  /** The environment's own Application. */
  readonly root: string;
  readonly #client: KubeClient;
  readonly #began = new Map<string, Map<string, readonly string[]>>();

  constructor(client: KubeClient, root: string) {
    this.#client = client;
    this.root = root;
  }

  /** The Application of a chart. */
  nameOf(chart: string): string {
    return `${this.root}-${chart}`;
  }

  /** All children by wave, as they are now. */
  async children(): Promise<readonly Seen[]> {
    const { items } = await this.#client.list(applications, { namespace: ARGOCD });
    const children = items
      .filter(({ metadata }) => metadata.name.startsWith(`${this.root}-`))
      .map(seen)
      .sort((a, b) => a.wave - b.wave || a.name.localeCompare(b.name));
    for (const { name, target } of children) this.#remember(name, target, children);
    return children;
  }

  #remember(name: string, commit: string, children: readonly Seen[]): void {
    const began = this.#began.get(commit) ?? new Map<string, readonly string[]>();
    this.#began.set(commit, began);
    if (began.has(name)) return;
    const done = children.filter((child) => isDone(child, commit)).map((child) => child.name);
    began.set(name, done);
  }

  /** Which children had installed a commit, and worked, when a child was first seen to be told to. Undefined: it never was. */
  doneBefore(name: string, commit: string): readonly string[] | undefined {
    return this.#began.get(commit)?.get(name);
  }

  /** The environment's own Application as it is now. */
  async self(): Promise<Seen | undefined> {
    try {
      return seen(await this.#client.get(applications, { namespace: ARGOCD, name: this.root }));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  /** Has Argo CD look into Git now, as a webhook would. */
  async refresh(): Promise<void> {
    const annotations = { 'argocd.argoproj.io/refresh': 'normal' };
    await this.#client.patch(applications, { namespace: ARGOCD, name: this.root }, { metadata: { annotations } });
  }
}
