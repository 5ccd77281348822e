import { compilerFlags, makeWithGo } from './go.ts';
import type { Environment } from './lookup.ts';

/** A program of a published Go module that needs no wrapper: its go.mod has no replacements, which `go install` refuses. */
export interface InstallTarget {
  /** Import path of the command; its last element is the program's name. */
  readonly package: string;
  /** Release of the module that has the command. */
  readonly version: string;
  /** Linker flags beside the ones that drop debugging tables. */
  readonly linkerFlags: string;
}

/**
 * Builds one program of a published module into `folder`, whole or not at all; see makeWithGo. The module's own go.sum
 * and Go's checksum database vouch for what is compiled.
 *
 * @throws BuildError
 */
export async function install(name: string, target: InstallTarget, folder: string, env: Environment): Promise<void> {
  const what = `${target.package}@${target.version}`;
  const command = (work: string) => ({
    args: ['install', ...compilerFlags(target.linkerFlags), what],
    env: { GOBIN: work, GOWORK: 'off' },
  });
  const otherwise = [`put ${name} ${target.version} on PATH`];
  await makeWithGo({ name, what, cwd: folder, env, otherwise, command }, folder);
}
