import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ControlPlane } from '@mercato/controlplane';
import type { ApiResponse } from '@mercato/controlplane/request.ts';
import { uniqueNamespace } from '@mercato/controlplane/testing.ts';
import { until } from '@mercato/operator/api/testing.ts';
import type { KubernetesObject } from '../backends/render.ts';
import type { Zone } from '../model/types.ts';

/** CustomResourceDefinitions of other projects. They are not part of this repository. */
export const SCHEMAS = process.env['MERCATO_SCHEMAS'] ?? join(import.meta.dirname, '../../../../shared/schemas/crds');

/** The files of definitions whose names begin so; none when the folder is not there. */
export function schemaFiles(...prefixes: readonly string[]): string[] {
  if (!existsSync(SCHEMAS)) return [];
  return readdirSync(SCHEMAS)
    .filter((file) => prefixes.some((prefix) => file.startsWith(prefix)))
    .map((file) => join(SCHEMAS, file));
}

const ZONES: readonly Zone[] = ['system', 'shop', 'card', 'boundary', 'simulators'];

/** A real API server that takes the objects of charts, in namespaces that are this test's own and enforce Pod Security "restricted". */
export class ApiServer {
  readonly namespaces: Readonly<Record<Zone, string>>;
  readonly #plane: ControlPlane;
  readonly #paths = new Map<string, Promise<string>>();

  private constructor(plane: ControlPlane, namespaces: Readonly<Record<Zone, string>>) {
    this.#plane = plane;
    this.namespaces = namespaces;
  }

  static async prepare(plane: ControlPlane): Promise<ApiServer> {
    const names = await Promise.all(ZONES.map(async (zone) => [zone, await restricted(plane, zone)] as const));
    return new ApiServer(plane, Object.fromEntries(names) as Record<Zone, string>);
  }

  /** Takes definitions of kinds, and returns when they are served. */
  async define(files: readonly string[]): Promise<void> {
    if (files.length === 0) return;
    const list = files.map((file) => `--filename=${file}`);
    await this.#plane.kubectl(['apply', '--server-side', '--force-conflicts', ...list]);
    await this.#plane.kubectl(['wait', '--for=condition=Established', '--timeout=60s', ...list]);
  }

  /** Creates an object; a field that its kind has not is refused. @param options.dryRun asks only whether it would. @default true */
  async create(object: KubernetesObject, { dryRun = true } = {}): Promise<ApiResponse> {
    const path = await this.#pathOf(object);
    const query = `fieldValidation=Strict${dryRun ? '&dryRun=All' : ''}`;
    return this.#plane.request(`${path}?${query}`, { method: 'POST', body: object });
  }

  async #pathOf({ apiVersion, kind, metadata }: KubernetesObject): Promise<string> {
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const key = `${root} ${kind}`;
    const plural = this.#paths.get(key) ?? this.#pluralOf(root, kind);
    this.#paths.set(key, plural);
    return `${root}/namespaces/${metadata.namespace}/${await plural}`;
  }

  /** A kind is served a moment after its definition was taken. */
  async #pluralOf(root: string, kind: string): Promise<string> {
    let plural: string | undefined;
    await until(`${kind} is served at ${root}`, async () => {
      const { body } = await this.#plane.request(root);
      const { resources = [] } = body as { resources?: { name: string; kind: string }[] };
      plural = resources.find((each) => each.kind === kind && !each.name.includes('/'))?.name;
      return plural !== undefined;
    });
    return plural as string;
  }
}

async function restricted(plane: ControlPlane, zone: Zone): Promise<string> {
  const name = await uniqueNamespace(plane, zone);
  await plane.kubectl(['label', 'namespace', name, 'pod-security.kubernetes.io/enforce=restricted']);
  // Where a controller manager runs, it makes the account too.
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  const { status } = await plane.request(`/api/v1/namespaces/${name}/serviceaccounts`, {
    method: 'POST',
    body: account,
  });
  if (status !== 201 && status !== 409) throw new Error(`no default account in ${name}: ${status}`);
  return name;
}
