/**
 * Exits 0 when node_modules holds what package-lock.json names, 1 when "npm ci" is needed. Compares contents, not times: a
 * checkout or a merge changes the times of files that are the same. Plain JavaScript, because it runs before the install,
 * on whatever Node the machine has.
 */
import { existsSync, readFileSync } from 'node:fs';

const wanted = packagesOf('package-lock.json');
const present = existsSync('node_modules/.package-lock.json') ? packagesOf('node_modules/.package-lock.json') : {};

const isThere = ([path, entry]) => {
  const found = present[path];
  if (found === undefined) return entry.optional === true;
  return (
    found.version === entry.version &&
    found.integrity === entry.integrity &&
    found.link === entry.link &&
    existsSync(path)
  );
};

process.exitCode =
  Object.entries(wanted).every(isThere) && Object.keys(present).every((path) => path in wanted) ? 0 : 1;

function packagesOf(file) {
  const { packages } = JSON.parse(readFileSync(file, 'utf8'));
  return Object.fromEntries(Object.entries(packages).filter(([path]) => path.includes('node_modules/')));
}
