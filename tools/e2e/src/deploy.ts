import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { buildImages, LOCAL_REGISTRY, type Result, referenceOf } from '@mercato/images/build.ts';
import { IMAGES } from '@mercato/images/list.ts';
import { checkTag, defaultTag } from '@mercato/images/tag.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import { customResourceDefinitions, namespaces } from '@mercato/operator/kube/resource.ts';
import { CARD_NODE, type Capabilities, capabilitiesOf, takesPods } from './capabilities.ts';
import { type Cluster, ROOT } from './cluster.ts';
import { Helm } from './helm.ts';
import { nodes, podSecurity } from './kube.ts';
import { Objects } from './objects.ts';
import { StaticVolumes } from './storage.ts';

/** The namespace of the operator and of both releases. */
export const SYSTEM_NAMESPACE = 'mercato-system';
/** Of every kind of ours. */
const GROUP = 'mercato.dev';
/** The other namespaces of an installation, which the charts make. */
export const NAMESPACES = ['mercato-shop', 'mercato-card', 'mercato-boundary', 'mercato-simulators'] as const;

/** On a namespace whose pods may run on every node, card nodes too (docs/concepts/pci-boundary.md). */
const NODE_AGENTS = 'mercato.dev/node-agents';
/** Where kind has its provisioner of volumes. */
const STORAGE_AGENTS = 'local-path-storage';

/** Where an installation's images come from. */
export interface Images {
  readonly registry: string;
  readonly tag: string;
}

/** How the charts are installed. */
export interface DeployOptions {
  readonly cluster: Cluster;
  readonly client: KubeClient;
  readonly images: Images;
  /** A folder of environments/. @default kind */
  readonly environment?: string;
  /** Values over the environment's. @default none */
  readonly values?: Readonly<Record<string, unknown>>;
  readonly say: (line: string) => void;
}

/** Something that an installation needs is not there; the message says what to do. */
export class DeployError extends Error {
  override readonly name = 'DeployError';
}

/**
 * Images for a cluster: built and brought to its nodes where it is one of this machine, else those of a registry.
 *
 * @param wanted only these. @default all
 * @throws DeployError when the cluster takes images from a registry only, and none is said
 */
export async function imagesFor(
  cluster: Cluster,
  wish: { readonly tag?: string | undefined; readonly registry?: string | undefined },
  say: (line: string) => void,
  wanted = IMAGES,
): Promise<Images> {
  const { builder } = cluster;
  if (wish.registry !== undefined) {
    if (wish.tag === undefined) throw new DeployError('REGISTRY without TAG: say which version, as TAG=0.1.0');
    return { registry: wish.registry, tag: checkTag(wish.tag) };
  }
  if (builder === undefined)
    throw new DeployError(
      `${cluster.name} takes images from a registry only: make images PUSH=1 REGISTRY=... TAG=..., then make deploy with the same`,
    );
  const tag = wish.tag === undefined ? await defaultTag(ROOT, builder.baseImage) : checkTag(wish.tag);
  say(`images, version ${tag}`);
  const built: Result[] = await buildImages({ root: ROOT, builder, tag, images: wanted, say });
  await cluster.load(built.map(({ reference }) => reference));
  return { registry: LOCAL_REGISTRY, tag };
}

/** The image of a name, as an installation calls it. */
export function imageIn({ registry, tag }: Images, name: (typeof IMAGES)[number]['name']): string {
  return referenceOf({ name }, tag, registry);
}

/**
 * Installs Mercato, or upgrades it, and returns when all of it is ready: namespace, kinds, then the rest. Repeating it changes nothing.
 *
 * @throws DeployError, CommandError with Helm's words, NotSoError
 */
export async function deploy(options: DeployOptions): Promise<void> {
  const { cluster, client, images, say } = options;
  const objects = new Objects(client);
  const able = await capabilitiesOf(client, objects);
  await prepareNodes(cluster, client, able, say);
  await admitStorageAgents(client, say);
  await objects.apply({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: SYSTEM_NAMESPACE, labels: podSecurity('restricted') },
  });
  const helm = await Helm.for(cluster, say);
  await release(options, helm, 'mercato-crds', {});
  await withVolumes(options, able, () => release(options, helm, 'mercato', valuesFor(able, images, options.values)));
}

async function release(
  { environment = 'kind', say }: DeployOptions,
  helm: Helm,
  name: string,
  values: Readonly<Record<string, unknown>>,
): Promise<void> {
  const chart = join(ROOT, 'charts', name);
  if (!existsSync(chart)) throw new DeployError(`charts/${name} is not there: make generate`);
  const file = join(ROOT, 'environments', environment, `${name}.yaml`);
  const began = performance.now();
  say(`installing ${name} into ${SYSTEM_NAMESPACE}`);
  await helm.gather(chart);
  await helm.upgrade(name, chart, { namespace: SYSTEM_NAMESPACE, files: existsSync(file) ? [file] : [], values });
  say(`  ${name} is installed (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

/** Values that follow from the cluster and the images. Pure. */
export function valuesFor(
  able: Pick<Capabilities, 'zonesComplete' | 'tokenIssuer'>,
  { registry, tag }: Images,
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  const global = {
    image: { registry, tag },
    // Where nodes have no zone, what is spread over zones finds no place.
    cluster: { tokenIssuer: able.tokenIssuer, zones: able.zonesComplete },
  };
  return merge({ global }, more);
}

/** Two trees of values, the second one's leaves over the first one's; lists are leaves. Pure. */
export function merge(
  under: Readonly<Record<string, unknown>>,
  over: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...under };
  for (const [name, value] of Object.entries(over)) {
    const below = merged[name];
    merged[name] = isTree(value) && isTree(below) ? merge(below, value) : value;
  }
  return merged;
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Services that touch card data run on nodes labelled so. A cluster of one node that is ours has that one do all. @throws DeployError */
export async function prepareNodes(
  { provider, name }: Cluster,
  client: KubeClient,
  { cardNodes }: Capabilities,
  say: (line: string) => void,
): Promise<void> {
  if (cardNodes > 0) return;
  const command = `kubectl label node NAME ${CARD_NODE}=true`;
  if (provider !== 'tool') throw new DeployError(`no node of ${name} is for card data: ${command}`);
  const node = (await client.list(nodes)).items.find(takesPods);
  if (node === undefined) throw new DeployError(`no node of ${name} takes pods: kubectl get nodes`);
  const { name: chosen } = node.metadata;
  say(`the only node, ${chosen}, is for card data, too`);
  await client.patch(nodes, { name: chosen }, { metadata: { labels: { [CARD_NODE]: 'true' } } });
}

/**
 * kind's provisioner makes a claim's directory by a pod that names the claim's node and tolerates everything, which the admission policies of the PCI
 * boundary let node agents do alone. Without the label no claim of a card service would ever be bound there.
 */
export async function admitStorageAgents(client: KubeClient, say: (line: string) => void): Promise<void> {
  const there = (await client.list(namespaces)).items.find(({ metadata }) => metadata.name === STORAGE_AGENTS);
  if (there === undefined || there.metadata.labels?.[NODE_AGENTS] === 'true') return;
  say(`${STORAGE_AGENTS} makes volumes on every node: labelled ${NODE_AGENTS}=true`);
  await client.patch(namespaces, { name: STORAGE_AGENTS }, { metadata: { labels: { [NODE_AGENTS]: 'true' } } });
}

/** Does work that makes claims, which wait for volumes that nobody would make in a cluster without a default StorageClass. */
export async function withVolumes(
  { client, images, say }: DeployOptions,
  { defaultStorageClass }: Capabilities,
  work: () => Promise<void>,
): Promise<void> {
  if (defaultStorageClass !== undefined) return work();
  say('no default StorageClass: directories of the nodes are the volumes');
  const stop = new AbortController();
  const volumes = new StaticVolumes(client, imageIn(images, 'tools'));
  const providing = volumes.provideWhile([SYSTEM_NAMESPACE, ...NAMESPACES], stop.signal);
  try {
    // Whichever fails first: an installation whose volumes cannot be made would only time out.
    await Promise.race([work(), providing]);
  } finally {
    stop.abort();
    await providing.catch(() => {});
  }
}

/**
 * Removes what `deploy` installed, data included. The chart's own hook brings runs to an end first, and aborts those that are held, with exception
 * records: nobody will decide them any more. Then the releases go, the kinds (which Helm keeps), the namespaces, the volumes. Waits until nothing is
 * left.
 *
 * @throws CommandError, NotSoError naming what is stuck
 */
export async function undeploy(options: Pick<DeployOptions, 'cluster' | 'client' | 'images' | 'say'>): Promise<void> {
  const { cluster, client, images, say } = options;
  const objects = new Objects(client);
  const helm = await Helm.for(cluster, say);
  const kinds = (await client.list(customResourceDefinitions)).items.filter(({ spec }) => spec.group === GROUP);
  await helm.change('mercato', join(ROOT, 'charts/mercato'), SYSTEM_NAMESPACE, {
    'mercato-operator': { drain: { force: true } },
  });
  say('uninstalling mercato');
  await helm.uninstall('mercato', SYSTEM_NAMESPACE);
  await helm.uninstall('mercato-crds', SYSTEM_NAMESPACE);
  const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition' };
  await objects.removeAll(kinds.map(({ metadata: { name } }) => ({ ...definition, metadata: { name } })));
  const named = [SYSTEM_NAMESPACE, ...NAMESPACES].map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name },
  }));
  say('removing namespaces, with what is in them');
  await objects.removeAll(named, 300_000);
  await new StaticVolumes(client, imageIn(images, 'tools')).remove();
}
