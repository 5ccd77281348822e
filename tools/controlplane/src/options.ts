import type { EnsureOptions } from './binaries/ensure.ts';
import type { Ports } from './state.ts';

/** How a control plane is started. Every field can be left out. */
export interface ControlPlaneOptions {
  /**
   * Folder of its state: data, certificates, logs, ports. A later start on the same folder goes on where this one stopped,
   * under the same URL. @default a temporary folder, removed by stop()
   */
  readonly dir?: string;
  /** Whether kube-controller-manager runs too: it ends namespaces, collects garbage, makes service accounts. @default false */
  readonly controllerManager?: boolean;
  /**
   * Lets etcd answer before data is on disk. Faster, and only a crash of the machine can lose data.
   * @default false, so that a measurement measures what production does
   */
  readonly etcdUnsafeNoFsync?: boolean;
  /** More arguments for kube-apiserver; they win over the defaults. @default none */
  readonly apiServerArgs?: readonly string[];
  /** Ports on 127.0.0.1; one that is taken is an error. @default the folder's last ones if they are free, else free ones */
  readonly ports?: Partial<Ports>;
  /**
   * Leaves the processes running when this one ends; attachControlPlane finds them again. Needs `dir`.
   * @default false: they are killed when this process ends, however it ends
   */
  readonly detached?: boolean;
  /**
   * Whether anybody may read the keys of the token issuer (/openid/v1/jwks), as on managed clusters.
   * @default true
   */
  readonly publicIssuerKeys?: boolean;
  /** Hears what takes long: downloads, builds. @default silence */
  readonly onProgress?: (line: string) => void;
  /** How the binaries are found. @default as in ensureBinaries */
  readonly binaries?: Omit<EnsureOptions, 'onProgress'>;
}

/** Options that contradict each other. */
export class InvalidOptionsError extends Error {
  override readonly name = 'InvalidOptionsError';
}

/** @throws InvalidOptionsError naming the option */
export function validateOptions(options: ControlPlaneOptions): void {
  if (options.detached === true && options.dir === undefined) {
    throw new InvalidOptionsError('option "detached" needs option "dir": what goes on running must be found again');
  }
  for (const [name, port] of Object.entries(options.ports ?? {})) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new InvalidOptionsError(
        `option "ports.${name}" is ${port}, which is no port: give 1 to 65535, or leave it out`,
      );
    }
  }
}
