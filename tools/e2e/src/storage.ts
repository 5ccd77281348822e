import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { namespaces as places } from '@mercato/operator/kube/resource.ts';
import { CARD_NODE, takesPods } from './capabilities.ts';
import { isOver, untilPod } from './enforcement.ts';
import { claims, type Node, nodes, type PersistentVolumeClaim, podSecurity, volumes } from './kube.ts';
import { type Manifest, Objects, until } from './objects.ts';

/** Where the volumes are on a node. */
const FOLDER = '/var/lib/mercato-volumes';
const LABEL = 'mercato.dev/static-volume';

/**
 * Volumes for a cluster that has no default StorageClass: directories of a node, as `local` volumes, which obey fsGroup (hostPath volumes do not, and
 * belong to root). One for each claim that waits, bound to it by name.
 */
export class StaticVolumes {
  readonly #client: KubeClient;
  readonly #objects: Objects;
  /** Has Node in it, and is on the nodes or can be pulled. */
  readonly #image: string;
  readonly #name: string;

  /** @param name of the only namespace whose pods may touch a node's files, there as long as its volumes are; whoever uses another is left alone */
  constructor(client: KubeClient, image: string, name = 'mercato-volumes') {
    this.#name = name;
    this.#client = client;
    this.#objects = new Objects(client);
    this.#image = image;
  }

  /** Makes volumes for the claims of these namespaces that wait for one. Answers how many. Repeating it makes no second ones. */
  async provide(namespaces: readonly string[]): Promise<number> {
    const waiting = (await Promise.all(namespaces.map((namespace) => this.#client.list(claims, { namespace }))))
      .flatMap(({ items }) => items)
      .filter(waits);
    if (waiting.length === 0) return 0;
    const all = (await this.#client.list(nodes)).items;
    const labelSelector = `${CARD_NODE}=true`;
    const card = new Set(
      (await this.#client.list(places, { labelSelector })).items.map(({ metadata }) => metadata.name),
    );
    for (const claim of waiting) {
      const node = nodeFor(all, card.has(claim.metadata.namespace ?? ''));
      if (node === undefined) throw new Error('no node takes pods: kubectl get nodes');
      await this.#onNode(node.metadata.name, `make-${nameOf(claim)}`, directoryOf(claim), 'process.exit(0)');
      await this.#objects.apply(volumeFor(claim, node, this.#name));
    }
    return waiting.length;
  }

  /** Provides until `signal` aborts: for as long as something else creates claims. */
  async provideWhile(namespaces: readonly string[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.provide(namespaces);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Removes the volumes whose claims are gone, with what is in them, and waits until they are gone, too. Those in use stay. */
  async remove(): Promise<void> {
    const own = (await this.#client.list(volumes, { labelSelector: `${LABEL}=${this.#name}` })).items;
    // By the claims themselves: a volume's own phase follows later.
    const there = new Set((await this.#client.list(claims)).items.map(({ metadata }) => metadata.uid));
    const free = own.filter(({ spec }) => !there.has(spec.claimRef?.uid));
    for (const { metadata } of free) {
      const volume = { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: metadata.name } };
      const [node, path] = [metadata.annotations?.[NODE_NOTE], metadata.annotations?.[PATH_NOTE]];
      if (node !== undefined && path !== undefined) await this.#onNode(node, `clear-${metadata.name}`, path, CLEAR);
      await this.#objects.removeAll([volume]);
    }
    if (free.length === own.length) await this.#objects.removeAll([namespaceOf(this.#name)]);
  }

  /** Runs a few lines on a node, with a directory of it at /volume, which is made if it is not there. */
  async #onNode(node: string, name: string, path: string, script: string): Promise<void> {
    await this.#objects.apply(namespaceOf(this.#name));
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace: this.#name } };
    // Admission refuses pods until the account is there, which a controller makes.
    await until('the namespace has its service account', 120_000, async () => {
      return (await this.#objects.find(account)) !== undefined;
    });
    const pod = directoryPod({ name: name.slice(0, 63), namespace: this.#name }, node, path, this.#image, script);
    await this.#objects.removeAll([pod]);
    await this.#objects.apply(pod);
    const ended = await untilPod(this.#client, this.#name, name, ({ status }) => isOver(status?.phase));
    if (ended.status?.phase !== 'Succeeded') throw new Error(`${path} on ${node} could not be prepared: see ${name}`);
    await this.#objects.remove(pod);
  }
}

const POLL_MS = 500;
/** The scheduler compares a volume's nodes by labels only. */
const HOSTNAME = 'kubernetes.io/hostname';
const NODE_NOTE = 'mercato.dev/node';
const PATH_NOTE = 'mercato.dev/path';
const CLEAR = `const { readdirSync, rmSync } = require('node:fs');
for (const name of readdirSync('/volume')) rmSync('/volume/' + name, { recursive: true, force: true });`;

/** Waits for a volume, and no provisioner will make one. Pure. */
export function waits({ metadata, spec, status }: PersistentVolumeClaim): boolean {
  return (
    metadata.deletionTimestamp === undefined &&
    status?.phase !== 'Bound' &&
    !spec.volumeName &&
    (spec.storageClassName ?? '') === ''
  );
}

/** The node for a claim: one for card data where the claim's namespace is for it, else the first that takes pods of all kinds. Pure. */
export function nodeFor(all: readonly Node[], forCardData: boolean): Node | undefined {
  const usable = all.filter(takesPods).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  const isTainted = ({ spec }: Node) => (spec.taints ?? []).some(({ key }) => key === CARD_NODE);
  const isFor = (node: Node) => (forCardData ? node.metadata.labels?.[CARD_NODE] === 'true' : !isTainted(node));
  return usable.find(isFor) ?? usable[0];
}

const nameOf = ({ metadata }: PersistentVolumeClaim) => `${metadata.namespace}-${metadata.name}`;
/** By uid: a claim of the same name that comes later finds an empty directory. */
const directoryOf = ({ metadata }: PersistentVolumeClaim) => `${FOLDER}/${metadata.uid}`;

/** The volume for a claim, as large as it asks: a directory has no size of its own. Pure. */
export function volumeFor(claim: PersistentVolumeClaim, { metadata: node }: Node, owner: string): Manifest {
  const { metadata, spec } = claim;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: {
      name: `${nameOf(claim)}-${metadata.uid?.slice(0, 8)}`,
      labels: { [LABEL]: owner, 'app.kubernetes.io/part-of': 'mercato' },
      annotations: { [NODE_NOTE]: node.name, [PATH_NOTE]: directoryOf(claim) },
    },
    spec: {
      capacity: { storage: spec.resources?.requests?.storage ?? '1Gi' },
      accessModes: spec.accessModes ?? ['ReadWriteOnce'],
      volumeMode: spec.volumeMode ?? 'Filesystem',
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName: '',
      claimRef: {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
      },
      local: { path: directoryOf(claim) },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: HOSTNAME, operator: 'In', values: [node.labels?.[HOSTNAME] ?? node.name] }] },
          ],
        },
      },
    },
  };
}

function namespaceOf(name: string): Manifest {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: podSecurity('privileged') } };
}

/** A pod on a node, as root, with one of its directories. Pure. */
function directoryPod(
  metadata: Manifest['metadata'],
  node: string,
  path: string,
  image: string,
  script: string,
): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata,
    spec: {
      nodeName: node,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      tolerations: [{ operator: 'Exists' }],
      containers: [
        {
          name: 'node',
          image,
          args: ['--eval', script],
          securityContext: { runAsUser: 0 },
          volumeMounts: [{ name: 'volume', mountPath: '/volume' }],
        },
      ],
      volumes: [{ name: 'volume', hostPath: { path, type: 'DirectoryOrCreate' } }],
    },
  };
}
