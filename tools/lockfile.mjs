/**
 * Completes package-lock.json. A registry that mirrors only this machine's platform makes npm leave the packages of other
 * platforms out of the lock file, and "npm ci" then refuses it, here and everywhere ("Missing: ... from lock file"). Each
 * package that some other one names as optional gets an entry, with the platform that its name says.
 *
 * With --check nothing is written, and the status is 1 when something is missing. Run after each "npm install".
 */
import { readFileSync, writeFileSync } from 'node:fs';

const FILE = 'package-lock.json';
const lock = JSON.parse(readFileSync(FILE, 'utf8'));
const missing = missingEntries(lock.packages);

if (missing.length > 0 && process.argv.includes('--check')) {
  console.error(
    `${FILE} lacks ${missing.map(([path]) => path).join(', ')}: "npm ci" would refuse it. Run: node tools/lockfile.mjs`,
  );
  process.exitCode = 1;
} else if (missing.length > 0) {
  const all = { ...lock.packages, ...Object.fromEntries(missing) };
  const sorted = Object.keys(all).sort((a, b) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted.map((path) => [path, all[path]]));
  writeFileSync(FILE, `${JSON.stringify(lock, null, 2)}\n`);
  console.error(`added to ${FILE}: ${missing.map(([path]) => path).join(', ')}`);
}

/** Optional packages without an entry, or with one that says nothing. Those whose name says no platform are not touched. */
function missingEntries(packages) {
  return Object.values(packages).flatMap(({ optionalDependencies = {}, dev }) =>
    Object.entries(optionalDependencies)
      .map(([name, version]) => [`node_modules/${name}`, entryOf(name, version, dev)])
      .filter(([path, entry]) => entry !== undefined && packages[path]?.version === undefined),
  );
}

/** An entry as npm writes it, in npm's order of fields, but for the integrity, which only the registry can tell. */
function entryOf(name, version, dev) {
  const [, os, cpu, libc] = /\b(darwin|linux|win32|android|freebsd)-(arm64|x64|arm|ia32)(?:-(musl))?$/.exec(name) ?? [];
  if (os === undefined || !/^\d/.test(version)) return undefined;
  return { version, cpu: [cpu], ...(dev ? { dev } : {}), ...(libc ? { libc: [libc] } : {}), optional: true, os: [os] };
}
