import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ensureTool } from '@mercato/controlplane/tools.ts';
import { parse } from 'yaml';
import type { Inequality } from '../backends/equality.ts';
import type { KubernetesObject } from '../backends/render.ts';

const run = promisify(execFile);

/** Helm, as its users run it. */
export class Helm {
  readonly #program: string;

  constructor(program: string) {
    this.#program = program;
  }

  /** The pinned release, from this machine's cache or built. */
  static async find(): Promise<Helm> {
    return new Helm(await ensureTool('helm', {}));
  }

  /**
   * What `helm template` gives, without hooks.
   * @param values files or inline JSON, in the order in which they are laid over each other
   * @throws what Helm says when it refuses the values or the chart
   */
  async template(chart: string, ...values: readonly string[]): Promise<KubernetesObject[]> {
    const { stdout } = await this.command(
      'template',
      'release',
      chart,
      '--no-hooks',
      ...values.flatMap((file) => ['-f', file]),
    );
    return objectsIn(stdout);
  }

  /**
   * As `template` with each of the values, hooks included, in one run: most of what a run takes is its start. A chart that brings this one along many times, each
   * time under another name with values of its own, has the same templates and the same way to the values (globals too: it has none itself).
   * @param chart one without dependencies
   * @param more flags, as `--no-hooks`
   * @returns what each gave, in their order
   */
  async templateMany(
    chart: string,
    values: readonly object[],
    ...more: readonly string[]
  ): Promise<KubernetesObject[][]> {
    const { name, version } = parse(await readFile(join(chart, 'Chart.yaml'), 'utf8')) as Record<string, string>;
    const dependencies = values.map((_, i) => ({ name, version, alias: `v${i}` }));
    const parent = await mkdtemp(join(tmpdir(), 'mercato-many-'));
    try {
      await mkdir(join(parent, 'charts'));
      await symlink(chart, join(parent, 'charts', name as string));
      const byAlias = Object.fromEntries(values.map((each, i) => [`v${i}`, each]));
      await writeFile(join(parent, 'values.json'), JSON.stringify(byAlias));
      await writeFile(
        join(parent, 'Chart.yaml'),
        JSON.stringify({ apiVersion: 'v2', name: 'many', version: '0.0.1', dependencies }),
      );
      const { stdout } = await this.command('template', 'release', parent, '-f', join(parent, 'values.json'), ...more);
      const texts = Map.groupBy(stdout.split(/^---.*$/m), (text) => SOURCE.exec(text)?.[1]);
      return values.map((_, i) =>
        objectsIn((texts.get(`v${i}`) ?? []).map((text) => text.replace(SOURCE, '')).join('---\n')),
      );
    } finally {
      await rm(parent, { recursive: true });
    }
  }

  async command(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return run(this.#program, [...args], { maxBuffer: 256 * 1024 * 1024 });
  }
}

/** Where Helm says that a document comes from, of a chart of {@link Helm.templateMany}. */
const SOURCE = /^# Source: many\/charts\/(v[0-9]+)\/.*$/m;

/** Documents that were read before: most objects of a chart are the same whatever its values are. */
const READ = new Map<string, KubernetesObject | null>();

/** The objects of a stream of YAML documents, read as Kubernetes' tools read it. They are shared: not to be changed. */
export function objectsIn(yaml: string): KubernetesObject[] {
  return yaml
    .split(/^---.*$/m)
    .map((text) => {
      const known = READ.get(text);
      if (known !== undefined) return known;
      const object = (parse(text, { version: '1.1', maxAliasCount: 0 }) ?? null) as KubernetesObject | null;
      READ.set(text, object);
      return object;
    })
    .filter((object) => object !== null);
}

/** Writes files below a folder, by their path in it. */
export async function writeFiles(folder: string, files: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, text] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
}

/**
 * Fails with what differs, and how.
 * @param given the values with which it does. @default not said
 */
export function expectEqual(found: readonly Inequality[], given?: object): void {
  const lines = found
    .slice(0, 10)
    .map(({ where, cdk8s, helm }) => `${where}: cdk8s ${show(cdk8s)}, helm ${show(helm)}`);
  if (found.length === 0) return;
  const values = given === undefined ? '' : ` with ${show(given)}`;
  throw new Error(`the back ends differ in ${found.length} places${values}:\n${lines.join('\n')}`);
}

const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';
