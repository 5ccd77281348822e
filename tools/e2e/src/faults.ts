import { randomStream } from '@mercato/demo/play/random.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { isNotFound } from '@mercato/operator/kube/errors.ts';
import { type Resource, resource } from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { type Pod, pods } from './kube.ts';
import { until } from './objects.ts';

interface Workload extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly template: { readonly metadata?: { annotations?: Record<string, string> } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly updatedReplicas?: number;
    readonly readyReplicas?: number;
    readonly replicas?: number;
  };
}

const workload = (kind: string, plural: string): Resource<Workload> =>
  resource<Workload>({ group: 'apps', version: 'v1', kind, plural, namespaced: true });
const WORKLOADS = [workload('Deployment', 'deployments'), workload('StatefulSet', 'statefulsets')];

/** What kubectl sets for `rollout restart`. */
const RESTARTED = 'kubectl.kubernetes.io/restartedAt';

/** Rolls all that an installation runs. */
export class Rollouts {
  readonly #client: KubeClient;
  readonly #namespaces: readonly string[];

  constructor(client: KubeClient, namespaces: readonly string[]) {
    this.#client = client;
    this.#namespaces = namespaces;
  }

  /** As `kubectl rollout restart` of every Deployment and StatefulSet. */
  async restartAll(): Promise<void> {
    const annotations = { [RESTARTED]: new Date().toISOString() };
    for (const { of, object } of await this.#all()) {
      const { namespace = '', name } = object.metadata;
      await this.#client.patch(of, { namespace, name }, { spec: { template: { metadata: { annotations } } } });
    }
  }

  /** Waits until each has only pods of its newest template, all of them ready. @throws NotSoError with those that have not */
  async areComplete(timeoutMs = 300_000): Promise<void> {
    const open = async () => (await this.#all()).filter(({ object }) => !isComplete(object));
    await until(
      'all rollouts are complete',
      timeoutMs,
      async () => (await open()).length === 0,
      async () =>
        (await open()).map(({ object }) => `${object.metadata.name} ${JSON.stringify(object.status)}`).join(', '),
    );
  }

  async #all(): Promise<{ of: Resource<Workload>; object: Workload }[]> {
    const lists = await Promise.all(
      this.#namespaces.flatMap((namespace) =>
        WORKLOADS.map(async (of) =>
          (await this.#client.list(of, { namespace })).items.map((object) => ({ of, object })),
        ),
      ),
    );
    return lists.flat();
  }
}

function isComplete({ metadata, spec, status }: Workload): boolean {
  const wanted = spec.replicas ?? 1;
  const { observedGeneration = 0, updatedReplicas = 0, readyReplicas = 0, replicas = 0 } = status ?? {};
  return (
    observedGeneration >= (metadata.generation ?? 0) &&
    updatedReplicas === wanted &&
    readyReplicas === wanted &&
    replicas === wanted
  );
}

/** Between two kills, in milliseconds: most pods are back when the next one goes, some are not. */
const PAUSE_MS = [1_500, 6_000] as const;

/** How long a pod to kill is waited for: all may be on their way back. */
const RUNS_MS = 120_000;

/** Ends pods at random, without the time that they ask for. */
export class Killer {
  /** Names of what was killed, in order. */
  readonly victims: string[] = [];
  readonly #client: KubeClient;
  readonly #namespaces: readonly string[];
  readonly #random: () => number;

  /** @param seed from which victims and pauses follow */
  constructor(client: KubeClient, namespaces: readonly string[], seed: string) {
    this.#client = client;
    this.#namespaces = namespaces;
    this.#random = randomStream(seed);
  }

  /**
   * Kills for so long, and on until there are enough victims: where pods come back late there are fewer to choose from.
   *
   * @param first names of programs, a pod of each of which is killed first; whom else it meets is chance
   */
  async killFor(ms: number, first: readonly string[], victims: number): Promise<void> {
    const end = performance.now() + ms;
    const [least, most] = PAUSE_MS;
    const certain = first.values();
    while (performance.now() < end || this.victims.length < victims) {
      await this.kill(certain.next().value);
      await new Promise((resolve) => setTimeout(resolve, least + this.#random() * (most - least)));
    }
  }

  /** Kills one pod that runs, once there is one. @param program its name. @default chance @throws NotSoError when none runs in time */
  async kill(program?: string): Promise<void> {
    let victim: Pod | undefined;
    await until(`a pod runs of ${program ?? 'any program'}`, RUNS_MS, async () => {
      const alive = await this.#alive(program);
      victim = alive[Math.floor(this.#random() * alive.length)];
      return victim !== undefined;
    });
    if (victim === undefined) return;
    const { namespace = '', name } = victim.metadata;
    this.victims.push(name);
    // Not 0: the API server would forget the pod while it still runs, and a second one would open its files.
    await this.#client.delete(pods, { namespace, name }, { gracePeriodSeconds: 1 }).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  }

  async #alive(program?: string): Promise<Pod[]> {
    const lists = await Promise.all(this.#namespaces.map((namespace) => this.#client.list(pods, { namespace })));
    return lists
      .flatMap(({ items }) => items)
      .filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && status?.phase === 'Running')
      .filter(({ metadata }) => program === undefined || metadata.labels?.['app.kubernetes.io/name'] === program)
      .sort((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  }
}
