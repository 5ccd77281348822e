/** What a container of an image found out about itself. */
export interface Contents {
  readonly uid: number;
  /** Directories that should be read-only and are not. */
  readonly writable: readonly string[];
  /** Programs that nobody needs in a service. */
  readonly programs: readonly string[];
  /** Names of installed packages that only development needs. */
  readonly development: readonly string[];
  /** Files of tests. */
  readonly tests: readonly string[];
  /** Compiled binaries: they would tie an image to a platform. */
  readonly binaries: readonly string[];
  /** Files of the repository's own packages. */
  readonly sources: number;
}

/**
 * JavaScript that looks through the image it runs in and writes a {@link Contents} as its termination message, which has room for 4096 characters.
 *
 * @param development names of packages that are not to be there
 */
export function lookInside(development: readonly string[]): string {
  return `
const { accessSync, constants, existsSync, readdirSync, writeFileSync } = require('node:fs');
const development = new Set(${JSON.stringify(development)});
const writable = ['/', '/app', '/usr/local/bin', '/etc'].filter((path) => {
  try { writeFileSync(path + '/.probe', ''); return true; } catch { return false; }
});
const programs = ['sh', 'bash', 'npm', 'npx', 'apt', 'dpkg', 'curl', 'busybox'].filter((name) =>
  ['/bin/', '/usr/bin/', '/usr/local/bin/', '/sbin/', '/usr/sbin/'].some((folder) => existsSync(folder + name)));
const all = readdirSync('/app', { recursive: true, withFileTypes: true });
const files = all.filter((entry) => entry.isFile()).map((entry) => entry.parentPath + '/' + entry.name);
const packages = all.filter((entry) => /\\/node_modules(\\/@[^/]+)?$/.test(entry.parentPath))
  .map((entry) => (entry.parentPath.match(/@[^/]+$/)?.[0] ?? '') + (entry.parentPath.includes('@') ? '/' : '') + entry.name);
const first = (list) => list.slice(0, 10);
const own = files.filter((path) => !path.includes('/node_modules/'));
writeFileSync('/dev/termination-log', JSON.stringify({
  uid: process.getuid(),
  writable,
  programs,
  development: first(packages.filter((name) => development.has(name) || /^node-(linux|darwin)-/.test(name))),
  tests: first(files.filter((path) => /\\.(test|spec|e2e)\\.[cm]?[jt]s$|\\/(testing|__tests__)\\//.test(path))),
  binaries: first(files.filter((path) => path.endsWith('.node'))),
  sources: own.length,
}));`;
}
