import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { BuildError } from '@mercato/controlplane';
import { NoBuilderError } from '@mercato/images/builders/find.ts';
import { IMAGES } from '@mercato/images/list.ts';
import { CommandError } from '@mercato/images/run.ts';
import { TagError } from '@mercato/images/tag.ts';
import { ApiError, TransportError } from '@mercato/operator/kube/errors.ts';
import { capabilitiesOf, describe } from './capabilities.ts';
import { type Cluster, clientOf, findCluster, NoClusterError } from './cluster.ts';
import { DeployError, deploy, imageIn, imagesFor, undeploy } from './deploy.ts';
import { enforcesPolicies } from './enforcement.ts';
import { environmentNamed, NoEnvironmentError } from './environment.ts';
import { kindDown, kindUp, NoKindError } from './kind.ts';
import { NotSoError } from './objects.ts';
import { playerValues, startPlay } from './player.ts';

const USAGE = `usage: node tools/e2e/src/main.ts COMMAND [OPTION]...

  kind-up         start the kind cluster of kind-config.yaml
  kind-down       remove it
  deploy          build images, bring them to the cluster, install or upgrade Mercato
  undeploy        remove it, data included
  play            play orders inside the cluster, and check that nothing was lost; installs with the player let in
  capabilities    say what the cluster can do

  --environment NAME  of environments/ (default: kind)
  --tag TAG           of the images (default: the version and what "git describe" says)
  --registry PREFIX   take images from there instead of building them
  --orders N          for play (default: 200)
  --seconds N         for play: how long the day takes (default: 20)

The cluster is that of KUBECONFIG; else kind, where Docker is.
`;

class UsageError extends Error {
  override readonly name = 'UsageError';
}

const OPTIONS = {
  environment: { type: 'string' },
  tag: { type: 'string' },
  registry: { type: 'string' },
  orders: { type: 'string' },
  seconds: { type: 'string' },
} as const;

const say = (line: string) => void process.stderr.write(`${line}\n`);

async function main(args: readonly string[]): Promise<boolean> {
  const { positionals, values } = read(args);
  const [command] = positionals;
  if (command === 'kind-up') return done(kindUp(say));
  if (command === 'kind-down') return done(kindDown(say));
  if (!['deploy', 'undeploy', 'play', 'capabilities'].includes(command ?? '')) throw new UsageError(USAGE);
  const environment = environmentNamed(values.environment ?? 'kind');
  const [orders, seconds] = [number(values.orders, 200), number(values.seconds, 20)];
  const cluster = await findCluster(say);
  say(`cluster: ${cluster.name}`);
  const client = clientOf(cluster);
  try {
    // Tools alone are enough to ask the cluster, and to clear volumes.
    const wanted = command === 'deploy' || command === 'play' ? IMAGES : IMAGES.filter(({ name }) => name === 'tools');
    const images = await imagesFor(cluster, values, say, wanted);
    const options = { cluster, client, images, say, environment };
    if (command === 'deploy') await deploy(options);
    if (command === 'undeploy') await undeploy(options);
    if (command === 'capabilities') {
      for (const line of describe(await capabilitiesOf(client))) say(line);
      say(`NetworkPolicies hold: ${(await enforcesPolicies(client, imageIn(images, 'tools'))) ? 'yes' : 'no'}`);
    }
    if (command === 'play') {
      await deploy({ ...options, values: playerValues() });
      return await play(cluster, { ...options, orders, seconds });
    }
    return true;
  } finally {
    await client.transport.close();
  }
}

async function play(
  cluster: Cluster,
  {
    client,
    images,
    orders,
    seconds,
  }: Parameters<typeof deploy>[0] & { readonly orders: number; readonly seconds: number },
): Promise<boolean> {
  const [seed, mark] = [randomBytes(4).toString('hex'), randomBytes(3).toString('hex')];
  say(`playing ${orders} orders (seed ${seed})`);
  const playing = await startPlay(cluster, client, { image: imageIn(images, 'tools'), orders, seconds, seed, mark });
  const { isConserved, log } = await playing.result();
  process.stdout.write(log);
  return isConserved;
}

async function done(work: Promise<void>): Promise<boolean> {
  await work;
  return true;
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${USAGE}`);
  }
}

function number(text: string | undefined, fallback: number): number {
  const value = Number(text ?? fallback);
  if (!Number.isInteger(value) || value < 1) throw new UsageError(`${text}: give a whole number above 0`);
  return value;
}

/** What a person can put right is told in its own words; anything else with its stack. */
const KNOWN = [
  ApiError,
  BuildError,
  CommandError,
  DeployError,
  NoBuilderError,
  NoClusterError,
  NoEnvironmentError,
  NoKindError,
  NotSoError,
  TagError,
  TransportError,
  UsageError,
];

try {
  process.exitCode = (await main(process.argv.slice(2))) ? 0 : 1;
} catch (error) {
  const isKnown = KNOWN.some((type) => error instanceof type);
  process.stderr.write(`${error instanceof Error ? (isKnown ? error.message : error.stack) : String(error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
