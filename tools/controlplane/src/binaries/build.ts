import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BinaryName, KUBERNETES_VERSION } from '../versions.ts';
import { compilerFlags, makeWithGo } from './go.ts';
import type { Environment } from './lookup.ts';

/** What `go build` is told to build: a package, from inside the module whose go.mod pins it. */
export interface BuildTarget {
  readonly moduleFolder: string;
  readonly package: string;
  /** Linker flags beside the ones that drop debugging tables. */
  readonly linkerFlags: string;
}

/** The pinned wrapper module and the package inside it from which a program is built. */
export function buildTarget(name: BinaryName): BuildTarget {
  if (name === 'etcd')
    return { moduleFolder: moduleFolder('etcd'), package: 'go.etcd.io/etcd/server/v3', linkerFlags: '' };
  return {
    moduleFolder: moduleFolder('kubernetes'),
    package: `k8s.io/kubernetes/cmd/${name}`,
    linkerFlags: kubernetesLinkerFlags(),
  };
}

function moduleFolder(name: string): string {
  return fileURLToPath(new URL(`../../go/${name}`, import.meta.url));
}

/** Without these the API server calls itself v0.0.0-master, and clients that look at its version go astray. */
function kubernetesLinkerFlags(): string {
  const [major, minor] = KUBERNETES_VERSION.slice(1).split('.');
  const variable = 'k8s.io/component-base/version.git';
  return `-X ${variable}Version=${KUBERNETES_VERSION} -X ${variable}Major=${major} -X ${variable}Minor=${minor}`;
}

/**
 * Builds one program of a pinned module into `folder`, whole or not at all; see makeWithGo.
 *
 * @throws BuildError
 */
export async function build(name: string, target: BuildTarget, folder: string, env: Environment): Promise<void> {
  const command = (work: string) => ({
    args: ['build', ...compilerFlags(target.linkerFlags), '-o', join(work, name), target.package],
  });
  await makeWithGo(
    { name, what: target.package, cwd: target.moduleFolder, env, otherwise: INSTEAD_OF_GO, command },
    folder,
  );
}

const INSTEAD_OF_GO = [
  'let this machine reach https://dl.k8s.io and https://github.com, where the official binaries are',
  'set KUBEBUILDER_ASSETS to a folder that has etcd, kube-apiserver, kubectl (setup-envtest makes one)',
];
