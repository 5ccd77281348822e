import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
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

  async command(...args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
    return run(this.#program, [...args], { maxBuffer: 256 * 1024 * 1024 });
  }
}

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

/** Fails with what differs, and how. */
export function expectEqual(found: readonly Inequality[]): void {
  const lines = found
    .slice(0, 10)
    .map(({ where, cdk8s, helm }) => `${where}: cdk8s ${show(cdk8s)}, helm ${show(helm)}`);
  if (found.length > 0) throw new Error(`the back ends differ in ${found.length} places:\n${lines.join('\n')}`);
}

const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing';
