import { InstallError } from './commands.ts';
import { ensureEmulator } from './install.ts';
import { EMULATORS, isEmulatorName } from './releases.ts';

const USAGE = `usage: node tools/aws/src/cli.ts install [NAME]

Installs an emulator of AWS into the project's cache, unless it is there, and prints its folder: ${EMULATORS.join(', ')}; without a name, all of them.
`;

const [command, name, ...rest] = process.argv.slice(2);
if (command !== 'install' || rest.length > 0 || (name !== undefined && !isEmulatorName(name))) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  try {
    for (const each of name === undefined ? EMULATORS : [name]) process.stdout.write(`${await ensureEmulator(each)}\n`);
  } catch (error) {
    if (!(error instanceof InstallError)) throw error;
    process.stderr.write(`emulators: ${error.message}\n`);
    process.exitCode = 1;
  }
}
