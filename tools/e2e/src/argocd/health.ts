import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Case } from '@mercato/cdk8s/argocd/health.cases.ts';
import { stringify } from 'yaml';

const run = promisify(execFile);

/** What Argo CD itself says of the health of objects, with no cluster: its administrator's command, and the Lua that its controller runs. */
export class ArgocdHealth {
  readonly #program: string;
  readonly #folder: string;

  private constructor(program: string, folder: string) {
    this.#program = program;
    this.#folder = folder;
  }

  /** @param configMap argocd-cm with the health checks */
  static async with(program: string, configMap: object): Promise<ArgocdHealth> {
    const folder = await mkdtemp(join(tmpdir(), 'mercato-health-'));
    await writeFile(join(folder, 'argocd-cm.yaml'), stringify(configMap));
    return new ArgocdHealth(program, folder);
  }

  /** The status and the message, as in "Healthy: does not answer now". */
  async judge({ group, kind }: { readonly group: string; readonly kind: string }, { object }: Case): Promise<string> {
    const file = join(this.#folder, 'object.yaml');
    const { metadata, ...rest } = object as { metadata: object };
    const whole = {
      apiVersion: `${group}/v1alpha1`,
      kind,
      metadata: { name: 'x', namespace: 'y', ...metadata },
      ...rest,
    };
    await writeFile(file, stringify(whole));
    const settings = ['--argocd-cm-path', join(this.#folder, 'argocd-cm.yaml')];
    const args = ['admin', 'settings', 'resource-overrides', 'health', file, ...settings];
    const { stdout } = await run(this.#program, args);
    const [, status = '', message = ''] = /STATUS: (\w+)(?:\nMESSAGE: (.*))?/s.exec(stdout) ?? [];
    return `${status}: ${message.trim()}`;
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
