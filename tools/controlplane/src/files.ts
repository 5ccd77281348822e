import { access, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiServerFiles } from './apiserver.ts';
import { SERVICE_ADDRESS } from './apiserver.ts';
import {
  createAuthority,
  createServiceAccountKey,
  issueClientCertificate,
  issueServerCertificate,
  type KeyAndCertificate,
} from './pki.ts';
import { LOOPBACK } from './ports.ts';

/** Where the things of one control plane lie in its folder. */
export interface Layout {
  readonly folder: string;
  readonly etcdData: string;
  readonly kubectlCache: string;
  readonly kubeconfig: string;
  readonly controllerManagerKubeconfig: string;
  readonly state: string;
  log(component: string): string;
}

/** Layout of a control plane's folder, which must be an absolute path: it marks the command lines of its processes. */
export function layoutOf(folder: string): Layout {
  return {
    folder,
    etcdData: join(folder, 'etcd'),
    kubectlCache: join(folder, 'kubectl-cache'),
    kubeconfig: join(folder, 'kubeconfig'),
    controllerManagerKubeconfig: join(folder, 'pki', 'controller-manager.kubeconfig'),
    state: join(folder, 'state.json'),
    log: (component) => join(folder, 'logs', `${component}.log`),
  };
}

/** Certificates and keys of one control plane, and the files that hold them. */
export interface Credentials {
  readonly authority: KeyAndCertificate;
  /** Member of system:masters: may do everything. */
  readonly admin: KeyAndCertificate;
  readonly controllerManager: KeyAndCertificate;
  readonly files: ApiServerFiles;
}

const SERVER_NAMES = [
  { type: 'dns', value: 'localhost' },
  { type: 'dns', value: 'kubernetes.default.svc' },
  { type: 'ip', value: LOOPBACK },
  { type: 'ip', value: SERVICE_ADDRESS },
] as const;

/** Reads the credentials of a folder, or makes them the first time: tokens and kubeconfigs outlive a restart. */
export async function loadOrCreateCredentials(folder: string): Promise<Credentials> {
  const pki = join(folder, 'pki');
  await mkdir(pki, { recursive: true, mode: 0o700 });
  const file = (name: string) => join(pki, name);
  const files: ApiServerFiles = {
    authority: file('ca.crt'),
    certificate: file('apiserver.crt'),
    key: file('apiserver.key'),
    serviceAccountKey: file('service-account.key'),
    serviceAccountPublicKey: file('service-account.pub'),
  };
  // Written last, so its presence says that everything is there.
  const complete = file('complete');
  if (!(await exists(complete))) {
    await createCredentials(file, files);
    await writeFile(complete, '');
  }
  return {
    authority: await read(file, 'ca'),
    admin: await read(file, 'admin'),
    controllerManager: await read(file, 'controller-manager'),
    files,
  };
}

async function createCredentials(file: (name: string) => string, files: ApiServerFiles): Promise<void> {
  const serviceAccountKey = createServiceAccountKey();
  const authority = await createAuthority();
  const [server, admin, controllerManager] = await Promise.all([
    issueServerCertificate(authority, SERVER_NAMES),
    issueClientCertificate(authority, { user: 'admin', groups: ['system:masters'] }),
    issueClientCertificate(authority, { user: 'system:kube-controller-manager' }),
  ]);
  const { privatePem, publicPem } = await serviceAccountKey;
  const pairs = { ca: authority, apiserver: server, admin, 'controller-manager': controllerManager };
  await Promise.all([
    ...Object.entries(pairs).flatMap(([name, pair]) => [
      writeSecret(file(`${name}.crt`), pair.certPem),
      writeSecret(file(`${name}.key`), pair.keyPem),
    ]),
    writeSecret(files.serviceAccountKey, privatePem),
    writeSecret(files.serviceAccountPublicKey, publicPem),
  ]);
}

/** Replaces a file as a whole: a reader sees the old text or the new. Readable by its owner only. */
export async function writeSecret(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${process.pid}.tmp`;
  await writeFile(unfinished, text, { mode: 0o600 });
  await rename(unfinished, path);
}

async function read(file: (name: string) => string, name: string): Promise<KeyAndCertificate> {
  return { certPem: await readFile(file(`${name}.crt`), 'utf8'), keyPem: await readFile(file(`${name}.key`), 'utf8') };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
