/** Kubernetes release that is run. go/kubernetes/go.mod names the same one; a test holds the two together. */
export const KUBERNETES_VERSION = 'v1.35.4';

/** etcd release that is run: the one that Kubernetes 1.35 ships with. go/etcd/go.mod names the same one. */
export const ETCD_VERSION = 'v3.6.5';

/** The programs that this package finds, runs and calls. */
export const BINARIES = ['etcd', 'kube-apiserver', 'kubectl', 'kube-controller-manager'] as const;

/** A program that this package finds, runs or calls. */
export type BinaryName = (typeof BINARIES)[number];

/** Release of a program. */
export function versionOf(name: BinaryName): string {
  return name === 'etcd' ? ETCD_VERSION : KUBERNETES_VERSION;
}

/** Operating system and processor, in Go's words ("linux", "amd64"), which are also those of the download sites. */
export interface Platform {
  readonly os: string;
  readonly arch: string;
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64' };
const SYSTEMS: Readonly<Record<string, string>> = { win32: 'windows' };

/** Platform of this process. */
export function currentPlatform(): Platform {
  return {
    os: SYSTEMS[process.platform] ?? process.platform,
    arch: ARCHITECTURES[process.arch] ?? process.arch,
  };
}
