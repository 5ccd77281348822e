import { readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { kinds } from '@mercato/operator/api/index.ts';
import type { KubeClient } from '@mercato/operator/kube/client.ts';
import {
  apiVersionOf,
  customResourceDefinitions,
  pathOf,
  type Resource,
  resource,
} from '@mercato/operator/kube/resource.ts';
import type { KubeObject } from '@mercato/operator/kube/types.ts';
import { parseAllDocuments } from 'yaml';

/** The repository's root folder. */
export const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

const kubernetes = (group: string, kind: string, plural: string, namespaced = false) =>
  resource<KubeObject>({ group, version: 'v1', kind, plural, namespaced });

/** What the project's manifests hold. */
const RESOURCES: ReadonlyMap<string, Resource<KubeObject>> = new Map(
  [
    kubernetes('', 'Namespace', 'namespaces'),
    kubernetes('', 'ServiceAccount', 'serviceaccounts', true),
    kubernetes('apiextensions.k8s.io', 'CustomResourceDefinition', 'customresourcedefinitions'),
    kubernetes('rbac.authorization.k8s.io', 'ClusterRole', 'clusterroles'),
    kubernetes('rbac.authorization.k8s.io', 'ClusterRoleBinding', 'clusterrolebindings'),
    kubernetes('rbac.authorization.k8s.io', 'Role', 'roles', true),
    kubernetes('rbac.authorization.k8s.io', 'RoleBinding', 'rolebindings', true),
    kubernetes('admissionregistration.k8s.io', 'ValidatingAdmissionPolicy', 'validatingadmissionpolicies'),
    kubernetes('admissionregistration.k8s.io', 'ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings'),
    ...kinds.map(({ kind, plural }) =>
      resource<KubeObject>({ group: 'mercato.dev', version: 'v1alpha1', kind, plural, namespaced: true }),
    ),
  ].map((each) => [`${apiVersionOf(each)} ${each.kind}`, each]),
);

/** The resource of a kind that the project's manifests hold. @throws Error for any other */
export function resourceOf<T extends KubeObject>(apiVersion: string, kind: string): Resource<T> {
  const of = RESOURCES.get(`${apiVersion} ${kind}`);
  if (of === undefined)
    throw new Error(`${apiVersion} ${kind} is no kind of the project's manifests: add it to install.ts`);
  return of as Resource<T>;
}

/** A manifest's document. */
export interface Manifest extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec?: unknown;
}

/** The documents of a YAML file, or of every YAML file directly in a folder. @param path absolute, or relative to the repository */
export async function readManifests(path: string): Promise<Manifest[]> {
  const whole = resolve(ROOT, path);
  const files = path.endsWith('.yaml')
    ? [whole]
    : (await readdir(whole)).filter((name) => name.endsWith('.yaml')).map((name) => join(whole, name));
  const texts = await Promise.all(files.sort().map(async (file) => ({ file, text: await readFile(file, 'utf8') })));
  return texts.flatMap(({ file, text }) =>
    parseAllDocuments(text).map((document) => {
      if (document.errors[0] !== undefined) throw new Error(`${basename(file)}: ${document.errors[0].message}`);
      return document.toJS() as Manifest;
    }),
  );
}

/** Server-side apply of one manifest, as `kubectl apply --server-side --force-conflicts` does it. @throws ApiError */
export async function applyManifest(client: KubeClient, manifest: Manifest, namespace: string): Promise<void> {
  const of = RESOURCES.get(`${manifest.apiVersion} ${manifest.kind}`);
  if (of === undefined)
    throw new Error(`${manifest.kind} ${manifest.metadata.name}: not a kind that is installed here`);
  const place = {
    name: manifest.metadata.name,
    ...(of.namespaced ? { namespace: manifest.metadata.namespace ?? namespace } : {}),
  };
  await client.transport.request({
    method: 'PATCH',
    path: pathOf(of, place),
    query: { fieldManager: client.fieldManager, force: true },
    contentType: 'application/apply-patch+yaml',
    body: { ...manifest, metadata: { ...manifest.metadata, ...place } },
  });
}

/** Where the operator, its exception records and the demo's own account live. */
export const SYSTEM_NAMESPACE = 'mercato-system';
/** The account under which this program asks the services' administration. */
export const OBSERVER_ACCOUNT = 'mercato-demo';
/** The account under which shipping tells inventory what was picked up. */
export const SHIPPING_ACCOUNT = 'mercato-shipping';
/** The account under which the order service hands orders to the operator. */
export const ORDER_ACCOUNT = 'mercato-order';

/**
 * Installs crds/ and deploy/ and returns when the API server serves every kind. Repeating it changes nothing.
 * @throws ApiError, and Error naming the kind that is not served after a minute
 */
export async function install(client: KubeClient): Promise<void> {
  const [crds, deployed] = await Promise.all([readManifests('crds'), readManifests('deploy')]);
  const accounts = [OBSERVER_ACCOUNT, SHIPPING_ACCOUNT, ORDER_ACCOUNT].map((name) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name, namespace: SYSTEM_NAMESPACE },
  }));
  const namespaces = deployed.filter(({ kind }) => kind === 'Namespace');
  await applyAll(client, [...crds, ...namespaces]);
  await Promise.all([
    applyAll(client, [...deployed.filter(({ kind }) => kind !== 'Namespace'), ...accounts]),
    ...crds.map((crd) => untilServed(client, crd)),
  ]);
}

async function applyAll(client: KubeClient, manifests: readonly Manifest[]): Promise<void> {
  await Promise.all(manifests.map((manifest) => applyManifest(client, manifest, 'default')));
}

const SERVED_TIMEOUT_MS = 60_000;
const POLL_MS = 25;

/** A kind is served some time after it is Established: when its list answers. */
async function untilServed(client: KubeClient, crd: Manifest): Promise<void> {
  const { name } = crd.metadata;
  const { group, names } = crd.spec as { group: string; names: { kind: string; plural: string } };
  const deadline = performance.now() + SERVED_TIMEOUT_MS;
  for (;;) {
    const { status } = await client.get(customResourceDefinitions, { name });
    const isEstablished = status?.conditions?.some((each) => each.type === 'Established' && each.status === 'True');
    if (isEstablished && (await lists(client, group, names.plural))) return;
    if (performance.now() > deadline)
      throw new Error(`${names.kind} is not served after ${SERVED_TIMEOUT_MS / 1000} s`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

async function lists(client: KubeClient, group: string, plural: string): Promise<boolean> {
  const path = `/apis/${group}/v1alpha1/${plural}`;
  return client.transport.request({ method: 'GET', path, query: { limit: 1 } }).then(
    () => true,
    () => false,
  );
}
