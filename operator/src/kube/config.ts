import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';

/** Where a service account's credentials are mounted: https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

/** PEM texts of a TLS client; all optional. */
export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
}

/** How to reach one cluster, and as whom. Secrets are read through functions, since files rotate and plugins issue anew. */
export interface ClusterConfig {
  /** e.g. `https://10.0.0.1:443`, without a trailing slash. */
  readonly server: string;
  /** The namespace of the context, or of the pod. */
  readonly namespace: string;
  /** The name to expect in the server's certificate, if not the host's. */
  readonly tlsServerName?: string;
  /** Accept any server certificate. Only ever because the kubeconfig says so. */
  readonly insecureSkipTlsVerify?: boolean;
  /** Headers of every request (impersonation). */
  readonly headers?: Readonly<Record<string, string>>;
  /** Reads CA and client certificate as they are now. */
  readonly tls: () => TlsMaterial;
  /** The `authorization` header as of now, or `undefined` for none. `refresh` asks for a new one since the last was refused. */
  readonly authorization: (refresh: boolean) => Promise<string | undefined>;
}

/** A kubeconfig or a mounted service account that cannot be used; the message names the file and the field. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** Where to look for the cluster. */
export interface LoadConfigOptions {
  /** A kubeconfig file. @default see `loadConfig` */
  kubeconfig?: string;
  /** The context to use. @default the file's current one */
  context?: string;
  /** @default process.env */
  env?: Readonly<Record<string, string | undefined>>;
}

/**
 * The cluster to talk to, found as controller-runtime finds it: the file asked for; `KUBECONFIG` (its first existing file); the service account
 * of the pod; `~/.kube/config`. Throws a ConfigError that names what is wrong.
 *
 * Read here and not by client-node's KubeConfig, since importing that costs 90 MB of resident memory; it is loaded for exec plugins and auth
 * providers only, which no pod uses.
 */
export function loadConfig(options: LoadConfigOptions = {}): ClusterConfig {
  const env = options.env ?? process.env;
  const named = options.kubeconfig ?? firstExisting((env['KUBECONFIG'] ?? '').split(':').filter((file) => file !== ''));
  if (named !== undefined) return configFromFile(named, options.context);
  if (env['KUBECONFIG']) throw new ConfigError(`KUBECONFIG names no file that exists: ${env['KUBECONFIG']}`);
  if (env['KUBERNETES_SERVICE_HOST'] && existsSync(`${SERVICE_ACCOUNT_DIR}/token`)) return configInCluster(env);
  const home = resolve(homedir(), '.kube/config');
  if (existsSync(home)) return configFromFile(home, options.context);
  throw new ConfigError('no cluster: set KUBECONFIG, pass a kubeconfig file, or run in a pod with a service account');
}

function firstExisting(files: readonly string[]): string | undefined {
  return files.find((file) => existsSync(file));
}

/** The cluster that a pod runs in. The token is read anew by the transport, since the kubelet rotates it. */
export function configInCluster(
  env: Readonly<Record<string, string | undefined>> = process.env,
  directory: string = SERVICE_ACCOUNT_DIR,
): ClusterConfig {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === '') throw new ConfigError('not in a cluster: KUBERNETES_SERVICE_HOST is not set');
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: existsSync(`${directory}/namespace`) ? readFileSync(`${directory}/namespace`, 'utf8').trim() : 'default',
    tls: () => ({ ca: readText(`${directory}/ca.crt`) }),
    authorization: async () => `Bearer ${readText(`${directory}/token`).trim()}`,
  };
}

interface KubeconfigCluster {
  server?: string;
  'certificate-authority'?: string;
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
  'proxy-url'?: string;
}

interface KubeconfigUser {
  token?: string;
  tokenFile?: string;
  username?: string;
  password?: string;
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  as?: string;
  exec?: unknown;
  'auth-provider'?: unknown;
}

interface Kubeconfig {
  'current-context'?: string;
  clusters?: { name: string; cluster?: KubeconfigCluster }[];
  users?: { name: string; user?: KubeconfigUser }[];
  contexts?: { name: string; context?: { cluster?: string; user?: string; namespace?: string } }[];
}

/** The cluster of a kubeconfig file's context. Relative paths in it are relative to the file. */
export function configFromFile(file: string, contextName?: string): ClusterConfig {
  return configFromText(readText(file), {
    file: resolve(file),
    ...(contextName === undefined ? {} : { context: contextName }),
  });
}

/** The cluster of a kubeconfig's context, from its text (YAML or JSON). */
export function configFromText(text: string, options: { file?: string; context?: string } = {}): ClusterConfig {
  const where = options.file ?? 'kubeconfig';
  const directory = options.file === undefined ? process.cwd() : dirname(options.file);
  const kubeconfig = parseKubeconfig(text, where);
  const contextName = options.context ?? kubeconfig['current-context'];
  if (!contextName) throw new ConfigError(`${where}: no context asked for and no current-context`);
  const context = entry(kubeconfig.contexts, contextName, `${where}: contexts`).context ?? {};
  const cluster = entry(kubeconfig.clusters, context.cluster, `${where}: clusters`).cluster ?? {};
  const user = context.user === undefined ? {} : (entry(kubeconfig.users, context.user, `${where}: users`).user ?? {});
  if (!cluster.server) throw new ConfigError(`${where}: cluster "${context.cluster}" has no server`);
  if (cluster['proxy-url']) throw new ConfigError(`${where}: cluster "${context.cluster}": proxy-url is not supported`);

  return {
    server: cluster.server.replace(/\/+$/, ''),
    namespace: context.namespace ?? 'default',
    ...(cluster['tls-server-name'] ? { tlsServerName: cluster['tls-server-name'] } : {}),
    ...(cluster['insecure-skip-tls-verify'] ? { insecureSkipTlsVerify: true } : {}),
    ...(user.as ? { headers: { 'impersonate-user': user.as } } : {}),
    tls: () => ({
      ...pem('ca', cluster['certificate-authority'], cluster['certificate-authority-data'], directory),
      ...pem('cert', user['client-certificate'], user['client-certificate-data'], directory),
      ...pem('key', user['client-key'], user['client-key-data'], directory),
    }),
    authorization: authorizationOf(user, directory, { text, where, contextName }),
  };
}

function parseKubeconfig(text: string, where: string): Kubeconfig {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new ConfigError(`${where}: not YAML: ${(error as Error).message}`, { cause: error });
  }
  if (value === null || typeof value !== 'object')
    throw new ConfigError(`${where}: not a kubeconfig: expected an object`);
  return value as Kubeconfig;
}

function entry<E extends { name: string }>(entries: E[] | undefined, name: string | undefined, where: string): E {
  const found = Array.isArray(entries) ? entries.find((candidate) => candidate.name === name) : undefined;
  if (found === undefined) throw new ConfigError(`${where} has no entry "${name ?? ''}"`);
  return found;
}

function pem(
  field: keyof TlsMaterial,
  file: string | undefined,
  data: string | undefined,
  directory: string,
): TlsMaterial {
  // Data takes precedence over the file, as in client-go.
  if (data) return { [field]: Buffer.from(data, 'base64').toString('utf8') };
  return file ? { [field]: readText(resolve(directory, file)) } : {};
}

function authorizationOf(
  user: KubeconfigUser,
  directory: string,
  source: { text: string; where: string; contextName: string },
): ClusterConfig['authorization'] {
  const { tokenFile, token, username, password } = user;
  if (user.exec !== undefined || user['auth-provider'] !== undefined) return pluginAuthorization(source);
  if (tokenFile) return async () => `Bearer ${readText(resolve(directory, tokenFile)).trim()}`;
  if (token) return async () => `Bearer ${token}`;
  if (username) return async () => `Basic ${Buffer.from(`${username}:${password ?? ''}`).toString('base64')}`;
  return async () => undefined;
}

/** Runs the plugins of `exec` and `auth-provider` through client-node, which knows them all and keeps what they issue until it expires. */
function pluginAuthorization(source: {
  text: string;
  where: string;
  contextName: string;
}): ClusterConfig['authorization'] {
  let loaded: Promise<import('@kubernetes/client-node').KubeConfig> | undefined;
  const load = async () => {
    const { KubeConfig } = await import('@kubernetes/client-node');
    const config = new KubeConfig();
    config.loadFromString(source.text);
    config.setCurrentContext(source.contextName);
    return config;
  };
  return async (refresh) => {
    if (refresh || loaded === undefined) loaded = load();
    const request: { headers?: Record<string, unknown> } = { headers: {} };
    try {
      await (await loaded).applyToHTTPSOptions(request as never);
    } catch (error) {
      loaded = undefined;
      throw new ConfigError(`${source.where}: the credential plugin failed: ${(error as Error).message}`, {
        cause: error,
      });
    }
    const header = request.headers?.['Authorization'];
    return typeof header === 'string' ? header : undefined;
  };
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
}
