/** One image to be built. */
export interface BuildRequest {
  /** The repository's root: the build's context. */
  readonly context: string;
  /** As `mercato/operator:0.1.0`. */
  readonly reference: string;
  readonly buildArgs: Readonly<Record<string, string>>;
  /** More options, which all builders know alike: `--secret ...`. */
  readonly options: readonly string[];
  /** Seconds since 1970: the time that an image carries, so that the same inputs make the same bytes. */
  readonly epoch: number;
}

/** What is known of an image that is there. */
export interface Built {
  /** Of its files, uncompressed. */
  readonly bytes: number;
  readonly labels: Readonly<Record<string, string>>;
}

/** A program that builds images. */
export interface Builder {
  readonly name: 'docker' | 'podman' | 'buildah' | 'cluster';
  /** What FROM names if nobody says otherwise. */
  readonly baseImage: string;
  /** @throws CommandError with the build's last lines */
  build(request: BuildRequest): Promise<void>;
  /** Undefined when there is no such image. */
  inspect(reference: string): Promise<Built | undefined>;
  /** Gives an image that is there another name. @throws CommandError */
  tag(from: string, to: string): Promise<void>;
  /** Sends an image to the registry that its name says. Undefined when the builder cannot. */
  readonly push?: (reference: string) => Promise<void>;
  /** Writes an image as a docker archive. Undefined when the builder cannot, or has no need to. */
  readonly save?: (reference: string, file: string) => Promise<void>;
}

/** The options of a build that all builders spell alike. Pure. */
export function commonOptions({ buildArgs, options, reference }: BuildRequest): string[] {
  const args = Object.entries(buildArgs).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
  return [...args, ...options, '--tag', reference];
}

/** Proxies of this machine, for the build's install only: builders keep these arguments out of the image. */
export function proxyArgs(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'];
  return Object.fromEntries(names.flatMap((name) => (env[name] ? [[name, env[name]]] : [])));
}
