import { fileURLToPath } from 'node:url';
import { ChecksumMismatchError } from './binaries/download.ts';
import { ensureBinaries } from './binaries/ensure.ts';
import { BuildError } from './binaries/go.ts';
import { PortTakenError } from './ports.ts';
import { attachControlPlane, attachOrStartControlPlane, stopControlPlane } from './start.ts';
import { ensureTool, isToolName, TEST_TOOLS, TOOLS } from './tools.ts';
import { BINARIES } from './versions.ts';

const USAGE = `usage: node tools/controlplane/src/cli.ts COMMAND

  build        download or build etcd, kube-apiserver, kubectl and kube-controller-manager
  up           start a control plane that stays, with its state in .mercato/controlplane
  down         end it; its state stays
  kubeconfig   print its kubeconfig
  tool [NAME]  find or build helm, cyclonus, kwok or temporal, and print the path; without a name all that tests use
`;

const STATE_FOLDER = fileURLToPath(new URL('../../../.mercato/controlplane', import.meta.url));

/** Progress goes to stderr, so that stdout has only what a shell may want to evaluate or keep. */
function say(line: string): void {
  process.stderr.write(`controlplane: ${line}\n`);
}

async function up(): Promise<void> {
  const plane = await attachOrStartControlPlane({ dir: STATE_FOLDER, controllerManager: true, onProgress: say });
  say(`serves ${plane.url}`);
  process.stdout.write(`export KUBECONFIG=${plane.kubeconfigPath}\n`);
}

async function down(): Promise<void> {
  say((await stopControlPlane(STATE_FOLDER)) ? 'ended; its state stays' : 'nothing ran');
}

async function kubeconfig(): Promise<void> {
  const plane = await attachControlPlane(STATE_FOLDER);
  if (plane === undefined) throw new UsageError('no control plane runs; start one with: up');
  process.stdout.write(await plane.kubeconfigYaml());
}

async function build(): Promise<void> {
  const paths = await ensureBinaries(BINARIES, { onProgress: say });
  for (const path of paths.values()) process.stdout.write(`${path}\n`);
}

async function tool(name: string | undefined): Promise<void> {
  if (name !== undefined && !isToolName(name)) {
    throw new UsageError(`there is no tool "${name}"; there are ${TOOLS.join(', ')}`);
  }
  for (const each of name === undefined ? TEST_TOOLS : [name]) {
    process.stdout.write(`${await ensureTool(each, { onProgress: say })}\n`);
  }
}

class UsageError extends Error {}

const commands: Readonly<Record<string, (argument?: string) => Promise<void>>> = { build, up, down, kubeconfig, tool };

/** What a person can put right is told in its own words; anything else with its stack. */
function explain(error: unknown): string {
  const expected = [UsageError, BuildError, ChecksumMismatchError, PortTakenError];
  if (expected.some((type) => error instanceof type)) return (error as Error).message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const [name = '', ...rest] = process.argv.slice(2);
const command = commands[name];
if (command === undefined || rest.length > command.length) {
  process.stderr.write(USAGE);
  process.exitCode = 2;
} else {
  try {
    await command(...rest);
  } catch (error) {
    say(explain(error));
    process.exitCode = 1;
  }
}
