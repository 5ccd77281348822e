/** What a workspace's package.json says, as far as it matters for what goes into an image. */
export interface Manifest {
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/**
 * The folders of a workspace and of every workspace that it depends on, directly or through others; sorted. Pure.
 *
 * @param manifests of all workspaces, by folder
 * @throws Error when there is no workspace in `folder`
 */
export function closureOf(folder: string, manifests: ReadonlyMap<string, Manifest>): string[] {
  if (!manifests.has(folder)) throw new Error(`${folder} is no workspace: package.json names none there`);
  const folders = new Map([...manifests].map(([path, { name }]) => [name, path]));
  const found = new Set<string>();
  const waiting = [folder];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    const names = Object.keys(manifests.get(next)?.dependencies ?? {});
    waiting.push(...names.flatMap((name) => folders.get(name) ?? []));
  }
  return [...found].sort();
}

/** Tests, what only tests use, and what is not part of a program. Installed packages are not the repository's. */
const LEFT_OUT = [
  /\.test\.[cm]?[jt]s$/,
  /\.e2e\.ts$/,
  /(^|\/)(testing(\/|\.ts$)|([a-z-]+-)?conformance(\/|\.ts$))/,
  /(^|\/)node_modules\//,
  /\.md$/,
];

/** Whether a file of a package goes into its image. @param path relative to the repository, with slashes */
export function isShipped(path: string): boolean {
  return !LEFT_OUT.some((pattern) => pattern.test(path));
}
