import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from './run.ts';

/** What says where packages come from and how to get there. Nothing else of a person's configuration enters a build. */
const KEYS = /^(registry|proxy|https-proxy|noproxy|strict-ssl|@[^:]+:registry|\/\/.+)$/;

/** Where the secrets are while a build installs: ../../../Dockerfile mounts them there, and no layer holds them. */
const CA_IN_BUILD = '/run/secrets/npm-ca';

/**
 * One npm configuration for a build, from the files that hold here: later files win, environment variables in values are
 * replaced by what they say here. Pure.
 *
 * @param hasCa whether certificates come with it
 */
export function npmrcForBuild(
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  hasCa: boolean,
): string {
  const said = new Map<string, string>();
  for (const line of files.flatMap((file) => file.split('\n'))) {
    const match = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (match?.[1] !== undefined && KEYS.test(match[1])) said.set(match[1], expand(match[2] ?? '', env));
  }
  const registry = env['npm_config_registry'] ?? env['NPM_CONFIG_REGISTRY'];
  if (registry !== undefined) said.set('registry', registry);
  if (hasCa) said.set('cafile', CA_IN_BUILD);
  return [...said].map(([key, value]) => `${key}=${value}\n`).join('');
}

/** The last file of certificates that a configuration names. Pure. */
export function cafileOf(
  files: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  const named = files.flatMap((file) => [...file.matchAll(/^\s*cafile\s*=\s*"?(.*?)"?\s*$/gm)].map(([, path]) => path));
  const path = named.at(-1) ?? env['npm_config_cafile'] ?? env['NODE_EXTRA_CA_CERTS'];
  return path === undefined || path === '' ? undefined : expand(path, env);
}

function expand(value: string, env: Readonly<Record<string, string | undefined>>): string {
  return value.replaceAll(/\$\{([^}?]+)\??\}/g, (whole, name: string) => env[name] ?? whole);
}

/** The options of a build that give it this machine's npm configuration, and the folder that they name. */
export interface BuildSecrets {
  readonly options: readonly string[];
  /** Removes the files. */
  remove(): Promise<void>;
}

/** Writes this machine's npm configuration where only this user can read it, for as long as a build takes. @throws CommandError without npm */
export async function writeBuildSecrets(root: string): Promise<BuildSecrets> {
  const names = ['globalconfig', 'userconfig'];
  const paths = await Promise.all(names.map((name) => run('npm', ['config', 'get', name], { cwd: root })));
  const files = [...paths.map((path) => path.trim()), join(root, '.npmrc')].map(readIfThere);
  const cafile = cafileOf(files, process.env);
  const ca = cafile === undefined ? '' : readIfThere(cafile);
  const folder = await mkdtemp(join(tmpdir(), 'mercato-npm-')); // 0700
  await writeFile(join(folder, 'npmrc'), npmrcForBuild(files, process.env, ca !== ''), { mode: 0o600 });
  await writeFile(join(folder, 'ca'), ca, { mode: 0o600 });
  return {
    options: ['--secret', `id=npmrc,src=${join(folder, 'npmrc')}`, '--secret', `id=npm-ca,src=${join(folder, 'ca')}`],
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
